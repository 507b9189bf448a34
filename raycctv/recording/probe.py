"""What is in a segment file: how much of it is whole, how long it lasts, how it is coded."""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.recording.command import SILENCE_S

_BOX_HEADER_BYTES = 8
_LARGE_HEADER_BYTES = 16


class Unplayable(RecordingError):
    """A file without a single frame that a player could show."""


@dataclass(frozen=True, slots=True)
class Media:
    """The video of a segment file.

    Attributes:
        duration_ns: from the first frame to the end of the last.
        codec: as ffmpeg names it.
    """

    duration_ns: int
    codec: str
    width_px: int
    height_px: int


def probe(path: Path) -> Media:
    """Read every packet of the file; decodes none.

    Raises:
        Unplayable: no video, or no keyframe in it.
        RecordingError: the file cannot be read at all.
    """
    try:
        with av.open(str(path)) as container:
            video = next(iter(container.streams.video), None)
            if video is None:
                raise Unplayable(f"{path}: holds no video")
            packets = [(p.pts, p.duration or 0, p.is_keyframe) for p in container.demux(video) if p.size and p.pts is not None]
            tick_ns = (video.time_base or 0) * NS_PER_S
            context = video.codec_context
    except (av.error.FileNotFoundError, av.error.PermissionError) as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except av.error.FFmpegError as error:
        raise Unplayable(f"{path}: {error.strerror}") from error
    if not any(keyframe for _, _, keyframe in packets):
        raise Unplayable(f"{path}: no keyframe among its {len(packets)} video packets")
    duration_ns = round(
        _shown_ticks([(pts, ticks) for pts, ticks, _ in packets], round(SILENCE_S * NS_PER_S / tick_ns)) * tick_ns
    )
    return Media(duration_ns, context.name, context.width, context.height)


def cut_torn_end(path: Path) -> int:
    """Take a fragment off the end that a crash left half written, so that every byte that stays plays.

    The file keeps its time of last change. Returns the number of bytes cut.
    """
    before = path.stat()
    whole_bytes = _whole_bytes(path, before.st_size)
    if whole_bytes < before.st_size:
        os.truncate(path, whole_bytes)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return before.st_size - whole_bytes


def _whole_bytes(path: Path, size_bytes: int) -> int:
    """Where the last whole top-level box ends; a ``moof`` counts once its ``mdat`` is whole. Source: ISO/IEC 14496-12, 4.2."""
    position = whole_bytes = 0
    with path.open("rb") as file:
        while True:
            file.seek(position)
            header = file.read(_LARGE_HEADER_BYTES)
            box_bytes = _box_bytes(header)
            if box_bytes is None or position + box_bytes > size_bytes:
                return whole_bytes
            position += box_bytes
            if header[4:8] != b"moof":
                whole_bytes = position


def _box_bytes(header: bytes) -> int | None:
    """Size of the box that begins so, or None where that is no box."""
    if len(header) < _BOX_HEADER_BYTES:
        return None
    size_bytes, least_bytes = int.from_bytes(header[:4], "big"), _BOX_HEADER_BYTES
    if size_bytes == 1 and len(header) == _LARGE_HEADER_BYTES:
        size_bytes, least_bytes = int.from_bytes(header[8:], "big"), _LARGE_HEADER_BYTES
    return size_bytes if size_bytes >= least_bytes else None


def _shown_ticks(packets: list[tuple[int, int]], longest_gap: int) -> int:
    """Ticks that (pts, duration) pairs cover. A jump of the camera's clock, longer than any silence that a recorder would
    sit through, counts as one frame."""
    ordered = sorted(packets)
    starts = [pts for pts, _ in ordered]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    usual = sorted(gaps)[len(gaps) // 2] if gaps else 0
    return sum(gap if gap <= longest_gap else usual for gap in gaps) + (ordered[-1][1] or usual)
