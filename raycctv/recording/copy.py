"""Second copies of segments in another folder or object store, under the same relative paths.

Order for each: stream into ``<name>.part`` and hash, read that back, and only if its hash agrees give it its name; then the
row. What a crash leaves between any two of these is found again: a ``.part`` is written anew, a whole copy without a row is
read, and counts.
"""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from raycctv.clock import Clock
from raycctv.errors import RaycctvError, RecordingError
from raycctv.recording.layout import fsync
from raycctv.redact import redact
from raycctv.types import Copy, Segment

BATCH = 16
"""Segments of one round at most."""

_THREADS = 4
_CHUNK_BYTES = 1 << 20


class Store:
    """Where the copies go: a folder, or what fsspec knows by URL.

    Raises (every method too):
        RecordingError: it cannot be reached, read or written, or ``stop`` was set; names the path and says why.
    """

    def __init__(self, to: str) -> None:
        self._to = to
        with self._translated(""):
            # a connection that broke must not be taken out of fsspec's cache
            self._fs, self._root = url_to_fs(to, skip_instance_cache=True)
            self._local = isinstance(self._fs, LocalFileSystem)
            if self._local and not Path(self._root).is_dir():
                raise FileNotFoundError(None, "there is no such folder; make it, or mount its disk")

    def size_bytes(self, path: str) -> int | None:
        """Of the file at ``path``, None where there is none."""
        with self._translated(path):
            self._fs.invalidate_cache()
            try:
                return int(self._fs.info(self._at(path))["size"])
            except FileNotFoundError:
                return None

    def sha256(self, path: str, stop: threading.Event) -> str:
        """Of the bytes at ``path``, all of which are read."""
        with self._translated(path), self._fs.open(self._at(path), "rb") as file:
            return _sha256(file, stop)

    def write(self, path: str, original: IO[bytes], stop: threading.Event) -> str:
        """Write what ``original`` holds to ``path``; returns its sha256. What lay there is replaced."""
        digest = hashlib.sha256()
        with self._translated(path):
            target = self._at(path)
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            with self._fs.open(target, "wb") as copy:
                for chunk in _chunks(original, stop):
                    digest.update(chunk)
                    copy.write(chunk)
            if self._local:
                fsync(Path(target))
        return digest.hexdigest()

    def rename(self, path: str, new: str) -> None:
        """Give the file at ``path`` another name; what had that is replaced."""
        with self._translated(new):
            if self.size_bytes(new) is not None:
                self._fs.rm(self._at(new))
            self._fs.mv(self._at(path), self._at(new))
            if self._local:
                for folder in Path(self._at(new)).parents[: 1 + new.count("/")]:
                    fsync(folder)

    def _at(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}"

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        try:
            yield
        except RaycctvError:
            raise
        except Exception as error:  # file systems raise what their clients raise: OSError, botocore's, paramiko's
            where = f"{self._to.rstrip('/')}/{path}".rstrip("/")
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise RecordingError(redact(f"{where}: {reason}")) from error


def copy_one(store: Store, root: Path, segment: Segment, clock: Clock, stop: threading.Event) -> Copy:
    """Copy one segment, or find that its whole copy is there already.

    Raises:
        RecordingError: the store refuses, what it gives back is not what it was given, the segment is gone, or ``stop`` was
            set.
    """
    path = root / segment.path
    try:
        with path.open("rb") as original:
            size_bytes = os.fstat(original.fileno()).st_size
            digest = _found(store, segment.path, original, size_bytes, stop)
            if digest is None:
                original.seek(0)
                digest = _written(store, segment.path, original, size_bytes, stop)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    return Copy(segment.path, size_bytes, digest, clock.now_ns())


def _found(store: Store, path: str, original: IO[bytes], size_bytes: int, stop: threading.Event) -> str | None:
    """The hash of a whole copy that is there already, or None."""
    if store.size_bytes(path) != size_bytes:
        return None
    digest = _sha256(original, stop)
    return digest if store.sha256(path, stop) == digest else None


def _written(store: Store, path: str, original: IO[bytes], size_bytes: int, stop: threading.Event) -> str:
    draft = f"{path}.part"
    digest = store.write(draft, original, stop)
    if store.sha256(draft, stop) != digest:
        raise RecordingError(f"{draft}: what was read back is not what was written; it does not count")
    store.rename(draft, path)
    if store.size_bytes(path) != size_bytes:
        raise RecordingError(f"{path}: was whole until it got its name; it does not count")
    return digest


def copy_round(
    store: Store,
    root: Path,
    segments: Sequence[Segment],
    clock: Clock,
    stop: threading.Event,
    note: Callable[[Copy], None],
) -> dict[str, str]:
    """Copy the first :data:`BATCH` of ``segments``, four at once; each is noted as soon as it counts.

    The first that fails ends the round, since what hinders one mostly hinders all.

    Args:
        note: is called from several threads.

    Returns:
        Why, by path, for those that failed.
    """
    left = iter(segments[:BATCH])
    failed: dict[str, str] = {}

    def work() -> None:
        while not failed and not stop.is_set() and (segment := next(left, None)) is not None:
            try:
                note(copy_one(store, root, segment, clock, stop))
            except RaycctvError as error:
                failed[segment.path] = str(error)

    # no executor: Python waits for its threads when it ends, and a store may hang
    workers = [threading.Thread(target=work, name="second copy", daemon=True) for _ in range(_THREADS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return failed


def _sha256(file: IO[bytes], stop: threading.Event) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file, stop):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: IO[bytes], stop: threading.Event) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        if stop.is_set():
            raise RecordingError("stopped")
        yield chunk
