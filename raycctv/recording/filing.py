"""From a recorder's incoming folder into the archive.

A file is closed when its recorder does not hold it open. Order for each: probe, cut off a torn end, fsync the file, make the
day folder, rename, fsync both folders; then the caller inserts the row. A crash between any two leaves a file that the next
look, or the catalog's reconciliation, finds again.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.recording.layout import BROKEN, filed_path, free_path, fsync, incoming_dir, opened_at_ns
from raycctv.recording.probe import Unplayable, cut_torn_end, probe
from raycctv.types import CameraName, Segment

log = logging.getLogger(__name__)

_PROBED_EARLIER_NS = 2 * NS_PER_S
"""A recorder reads its stream for up to a second before it opens its first file, and writes that second into it."""


HEADER_BYTES = 4096
"""More than the header of a segment, less than any frame with it."""


def file_closed(root: Path, camera: CameraName, recorder_pid: int | None) -> Iterator[Segment]:
    """File what the camera's recorder has closed, one at each step, oldest first. Insert its row before the next step.

    Args:
        recorder_pid: the recorder, if it runs.

    Raises:
        RecordingError: the disk refuses; what was not filed stays where it is for the next look.
    """
    incoming = incoming_dir(root, camera)
    try:
        for path in closed_files(incoming, recorder_pid):
            segment = _filed(root, camera, path)
            if segment is not None:
                yield segment
    except OSError as error:
        raise RecordingError(f"{incoming}: {error.filename} cannot be filed: {error.strerror}") from error


def closed_files(incoming: Path, recorder_pid: int | None) -> list[Path]:
    """Files that nobody writes any more, oldest first.

    The folder is listed before the open files are, and a file that the recorder is just creating is still empty, so that one
    being written is never among them, whatever the clock does to names and times.
    """
    opened = {path: opened_at_ns(path.name) for path in incoming.glob("*.mp4")}
    sizes = {path: path.stat().st_size for path, at_ns in opened.items() if at_ns is not None}
    open_now = set(open_files(recorder_pid))
    closed = [path for path, size in sizes.items() if recorder_pid is None or (size and path.resolve() not in open_now)]
    return sorted(closed, key=lambda path: (opened[path] or 0, path.name))


def open_files(pid: int | None) -> Iterator[Path]:
    """What the process holds open; nothing where there is none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir() if pid is not None else ():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                yield descriptor.readlink()


def set_aside(incoming: Path) -> None:
    """Give what an ended recorder left names that the next one, started within the same second, does not take.

    Raises:
        RecordingError: the disk refuses.
    """
    try:
        for path in incoming.glob("*Z.mp4"):
            path.rename(free_path(path, first=1))
    except OSError as error:
        raise RecordingError(f"{incoming}: what the last recorder left cannot be renamed: {error.strerror}") from error


def described(root: Path, camera: CameraName, path: Path) -> Segment:
    """The row of the segment file at ``path``.

    Raises:
        Unplayable: it has no frame.
    """
    media = probe(path)
    status = path.stat()
    return Segment(
        camera=camera,
        path=path.relative_to(root).as_posix(),
        started_at_ns=_started_at_ns(opened_at_ns(path.name) or 0, status.st_mtime_ns - media.duration_ns),
        duration_ns=media.duration_ns,
        size_bytes=status.st_size,
        codec=media.codec,
        width_px=media.width_px,
        height_px=media.height_px,
    )


def _filed(root: Path, camera: CameraName, path: Path) -> Segment | None:
    try:
        segment = described(root, camera, path)
    except Unplayable as error:
        _move_to_broken(root / camera / BROKEN, path, error)
        return None
    cut_bytes = cut_torn_end(path)
    if cut_bytes:
        log.warning("%s: %s: the recorder was cut off; %d bytes of a torn fragment taken off", camera, path.name, cut_bytes)
        segment = described(root, camera, path)
    fsync(path)
    filed = filed_path(root, camera, opened_at_ns(path.name) or 0)
    if not filed.parent.exists():
        filed.parent.mkdir()
        fsync(filed.parent.parent)
    path.rename(filed)
    fsync(filed.parent)
    fsync(path.parent)
    return replace(segment, path=filed.relative_to(root).as_posix())


def _move_to_broken(broken: Path, path: Path, reason: Unplayable) -> None:
    """Keep what might still tell something; a mere header, of which a full disk leaves one at every try, does not."""
    if path.stat().st_size < HEADER_BYTES:
        path.unlink()
        log.info("%s: removed: no frame had come", path.name)
        return
    broken.mkdir(exist_ok=True)
    target = free_path(broken / path.name)
    path.rename(target)
    log.warning("%s: moved to %s: %s", path.name, target, reason)


def _started_at_ns(opened_ns: int, last_write_less_duration_ns: int) -> int:
    """When the first frame came: as exact as the time of the last write tells, where that agrees with the file's name.

    It does not where the stream fell silent before the file was closed, and in a copy that did not keep its time.
    """
    earliest_ns, latest_ns = opened_ns - _PROBED_EARLIER_NS, opened_ns + NS_PER_S
    return last_write_less_duration_ns if earliest_ns <= last_write_less_duration_ns < latest_ns else opened_ns
