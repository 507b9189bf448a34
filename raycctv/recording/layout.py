"""Where footage lies below the recording root::

    catalog.sqlite3                                        what there is; rebuilt from the files when lost
    <camera>/incoming/<camera>_<number>.mp4                being written, or closed and not yet filed
    <camera>/<YYYY-MM-DD>/<camera>_<YYYYMMDDTHHMMSSZ>.mp4  filed; a second file of the same second ends in -1.mp4
    <camera>/broken/                                       files of which no frame plays, kept for whoever wants to know why
    .run/                                                  pid files of recorders and relays

    .run/lock                                              held by whoever looks after the folder
    .run/recorder-<camera>.keyframes0, 1                   what recorders by RTMP list beside: see :mod:`.changes`

Times are UTC and those at which the first frame came. Numbers count the files of one recorder; what it leaves has another
ending (``_0-1.mp4``) when the next is started.
"""

import fcntl
import itertools
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.types import CameraName

CATALOG_NAME = "catalog.sqlite3"
RUN_DIR = ".run"
INCOMING = "incoming"
BROKEN = "broken"
STAMP_FORMAT = "%Y%m%dT%H%M%SZ"

_FILE_NAME = re.compile(r"(?P<camera>.+)_(?P<stamp>\d{8}T\d{6}Z)(?:-\d+)?\.mp4")
_RECORDED_NAME = re.compile(r".+_(?P<number>\d+)\.mp4")
_DAY_NAME = re.compile(r"\d{4}-\d{2}-\d{2}")


def incoming_dir(root: Path, camera: CameraName) -> Path:
    """The folder that the camera's recorder writes to."""
    return root / camera / INCOMING


def named_at_ns(file_name: str) -> int | None:
    """When the segment of that name begins, to the second (UTC nanoseconds); None where it is no segment's name."""
    match = _FILE_NAME.fullmatch(file_name)
    try:
        return (
            None
            if match is None
            else int(datetime.strptime(match["stamp"] + "+0000", STAMP_FORMAT + "%z").timestamp()) * NS_PER_S
        )
    except ValueError:  # 20241399T...: digits, but no date
        return None


def recorded_number(file_name: str) -> int | None:
    """Which file of its recorder the one of that name is; None where it is not of the recorder that was started last."""
    match = _RECORDED_NAME.fullmatch(file_name)
    return None if match is None else int(match["number"])


def filed_path(root: Path, camera: CameraName, started_ns: int) -> Path:
    """A free path for a segment that begins then."""
    started = datetime.fromtimestamp(started_ns // NS_PER_S, UTC)
    return free_path(root / camera / f"{started:%Y-%m-%d}" / f"{camera}_{started:{STAMP_FORMAT}}.mp4")


def free_path(path: Path, first: int = 0) -> Path:
    """The first of ``path`` (0), ``path`` with ``-1``, ``-2``, ... before its ending that does not exist yet."""
    for number in itertools.count(first):
        free = path.with_stem(f"{path.stem}-{number}") if number else path
        if not free.exists():
            return free
    raise AssertionError("there are infinitely many numbers")


def filed_files(root: Path) -> Iterator[tuple[CameraName, Path]]:
    """Every filed segment on disk, in no particular order."""
    for day in root.glob("*/*"):
        if _DAY_NAME.fullmatch(day.name) and day.is_dir():
            for path in day.glob("*.mp4"):
                if named_at_ns(path.name) is not None:
                    yield CameraName(day.parent.name), path


def make_writable(folder: Path) -> None:
    """Make a folder and those above it, and see that something can be written there.

    Raises:
        RecordingError: it cannot be; names the folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RecordingError(f"recording.root: {folder} cannot be written: {error.strerror}") from error


def claim(root: Path, wait_s: float = 5.0) -> IO[bytes]:
    """Look after a folder alone, until the file that is returned is closed or this process ends.

    Raises:
        RecordingError: somebody else does, even after ``wait_s``, in which who is just ending lets go.
    """
    make_writable(root / RUN_DIR)
    file = (root / RUN_DIR / "lock").open("wb")
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError as error:
            if time.monotonic() > deadline_s:
                file.close()
                raise RecordingError(
                    f"recording.root: {root} is looked after by another storage actor; nodes on one disk need {{node}} in it"
                ) from error
            time.sleep(0.1)


def fsync(path: Path) -> None:
    """Force a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(root: Path, path: str) -> None:
    """Unlink a filed segment and wait until that is on disk; then its day folder, where that was the last. Idempotent.

    Raises:
        RecordingError: the disk does not let it go.
    """
    file = root / path
    try:
        file.unlink(missing_ok=True)
        if file.parent.is_dir():
            fsync(file.parent)
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
    except OSError as error:
        raise RecordingError(f"{file}: cannot be deleted: {error.strerror}") from error
