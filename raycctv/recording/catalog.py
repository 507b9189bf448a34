"""What footage and which events there are: SQLite, used by several processes at once.

The storage actor writes segments, the sink events, the commands read. A row is inserted after its file is safely on disk and
dropped after the file is gone, so that a crash leaves at worst a file without a row or a row marked as being deleted; both
are settled by :meth:`Catalog.reconcile`. Segments can be made anew from the files.
"""

import contextlib
import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from raycctv.clock import Clock, SystemClock
from raycctv.errors import CatalogError
from raycctv.recording.filing import described
from raycctv.recording.layout import CATALOG_NAME, filed_files
from raycctv.recording.probe import Unplayable
from raycctv.recording.schema import NotACatalog, as_catalog_error, open_database, open_existing
from raycctv.types import CameraName, Event, Segment

__all__ = ["CATALOG_NAME", "Catalog"]

log = logging.getLogger(__name__)

_SEGMENT_COLUMNS = "camera, path, started_at_ns, ended_at_ns - started_at_ns, size_bytes, codec, width_px, height_px"
_EVENT_COLUMNS = "id, camera, kind, started_at_ns, ended_at_ns, labels, zones, box, score, model, snapshot, why"

_PUT_SEGMENT = """
INSERT INTO segments (camera, path, started_at_ns, ended_at_ns, size_bytes, codec, width_px, height_px)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (path) DO NOTHING"""

_PUT_EVENT = f"""
INSERT INTO events ({_EVENT_COLUMNS}, told_at_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    ended_at_ns = excluded.ended_at_ns, labels = excluded.labels, zones = excluded.zones, box = excluded.box,
    score = excluded.score, snapshot = coalesce(excluded.snapshot, snapshot), why = excluded.why,
    told_at_ns = excluded.told_at_ns
WHERE ended_at_ns IS NULL OR excluded.ended_at_ns > ended_at_ns"""  # noqa: S608 - no value in it


class Catalog:
    """The catalog at ``path``. Close it, or use it as a context manager. Thread-safe.

    Args:
        read_only: open one that exists and change nothing, rather than make a missing or damaged one anew.

    Raises (every method):
        CatalogError: the file cannot be opened, read or written; names it.
    """

    def __init__(self, path: Path, *, read_only: bool = False, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._owed: dict[str, Segment] = {}
        self._connection = open_existing(path) if read_only else open_database(path, rebuild=True)

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._connection.close()

    def add_segment(self, segment: Segment) -> None:
        """Insert a row; nothing happens where the path has one. A row that cannot be written now is written with the next."""
        with self._lock:
            self._owed[segment.path] = segment
            with self._transaction():
                self._connection.executemany(_PUT_SEGMENT, [_segment_row(owed) for owed in self._owed.values()])
            self._owed.clear()

    def segments(
        self, camera: CameraName | None = None, from_ns: int | None = None, to_ns: int | None = None
    ) -> list[Segment]:
        """Segments that share time with [from_ns, to_ns), by camera and time; those being deleted are not among them."""
        conditions = {"camera = ?": camera, "ended_at_ns > ?": from_ns, "started_at_ns < ?": to_ns}
        where, values = _where(conditions, "state = 'closed'")
        query = f"SELECT {_SEGMENT_COLUMNS} FROM segments {where} ORDER BY camera, started_at_ns, path"  # noqa: S608
        return [Segment(*row) for row in self._rows(query, values)]

    def total_bytes(self) -> int:
        """Bytes of all segments."""
        total = self._rows("SELECT coalesce(sum(size_bytes), 0) FROM segments WHERE state = 'closed'")[0][0]
        return int(total)

    def mark_deleting(self, paths: Sequence[str]) -> None:
        """Decide that these go. From now on :meth:`segments` does not list them."""
        self._for_each("UPDATE segments SET state = 'deleting' WHERE path = ?", paths)

    def deleting(self) -> list[str]:
        """Paths that are marked; their files may or may not be gone."""
        return [path for (path,) in self._rows("SELECT path FROM segments WHERE state = 'deleting' ORDER BY path")]

    def drop(self, paths: Sequence[str]) -> None:
        """Forget segments whose files are gone."""
        self._for_each("DELETE FROM segments WHERE path = ?", paths)

    def put_event(self, event: Event) -> None:
        """Insert an event, or replace an earlier version of it. An event that has ended stays so."""
        with self._transaction():
            self._connection.execute(_PUT_EVENT, (*_event_row(event), self._clock.now_ns()))

    def events(
        self,
        camera: CameraName | None = None,
        kind: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
    ) -> list[Event]:
        """Events that share time with [from_ns, to_ns), newest first. One that has not ended lasts until now."""
        conditions = {
            "camera = ?": camera,
            "kind = ?": kind,
            "(ended_at_ns IS NULL OR ended_at_ns >= ?)": from_ns,
            "started_at_ns < ?": to_ns,
        }
        where, values = _where(conditions)
        query = f"SELECT {_EVENT_COLUMNS} FROM events {where} ORDER BY started_at_ns DESC, id DESC LIMIT ?"  # noqa: S608
        return [_event(row) for row in self._rows(query, [*values, -1 if limit is None else limit])]

    def unended_events(self, camera: CameraName) -> list[tuple[Event, int]]:
        """Events of the camera without an end, oldest first, and when each was last put (UTC nanoseconds)."""
        query = f"SELECT {_EVENT_COLUMNS}, told_at_ns FROM events WHERE camera = ? AND ended_at_ns IS NULL ORDER BY id"  # noqa: S608
        return [(_event(row[:-1]), row[-1]) for row in self._rows(query, [camera])]

    def segments_of(self, event: Event) -> list[Segment]:
        """Filed segments that show the event, oldest first. That of its last minute follows when it is closed."""
        to_ns = None if event.ended_at_ns is None else event.ended_at_ns + 1
        return self.segments(event.camera, event.started_at_ns, to_ns)

    def reconcile(self, root: Path) -> None:
        """Make rows and files agree after a crash: finish deletions, drop rows without files, describe files without rows.

        A damaged catalog is put aside and made anew from the files; its events remain in the event log.
        """
        try:
            self._reconcile(root)
        except NotACatalog:
            self._replace()
            self._reconcile(root)

    def _reconcile(self, root: Path) -> None:
        marked = self.deleting()
        for path in marked:
            with contextlib.suppress(FileNotFoundError):
                (root / path).unlink()
        self.drop(marked)
        rows = {segment.path for segment in self.segments()}
        files = {path.relative_to(root).as_posix(): camera for camera, path in filed_files(root)}
        lost = sorted(rows - files.keys())
        self.drop(lost)
        found = 0
        for path in sorted(files.keys() - rows):
            found += self._describe(root, files[path], path)
        if marked or lost or found:
            log.info("%s: %d deletions finished, %d rows without a file dropped, %d files without a row described",
                     self.path, len(marked), len(lost), found)  # fmt: skip

    def _describe(self, root: Path, camera: CameraName, path: str) -> bool:
        try:
            self.add_segment(described(root, camera, root / path))
        except Unplayable as error:
            log.warning("%s: left out of the catalog: %s", self.path, error)
            return False
        return True
