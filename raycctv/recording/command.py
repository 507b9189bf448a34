"""The command of a recorder: ffmpeg copies a stream into segments and decodes nothing."""

import zlib
from pathlib import Path
from typing import Any

import ffmpeg

from raycctv.config import Recording, StreamUrl
from raycctv.recording.layout import RUN_DIR, incoming_dir
from raycctv.types import CameraName

SILENCE_S = 10
"""Silence after which a recorder gives up its connection and is started again."""

FRAGMENT_S = 1
"""What a crash may cost: a fragment is written when it is complete."""

AUDIO_REFUSED = "Could not find tag for codec"
"""What ffmpeg says of sound that MP4 cannot hold. Source: ffmpeg 5.1, libavformat/movenc.c."""

_PROBE_S = 1
"""Time in which all streams of the input must have shown up. The packets read meanwhile are recorded. ffmpeg's default of
5 s would keep that much footage in memory only, at every start."""

_US_PER_S = 1_000_000

_KEYFRAMES_S = 86400
"""Time after which the list of keyframes is begun anew. There are two lists, so that at least this time is in them."""


def record_command(camera: CameraName, source: StreamUrl, recording: Recording, *, transcode_audio: bool = False) -> list[str]:
    """The argv of the camera's recorder; it must run with ``TZ=UTC``.

    Segments are fragmented MP4, opened at the first keyframe after a multiple of ``segment_s`` (plus the camera's stagger)
    on the clock, and written to the camera's incoming folder. They are numbered from 0, since a name that comes from the
    clock comes again when that is set back; the times are in the fragments.

    A stream by RTMP tells apart from its frames how they are coded, and MP4 can say that only once. So its keyframes are also
    listed, with what is told with them: :mod:`.changes`.

    Args:
        transcode_audio: make AAC of the sound, where it is in a form that MP4 cannot hold (G.711 of many cameras).
    """
    pattern = incoming_dir(recording.root, camera) / f"{camera}_%d.mp4"
    source_options = {"analyzeduration": _PROBE_S * _US_PER_S, "fpsprobesize": 0, **protocol_options(source)}
    stream = ffmpeg.input(source.reveal(), **source_options)
    output = ffmpeg.output(
        stream["v:0"],
        stream["a?"],
        _escaped(pattern.parent) + pattern.name,
        **{"c:v": "copy", "c:a": "aac" if transcode_audio else "copy"},
        f="segment",
        segment_time=recording.segment_s,
        segment_atclocktime=1,
        segment_clocktime_offset=stagger_s(camera, recording.segment_s),
        reset_timestamps=1,
        segment_format="mp4",
        segment_format_options=_fragmented(source),
    )
    outputs = [output] if is_rtsp(source) else [output, _keyframes(stream, keyframes_path(recording.root, camera))]
    argv: list[str] = ffmpeg.compile(ffmpeg.merge_outputs(*outputs).global_args("-nostdin", "-loglevel", "error"))
    return argv


def keyframes_path(root: Path, camera: CameraName) -> Path:
    """Where the recorder lists keyframes; 0 or 1 comes behind it."""
    return root / RUN_DIR / f"recorder-{camera}.keyframes"


def stagger_s(camera: CameraName, segment_s: int) -> int:
    """Seconds by which the camera cuts before the others, 0 to ``segment_s`` - 1; the same for ever for a name."""
    return zlib.crc32(camera.encode()) % segment_s


def protocol_options(source: StreamUrl) -> dict[str, object]:
    """Options of ffmpeg for reading a live stream, which gives up after :data:`SILENCE_S`."""
    silence_us = SILENCE_S * _US_PER_S
    if is_rtsp(source):
        return {"rtsp_transport": "tcp", "timeout": silence_us}  # a lost UDP packet is a torn picture for a whole GOP
    return {"rtmp_live": "live", "rw_timeout": silence_us}


def is_rtsp(source: StreamUrl) -> bool:
    """Whether a camera is asked by RTSP."""
    return source.scheme in ("rtsp", "rtsps")


def _keyframes(stream: Any, path: Path) -> Any:
    """An output that has a line for each keyframe."""
    return ffmpeg.output(
        stream["v:0"],
        _escaped(path.parent) + path.name + "%d",
        **{"c:v": "copy", "bsf:v": "noise=drop=not(key)"},
        f="segment",
        segment_time=_KEYFRAMES_S,
        segment_wrap=2,
        segment_format="framehash",
        segment_format_options="hash=adler32:flush_packets=1",
    )


def _fragmented(source: StreamUrl) -> str:
    """Options of the MP4 muxer. Without ``flush_packets`` ffmpeg holds back up to 256 KiB, which is many seconds of a small
    stream. With ``write_prft`` a fragment says when it was written; by RTSP it would say what the camera's clock showed.
    Source: ffmpeg 5.1, libavformat/file.c, ``min_packet_size``, and movenc.c, ``mov_write_prft_tag``."""
    flags = "+frag_keyframe+empty_moov+default_base_moof"
    told = "" if is_rtsp(source) else ":write_prft=wallclock"
    return f"movflags={flags}:frag_duration={FRAGMENT_S * _US_PER_S}:flush_packets=1{told}"


def _escaped(folder: Path) -> str:
    """A folder in a pattern with a number."""
    return str(folder).replace("%", "%%") + "/"
