"""From a recorder's incoming folder into the archive.

A file is closed when its recorder does not hold it open. Order for each: probe, cut off a torn end, split where its coding
changes, fsync the file, make the day folder, rename, fsync both folders; then the caller inserts the row. A crash between any
two leaves a file that the next look, or the catalog's reconciliation, finds again.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.recording.command import FRAGMENT_S
from raycctv.recording.fragments import cut_torn_end, fragments, split_before
from raycctv.recording.layout import BROKEN, filed_path, free_path, fsync, incoming_dir, named_at_ns, recorded_number
from raycctv.recording.probe import Media, Unplayable, probe
from raycctv.types import CameraName, Segment

log = logging.getLogger(__name__)

_EARLIER_NS, _LATER_NS = 2 * NS_PER_S, NS_PER_S
"""By how much the first frame may have come before and after the instant from which the first fragment, or the name, tells: a
recorder reads its stream for up to a second before it opens its first file, and a fragment may be shorter than a second."""

_FRAGMENT_NS = FRAGMENT_S * NS_PER_S

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
        waiting = closed_files(incoming, recorder_pid)
        while waiting:
            path = waiting.pop(0)
            segment, rest = _filed(root, camera, path)
            waiting = [*rest, *waiting]
            if segment is not None:
                yield segment
    except OSError as error:
        raise RecordingError(f"{incoming}: {error.filename} cannot be filed: {error.strerror}") from error


def closed_files(incoming: Path, recorder_pid: int | None) -> list[Path]:
    """Files that nobody writes any more, oldest first.

    The folder is listed before the open files are, and a file that the recorder is just creating is still empty, so that one
    being written is never among them.
    """
    found = {path: path.stat() for path in incoming.glob("*.mp4")}
    open_now = set(open_files(recorder_pid, incoming))
    closed = [path for path, status in found.items() if recorder_pid is None or (status.st_size and path not in open_now)]
    return sorted(closed, key=lambda path: (found[path].st_mtime_ns, path.name))


def open_files(pid: int | None, folder: Path) -> Iterator[Path]:
    """What the process holds open in ``folder``; nothing where there is no process."""
    within = folder.resolve()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir() if pid is not None else ():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                path = descriptor.readlink()
                if path.parent == within:
                    yield folder / path.name


def growing(incoming: Path) -> Path | None:
    """The file that was written last and holds more than a header, if any."""
    found = []
    for path in incoming.glob("*.mp4"):
        with contextlib.suppress(FileNotFoundError):  # filed meanwhile
            status = path.stat()
            if status.st_size >= HEADER_BYTES:
                found.append((status.st_mtime_ns, path))
    return max(found)[1] if found else None


def set_aside(incoming: Path) -> None:
    """Give what an ended recorder left names that the next one, which numbers its files from 0 again, does not take.

    Raises:
        RecordingError: the disk refuses.
    """
    try:
        for path in incoming.glob("*.mp4"):
            if recorded_number(path.name) is not None:
                path.rename(free_path(path, first=1))
    except OSError as error:
        raise RecordingError(f"{incoming}: what the last recorder left cannot be renamed: {error.strerror}") from error


def described(root: Path, camera: CameraName, path: Path) -> Segment:
    """The row of the segment file at ``path``.

    Raises:
        Unplayable: it has no frame.
    """
    return _row(root, camera, path, probe(path))


def _row(root: Path, camera: CameraName, path: Path, media: Media) -> Segment:
    status = path.stat()
    return Segment(
        camera=camera,
        path=path.relative_to(root).as_posix(),
        started_at_ns=_started_at_ns(told_ns(path), status.st_mtime_ns - media.duration_ns),
        duration_ns=media.duration_ns,
        size_bytes=status.st_size,
        codec=media.codec,
        width_px=media.width_px,
        height_px=media.height_px,
    )


def _filed(root: Path, camera: CameraName, path: Path) -> tuple[Segment | None, list[Path]]:
    """The segment, if it plays, and what was split off."""
    try:
        media = probe(path)
    except Unplayable as error:
        _move_to_broken(root / camera / BROKEN, path, error)
        return None, []
    cut_bytes = cut_torn_end(path)
    if cut_bytes:
        log.warning("%s: %s: the recorder was cut off; %d bytes of a torn fragment taken off", camera, path.name, cut_bytes)
    rest = [] if media.changed_at is None else _split(path, media.changed_at)
    if rest:
        log.info("%s: %s: its camera changed how it codes; what follows is a segment of its own", camera, path.name)
    segment = _row(root, camera, path, probe(path) if cut_bytes or rest else media)
    fsync(path)
    filed = filed_path(root, camera, segment.started_at_ns)
    if not filed.parent.exists():
        filed.parent.mkdir()
        fsync(filed.parent.parent)
    path.rename(filed)
    fsync(filed.parent)
    fsync(path.parent)
    return replace(segment, path=filed.relative_to(root).as_posix()), rest


def _split(path: Path, changed_at: int) -> list[Path]:
    """Make two files of one; returns the new one, with what comes later, where there was anything to split."""
    rest, written = free_path(path, first=1), path.stat()
    if not split_before(path, changed_at, rest):
        return []
    os.utime(path, ns=(written.st_atime_ns, written.st_mtime_ns - probe(rest).duration_ns))
    return [rest]


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


def told_ns(path: Path) -> int | None:
    """When the file begins, to the second, as its first fragment tells, or else its name. Reads little of it."""
    first = next(fragments(path), None)
    if first is None or first.written_at_ns is None:
        return named_at_ns(path.name)
    return first.written_at_ns - _FRAGMENT_NS


def _started_at_ns(told_ns: int | None, last_write_less_duration_ns: int) -> int:
    """When the first frame came: as exact as the time of the last write tells, where that agrees with what the file tells.

    It does not where the stream fell silent before the file was closed, and in a copy that did not keep its time.
    """
    if told_ns is None or told_ns - _EARLIER_NS <= last_write_less_duration_ns < told_ns + _LATER_NS:
        return last_write_less_duration_ns
    return told_ns
