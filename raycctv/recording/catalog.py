"""What footage and which events there are: SQLite, one file in the recording root, read and written by several processes.

The files are the truth about footage: the table of segments can be made again from them (:meth:`Catalog.reconcile`).
"""

import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Self

from raycctv.errors import CatalogError, RecordingError
from raycctv.recording.segments import BROKEN, INCOMING, describe, fsync
from raycctv.types import CameraName, Event, Segment

log = logging.getLogger(__name__)

CATALOG_NAME = "catalog.sqlite3"
_SCHEMA_VERSION = 1
_BUSY_MS = 10_000
_NS_MAX = 2**63 - 1

_SCHEMA = """
CREATE TABLE segments (
    camera TEXT NOT NULL,
    path TEXT PRIMARY KEY,
    started_at_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    codec TEXT NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    deleting INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX segments_by_time ON segments (camera, started_at_ns);
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (started_at_ns);
CREATE INDEX events_by_camera ON events (camera, started_at_ns);
"""

_EVENT_COLUMNS = "id, camera, kind, started_at_ns, ended_at_ns, body"
_SEGMENT_COLUMNS = ", ".join(field.name for field in fields(Segment))


@dataclass(frozen=True)
class Reconciled:
    """What a start-up found out of step, and has put right."""

    inserted: int
    dropped: int
    deletions_finished: int


class Catalog:
    """The catalog in the file ``path``, made at the first use. A context manager; may be used from several threads.

    Raises:
        CatalogError: it cannot be opened, is damaged, or was written by a later version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._translated():
            self._connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        self._migrate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()

    def add_segment(self, segment: Segment) -> None:
        """A closed file that is on disk. Adding one again changes nothing but what was wrong."""
        marks = ", ".join("?" * len(fields(Segment)))
        self._execute(f"INSERT OR REPLACE INTO segments ({_SEGMENT_COLUMNS}) VALUES ({marks})", astuple(segment))  # noqa: S608

    def segments(self, camera: CameraName | None = None, from_ns: int | None = None, to_ns: int | None = None) -> list[Segment]:
        """Segments that overlap the span, oldest first; those that are being deleted are gone already."""
        rows = self._execute(
            f"SELECT {_SEGMENT_COLUMNS} FROM segments WHERE NOT deleting AND (?1 IS NULL OR camera = ?1)"  # noqa: S608
            " AND started_at_ns < ?2 AND started_at_ns + duration_ns > ?3 ORDER BY started_at_ns, camera",
            (camera, _NS_MAX if to_ns is None else to_ns, -1 if from_ns is None else from_ns),
        )
        return [Segment(*row) for row in rows]

    def mark_deleting(self, paths: Iterable[str]) -> None:
        """Say that these are about to be unlinked; what a crash leaves so is finished at the next start."""
        self._execute_many("UPDATE segments SET deleting = 1 WHERE path = ?", ((path,) for path in paths))

    def drop(self, paths: Iterable[str]) -> None:
        """Forget segments whose files are gone."""
        self._execute_many("DELETE FROM segments WHERE path = ?", ((path,) for path in paths))

    def put_event(self, event: Event) -> bool:
        """Record a state of an event; returns whether it was news. An event that has ended stays so."""
        body = json.dumps({"labels": event.labels, "zones": event.zones, "box": event.box, "score": event.score,
                           "model": event.model, "snapshot": event.snapshot, "why": event.why})  # fmt: skip
        changed = self._execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind,"
            " ended_at_ns = excluded.ended_at_ns, body = excluded.body"
            " WHERE events.ended_at_ns IS NULL AND (excluded.ended_at_ns IS NOT NULL OR excluded.body <> events.body)"
            " RETURNING 1",
            (event.id, event.camera, event.kind, event.started_at_ns, event.ended_at_ns, body),
        )
        return bool(changed)

    def event(self, event_id: str) -> Event | None:
        """The event of that id, in its last state."""
        rows = self._execute(f"SELECT {_EVENT_COLUMNS} FROM events WHERE id = ?", (event_id,))  # noqa: S608
        return _event(rows[0]) if rows else None

    def events(
        self,
        camera: CameraName | None = None,
        kind: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
        *,
        only_open: bool = False,
    ) -> list[Event]:
        """Events that overlap the span, newest first, at most ``limit``. One that goes on has no end yet."""
        rows = self._execute(
            f"SELECT {_EVENT_COLUMNS} FROM events WHERE (?1 IS NULL OR camera = ?1)"  # noqa: S608
            " AND (?2 IS NULL OR kind = ?2) AND started_at_ns < ?3 AND coalesce(ended_at_ns, ?5) >= ?4"
            " AND (NOT ?7 OR ended_at_ns IS NULL) ORDER BY started_at_ns DESC, id LIMIT ?6",
            (
                camera, kind, _NS_MAX if to_ns is None else to_ns, -1 if from_ns is None else from_ns, _NS_MAX,
                -1 if limit is None else limit, only_open,
            ),
        )  # fmt: skip
        return [_event(row) for row in rows]

    def segments_of(self, event: Event) -> list[Segment]:
        """The footage of an event, as far as it is closed."""
        return self.segments(event.camera, event.started_at_ns, event.ended_at_ns)

    def reconcile(self, root: Path) -> Reconciled:
        """Put right what a crash left: finish deletions, drop rows without files, insert files without rows."""
        marked = [row[0] for row in self._execute("SELECT path FROM segments WHERE deleting", ())]
        for path in marked:
            (root / path).unlink(missing_ok=True)
        self.drop(marked)
        known = {segment.path for segment in self.segments()}
        present = {path.relative_to(root).as_posix(): path for path in _closed_files(root)}
        lost = known - present.keys()
        self.drop(lost)
        found = [segment for name in sorted(present.keys() - known) if (segment := _described(root, present[name]))]
        for segment in found:
            self.add_segment(segment)
        if marked or lost or found:
            log.info("catalog: %d rows inserted, %d dropped, %d deletions finished", len(found), len(lost), len(marked))
        return Reconciled(len(found), len(lost), len(marked))

    def _migrate(self) -> None:
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                version = self._connection.execute("PRAGMA user_version").fetchone()[0]
                if version > _SCHEMA_VERSION:
                    raise CatalogError(
                        f"{self._path}: was written by a later raycctv (schema {version}, known {_SCHEMA_VERSION})"
                    )
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            finally:
                self._connection.execute("COMMIT")

    def _execute(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._connection.execute(statement, values).fetchall()

    def _execute_many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(statement, rows)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise CatalogError(f"{self._path}: {error}") from error


def _event(row: tuple[Any, ...]) -> Event:
    *head, body = row
    values = json.loads(body)
    values |= {"zones": tuple(values["zones"]), "box": tuple(values["box"])}
    return Event(*head, **values)


def _closed_files(root: Path) -> list[Path]:
    return [path for path in root.glob("*/*/*.mp4") if path.parent.name not in (INCOMING, BROKEN)]


def _described(root: Path, path: Path) -> Segment | None:
    try:
        return describe(root, path)
    except RecordingError as error:
        log.warning("catalog: left out: %s", error)
        return None


def remove_file(root: Path, path: str) -> None:
    """Unlink a segment's file and wait until that is on disk; then its day folder, where that was the last.

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
