"""Names of segments, and what a file says of itself."""

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import av
import av.error

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.types import CameraName, Segment

INCOMING, BROKEN = "incoming", "broken"
_STAMP = "%Y%m%dT%H%M%SZ"
_FILE = re.compile(r"(?P<camera>[A-Za-z0-9][A-Za-z0-9_-]*)_(?P<stamp>\d{8}T\d{6}Z)\.mp4")


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the packets of a file say.

    Attributes:
        duration_ns: from the first picture to the end of the last.
    """

    duration_ns: int
    codec: str
    width_px: int
    height_px: int


def file_name(camera: CameraName, started_at_ns: int) -> str:
    """``<camera>_<YYYYMMDDTHHMMSSZ>.mp4``."""
    return f"{camera}_{_utc(started_at_ns):{_STAMP}}.mp4"


def file_pattern(camera: CameraName) -> str:
    """The same for ffmpeg's strftime, in a process whose zone is UTC."""
    return f"{camera}_{_STAMP}.mp4"


def segment_path(camera: CameraName, started_at_ns: int) -> PurePosixPath:
    """Where a closed segment lies, relative to the root."""
    return PurePosixPath(camera, f"{_utc(started_at_ns):%Y-%m-%d}", file_name(camera, started_at_ns))


def started_at_ns(name: str) -> int | None:
    """The start that a file's name says, or None where it is no segment's name."""
    match = _FILE.fullmatch(name)
    if match is None:
        return None
    try:
        return int(datetime.strptime(match["stamp"], _STAMP).replace(tzinfo=UTC).timestamp()) * NS_PER_S
    except ValueError:
        return None


def camera_of(name: str) -> CameraName | None:
    """The camera that a file's name says, or None where it is no segment's name."""
    match = _FILE.fullmatch(name)
    return CameraName(match["camera"]) if match else None


def probe(path: Path) -> SegmentFacts:
    """Read the packets of a file; nothing is decoded.

    Raises:
        RecordingError: no video can be read from it.
    """
    try:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            first, end, last_step = None, 0, 0
            for packet in container.demux(video):
                if packet.size == 0 or packet.pts is None:
                    continue
                first = packet.pts if first is None else min(first, packet.pts)
                last_step = packet.duration or last_step
                end = max(end, packet.pts + (packet.duration or last_step))
            if first is None or video.time_base is None:
                raise RecordingError(f"{path}: holds no picture")
            duration_s = float((end - first) * video.time_base)
            context = video.codec_context
            return SegmentFacts(round(duration_s * NS_PER_S), context.name, context.width, context.height)
    except (av.error.FFmpegError, OSError, IndexError) as error:
        raise RecordingError(f"{path}: is no video that plays: {error}") from error


def describe(root: Path, path: Path) -> Segment:
    """The catalog's row for a file in a day folder.

    Raises:
        RecordingError: it has no segment's name, or does not play.
    """
    camera, start_ns = camera_of(path.name), started_at_ns(path.name)
    if camera is None or start_ns is None:
        raise RecordingError(f"{path}: is not named <camera>_<YYYYMMDDTHHMMSSZ>.mp4")
    facts = probe(path)
    return Segment(
        camera=camera,
        path=path.relative_to(root).as_posix(),
        started_at_ns=start_ns,
        duration_ns=facts.duration_ns,
        size_bytes=path.stat().st_size,
        codec=facts.codec,
        width_px=facts.width_px,
        height_px=facts.height_px,
    )


def fsync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _utc(instant_ns: int) -> datetime:
    return datetime.fromtimestamp(instant_ns // NS_PER_S, UTC)
