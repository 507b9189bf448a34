"""The recorder of one camera: ffmpeg's arguments. It copies packets into segments and depends on nothing but its source."""

import zlib
from pathlib import Path

import ffmpeg

from raycctv.config.units import StreamUrl
from raycctv.recording.segments import file_pattern
from raycctv.types import CameraName

_TIMEOUT_US = 10_000_000
"""Silence after which the recorder ends, to be started again: a connection that is half open says nothing for ever."""

_FRAGMENT_US = 1_000_000
"""What a crash may cost: ffmpeg writes a fragment of this length as a whole."""

_MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof"
_PROBE_US, _PROBE_BYTES = 1_000_000, 500_000


def recorder_command(camera: CameraName, source: StreamUrl, folder: Path, segment_s: int) -> list[str]:
    """ffmpeg's arguments to record ``source`` into ``folder``, in segments that begin at multiples of ``segment_s``.

    A camera's segments are staggered by a constant of its own, so that not every camera's file changes in the same second.
    The arguments may hold the camera's password.
    """
    stream = ffmpeg.input(source.reveal(), analyzeduration=_PROBE_US, probesize=_PROBE_BYTES, **_input_options(source))
    recorded = stream.output(
        str(folder / file_pattern(camera)),
        map="0:v:0",
        c="copy",
        format="segment",
        segment_time=segment_s,
        segment_atclocktime=1,
        segment_clocktime_offset=stagger_s(camera, segment_s),
        reset_timestamps=1,
        strftime=1,
        segment_format="mp4",
        segment_format_options=f"movflags={_MOVFLAGS}:frag_duration={_FRAGMENT_US}:flush_packets=1",
    ).global_args("-map", "0:a?", "-nostdin", "-hide_banner", "-loglevel", "error")
    command: list[str] = ffmpeg.compile(recorded)
    return command


def stagger_s(camera: CameraName, segment_s: int) -> int:
    """Seconds by which the segments of ``camera`` begin after those at the clock's multiples: always the same for a name."""
    return zlib.crc32(camera.encode()) % segment_s


def _input_options(source: StreamUrl) -> dict[str, object]:
    if source.scheme in ("rtsp", "rtsps"):
        return {"rtsp_transport": "tcp", "timeout": _TIMEOUT_US}
    return {"rw_timeout": _TIMEOUT_US, "rtmp_live": "live"}
