"""The relay of one camera: RTSP in, RTMP out, no picture decoded.

Video is copied. Sound is coded to AAC, because FLV cannot carry what most cameras send (G.711 at 8 kHz), and one camera's
sound must not cost its picture. Measured: coding costs 0.6 % of a core, where copying the video alone costs 0.4 %.
"""

from pathlib import Path

import ffmpeg

from raycctv.clock import Clock
from raycctv.config.units import StreamUrl
from raycctv.process import KeptProcess
from raycctv.types import CameraName

_SILENCE_US = 10_000_000
"""A camera or a server that is silent for so long is gone: the relay ends and is started again."""

_PROBE_US = 1_000_000
"""Time in which sound must have shown up beside the video. What comes meanwhile is sent on."""

_SOUND_HZ = 44_100
"""FLV knows 44.1, 22.05 and 11.025 kHz by name. Source: Adobe FLV specification 10.1, E.4.2.1, SoundRate."""


def relay_command(pull: StreamUrl, source: StreamUrl) -> list[str]:
    """ffmpeg's arguments (5.0 or later). They hold the camera's password."""
    camera = ffmpeg.input(pull.reveal(), analyzeduration=_PROBE_US, fpsprobesize=0, **_protocol_options(pull))
    relayed = ffmpeg.output(
        camera["v:0"],
        camera["a:0?"],
        source.reveal(),
        **{"c:v": "copy", "c:a": "aac", "ar": _SOUND_HZ},
        f="flv",
        flvflags="no_duration_filesize",
        rw_timeout=_SILENCE_US,
    )
    argv: list[str] = ffmpeg.compile(relayed.global_args("-nostdin", "-hide_banner", "-loglevel", "error"))
    return argv


def relay(camera: CameraName, pull: StreamUrl, source: StreamUrl, run_dir: Path, clock: Clock) -> KeptProcess:
    """The relay of ``camera``, adopted if it runs: call its ``check()`` about once a second to keep it running."""
    return KeptProcess(f"relay-{camera}", relay_command(pull, source), run_dir, clock)


def _protocol_options(pull: StreamUrl) -> dict[str, object]:
    if pull.scheme in ("rtsp", "rtsps"):
        return {"rtsp_transport": "tcp", "timeout": _SILENCE_US}  # a lost UDP packet is a torn picture for a whole GOP
    if pull.scheme in ("rtmp", "rtmps"):
        return {"rtmp_live": "live", "rw_timeout": _SILENCE_US}
    return {"re": None}  # a file, as fast as a camera would send it
