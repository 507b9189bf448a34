"""The relay of one camera: RTSP in, RTMP out, nothing decoded.

Video is copied. Audio is coded to AAC, because FLV cannot carry what most cameras send (G.711 at 8 kHz), and one camera's
sound must not cost its picture; that takes about 0.2 % of a core.
"""

from pathlib import Path

import ffmpeg

from raycctv.clock import Clock
from raycctv.config.units import StreamUrl
from raycctv.process import KeptProcess
from raycctv.types import CameraName

_TIMEOUT_US = 10_000_000
"""A camera that sends nothing for so long is gone: the relay ends and is started again."""


def relay_command(pull: StreamUrl, source: StreamUrl) -> list[str]:
    """ffmpeg's arguments. They hold the camera's password."""
    options = {"rtsp_transport": "tcp", "timeout": _TIMEOUT_US} if pull.scheme in ("rtsp", "rtsps") else {}
    camera = ffmpeg.input(pull.reveal(), fflags="+genpts", **options)
    server = camera.output(
        source.reveal(),
        map="0:v:0",
        vcodec="copy",
        acodec="aac",
        ar=44100,
        format="flv",
        flvflags="no_duration_filesize",
        rw_timeout=_TIMEOUT_US,
    ).global_args("-map", "0:a:0?", "-nostdin", "-hide_banner", "-loglevel", "error")
    command: list[str] = ffmpeg.compile(server)
    return command


def relay(camera: CameraName, pull: StreamUrl, source: StreamUrl, run_dir: Path, clock: Clock) -> KeptProcess:
    """The relay of ``camera``, adopted if it runs: call its ``check()`` about once a second to keep it running."""
    return KeptProcess(f"relay-{camera}", relay_command(pull, source), run_dir, clock)
