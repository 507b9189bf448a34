"""What footage and which events there are: SQLite, used by several processes at once.

The storage actor writes segments, the sink events, the commands read. A row is inserted after its file is safely on disk and
dropped after the file is gone, so that a crash leaves at worst a file without a row or a row marked as being deleted; both
are settled by :meth:`Catalog.reconcile`. Segments can be made anew from the files.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any, Self

from raycctv.clock import NS_PER_S
from raycctv.recording.coverage import GAP_S
from raycctv.recording.database import Database
from raycctv.recording.filing import described
from raycctv.recording.layout import CATALOG_NAME, filed_files, remove_file
from raycctv.recording.probe import Unplayable
from raycctv.recording.schema import DamagedCatalog, put_aside
from raycctv.recording.search import condition
from raycctv.search import Query
from raycctv.types import CAMERA_OFFLINE, HEALTH_KINDS, CameraName, Copy, Event, Segment, Span, Value

__all__ = ["CATALOG_NAME", "Catalog", "Reconciled"]

log = logging.getLogger(__name__)

_NEVER_NS = 1 << 62
"""In the year 2116; SQLite's integers have room for twice that."""

_BATCH = 500
"""Rows of one transaction: few enough to lose little time when one fails."""

_FIRST_PAGE, _LAST_PAGE = 10, 500
"""Rows that are read at once where it is not known how many are needed: few, then more and more."""

_SEGMENT_COLUMNS = (
    "segments.camera, segments.path, segments.started_at_ns, segments.ended_at_ns - segments.started_at_ns,"
    " size_bytes, codec, width_px, height_px"
)
_EVENT_COLUMNS = "id, camera, kind, started_at_ns, ended_at_ns, labels, zones, box, score, model, snapshot, why"

_PUT_SEGMENT = """
INSERT INTO segments (camera, path, started_at_ns, ended_at_ns, size_bytes, codec, width_px, height_px)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    started_at_ns = excluded.started_at_ns, ended_at_ns = excluded.ended_at_ns, size_bytes = excluded.size_bytes,
    codec = excluded.codec, width_px = excluded.width_px, height_px = excluded.height_px, state = 'closed'"""

_PUT_EVENT = f"""
INSERT INTO events ({_EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    kind = excluded.kind, ended_at_ns = excluded.ended_at_ns, labels = excluded.labels, zones = excluded.zones,
    box = excluded.box, score = excluded.score, snapshot = coalesce(excluded.snapshot, snapshot), why = excluded.why
WHERE events.ended_at_ns IS NULL OR excluded.ended_at_ns > events.ended_at_ns"""  # noqa: S608 - no value in it


_NO_OBJECT = ", ".join(f"'{kind}'" for kind in sorted(HEALTH_KINDS | {"motion"}))
"""Kinds of events that show none, as SQL."""

_DUE_COPIES = f"""
SELECT DISTINCT {_SEGMENT_COLUMNS}
FROM events CROSS JOIN segments ON segments.camera = events.camera
WHERE events.kind NOT IN ({_NO_OBJECT}) AND (events.ended_at_ns IS NULL OR events.ended_at_ns >= ?)
    AND segments.ended_at_ns > events.started_at_ns - ?
    AND segments.started_at_ns <= coalesce(events.ended_at_ns, {_NEVER_NS}) + ?
    AND segments.ended_at_ns <= coalesce(events.ended_at_ns, {_NEVER_NS}) + ?
    AND segments.state = 'closed' AND NOT EXISTS (SELECT 1 FROM copies WHERE copies.path = segments.path)
ORDER BY segments.ended_at_ns, segments.path"""  # noqa: S608 - no value in it


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a start-up found out of step, and has put right."""

    inserted: int
    dropped: int
    deletions_finished: int


class Catalog(Database):
    """The catalog at ``path``. Close it, or use it as a context manager. Thread-safe.

    Args:
        read_only: open one that exists and change nothing, rather than make a missing or damaged one anew.

    Raises (every method):
        CatalogError: the file cannot be opened, read or written; names it.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, read_only=read_only)
        self._owed: dict[str, Segment] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add_segment(self, segment: Segment) -> None:
        """Insert the row of a file that is on disk. A row that cannot be written now is written with the next."""
        self.add_segments([segment])

    def add_segments(self, segments: Iterable[Segment]) -> None:
        """As :meth:`add_segment`, in one transaction: with many that is a hundred times as fast."""
        with self._lock:
            self._owed |= {segment.path: segment for segment in segments}
            self._write(_PUT_SEGMENT, [_segment_row(owed) for owed in self._owed.values()])
            self._owed.clear()

    def segments(self, camera: CameraName | None = None, from_ns: int | None = None, to_ns: int | None = None) -> list[Segment]:
        """Segments that share time with [from_ns, to_ns), oldest first; those being deleted are not among them."""
        # the last condition follows from the others, and is what the index can use: 1000 times as fast with a million rows
        last_end_ns = None if to_ns is None else to_ns + self._longest_ns()
        where, values = _where({
            "camera = ?": camera, "ended_at_ns > ?": from_ns, "started_at_ns < ?": to_ns, "ended_at_ns < ?": last_end_ns
        })  # fmt: skip
        query = f"SELECT {_SEGMENT_COLUMNS} FROM segments {where} AND state = 'closed' ORDER BY started_at_ns, path"  # noqa: S608
        return [Segment(*row) for row in self._read(query, values)]

    def recorded(self, camera: CameraName, from_ns: int) -> list[tuple[int, int]]:
        """(from_ns, to_ns) of the camera's segments that end later than ``from_ns``, oldest first."""
        query = """
            SELECT started_at_ns, ended_at_ns FROM segments
            WHERE camera = ? AND ended_at_ns > ? AND state = 'closed' ORDER BY started_at_ns"""
        return [(started_ns, ended_ns) for started_ns, ended_ns in self._read(query, [camera, from_ns])]

    def spans(self, from_ns: int, to_ns: int) -> dict[CameraName, list[tuple[int, int]]]:
        """(from_ns, to_ns) of the footage of every camera that shares time with [from_ns, to_ns), without its short gaps."""
        query = """
            SELECT camera, started_at_ns, ended_at_ns FROM segments
            WHERE ended_at_ns > ? AND ended_at_ns < ? AND started_at_ns < ? AND state = 'closed'
            ORDER BY camera, started_at_ns"""
        found: dict[CameraName, list[tuple[int, int]]] = {}
        for camera, started_ns, ended_ns in self._read(query, [from_ns, to_ns + self._longest_ns(), to_ns]):
            spans = found.setdefault(camera, [])
            if spans and started_ns - spans[-1][1] <= GAP_S * NS_PER_S:
                spans[-1] = spans[-1][0], max(spans[-1][1], ended_ns)
            else:
                spans.append((started_ns, ended_ns))
        return found

    def offline(self, camera: CameraName, from_ns: int) -> list[tuple[int, int]]:
        """(from_ns, to_ns) of the times in which the camera was away, as far as they end later than ``from_ns``."""
        away = self.events(camera, CAMERA_OFFLINE, from_ns)
        return [(event.started_at_ns, _NEVER_NS if event.ended_at_ns is None else event.ended_at_ns) for event in away]

    def around(self, span: Span) -> tuple[Segment | None, Segment | None]:
        """The camera's last segment that ends before the span, and the first that begins after it."""
        own = f"SELECT {_SEGMENT_COLUMNS} FROM segments WHERE camera = ? AND state = 'closed' AND"  # noqa: S608
        earlier = f"{own} ended_at_ns <= ? ORDER BY ended_at_ns DESC LIMIT 1"
        later = f"{own} ended_at_ns > ? AND started_at_ns >= ? ORDER BY ended_at_ns LIMIT 1"
        found = [
            self._read(earlier, [span.camera, span.from_ns]), self._read(later, [span.camera, span.to_ns, span.to_ns])
        ]  # fmt: skip
        before, after = (Segment(*rows[0]) if rows else None for rows in found)
        return before, after

    def last_end_ns(self) -> int | None:
        """When the newest segment ends; None without any."""
        (newest,) = self._read("SELECT max(ended_at_ns) FROM segments")[0]
        return None if newest is None else int(newest)

    def _longest_ns(self) -> int:
        """Duration of the longest segment."""
        return int(self._read("SELECT coalesce(max(ended_at_ns - started_at_ns), 0) FROM segments")[0][0])

    def sizes(self) -> dict[CameraName, int]:
        """Bytes of each camera's segments."""
        return {CameraName(name): size_bytes for name, size_bytes in self._read("SELECT * FROM footage WHERE size_bytes > 0")}

    def oldest(self, camera: CameraName, value: Value) -> Iterator[Segment]:
        """The camera's segments of that value, in the order of their ends; read as they are asked for."""
        query = f"""
            SELECT {_SEGMENT_COLUMNS} FROM segments
            WHERE camera = ? AND value = ? AND state = 'closed' AND (ended_at_ns, path) > (?, ?)
            ORDER BY ended_at_ns, path LIMIT ?"""  # noqa: S608
        last: tuple[int, str] = (-_NEVER_NS, "")
        rows = _FIRST_PAGE
        while page := [Segment(*row) for row in self._read(query, [camera, value, *last, rows])]:
            yield from page
            last = page[-1].ended_at_ns, page[-1].path
            rows = min(4 * rows, _LAST_PAGE)

    def mark_deleting(self, paths: Iterable[str]) -> None:
        """Decide that these go. From now on :meth:`segments` does not list them."""
        self._write("UPDATE segments SET state = 'deleting' WHERE path = ?", [(path,) for path in paths])

    def deleting(self) -> list[str]:
        """Paths that are marked; their files may or may not be gone."""
        return [path for (path,) in self._read("SELECT path FROM segments WHERE state = 'deleting' ORDER BY path")]

    def drop(self, paths: Iterable[str]) -> None:
        """Forget segments whose files are gone."""
        self._write("DELETE FROM segments WHERE path = ?", [(path,) for path in paths])

    def put_event(self, event: Event) -> None:
        """Insert an event, or replace an earlier version of it. An event that has ended stays so; a picture is kept."""
        self._write(_PUT_EVENT, [_event_row(event)])

    def event(self, event_id: str) -> Event | None:
        """The event of that id, in its last version."""
        rows = self._read(f"SELECT {_EVENT_COLUMNS} FROM events WHERE id = ?", [event_id])  # noqa: S608
        return _event(rows[0]) if rows else None

    def events(
        self,
        camera: CameraName | None = None,
        kind: str | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int | None = None,
        search: Query | None = None,
        before: Event | None = None,
        false_alarm: bool | None = None,
    ) -> list[Event]:
        """Events that share time with [from_ns, to_ns), newest first, at most ``limit``. One without an end goes on.

        Args:
            before: only those that follow this one in the list.
            false_alarm: only those that somebody has marked so, or only the others.
        """
        where, values = _where({
            "camera = ?": camera, "kind = ?": kind, "started_at_ns < ?": to_ns,
            "(ended_at_ns IS NULL OR ended_at_ns >= ?)": from_ns,
            "? = EXISTS (SELECT 1 FROM false_alarms WHERE false_alarms.id = events.id)": false_alarm,
        })  # fmt: skip
        if before is not None:
            where, values = f"{where} AND (started_at_ns, id) < (?, ?)", [*values, before.started_at_ns, before.id]
        if search is not None:
            text, searched = condition(search)
            where, values = f"{where} AND ({text})", [*values, *searched]
        query = f"SELECT {_EVENT_COLUMNS} FROM events {where} ORDER BY started_at_ns DESC, id DESC LIMIT ?"  # noqa: S608
        return [_event(row) for row in self._read(query, [*values, -1 if limit is None else limit])]

    def unended_events(self, camera: CameraName) -> list[Event]:
        """Events of the camera that go on, oldest first."""
        query = f"SELECT {_EVENT_COLUMNS} FROM events WHERE camera = ? AND ended_at_ns IS NULL ORDER BY started_at_ns, id"  # noqa: S608
        return [_event(row) for row in self._read(query, [camera])]

    def open_events(self, kind: str | None = None) -> list[Event]:
        """Events of that kind, or of any, of all cameras, that go on, oldest first."""
        which, values = ("kind = ? AND", [kind]) if kind is not None else ("", [])
        query = f"SELECT {_EVENT_COLUMNS} FROM events WHERE {which} ended_at_ns IS NULL ORDER BY started_at_ns, id"  # noqa: S608
        return [_event(row) for row in self._read(query, values)]

    def mark_false_alarm(self, event_id: str, at_ns: int, by: str) -> None:
        """Note who says that an event shows nothing. Idempotent: the first who says so stays."""
        self._write("INSERT OR IGNORE INTO false_alarms VALUES (?, ?, ?)", [(event_id, at_ns, by)])

    def unmark_false_alarm(self, event_id: str) -> None:
        """Take that back."""
        self._write("DELETE FROM false_alarms WHERE id = ?", [(event_id,)])

    def false_alarms(self, ids: Iterable[str]) -> set[str]:
        """Those of the events that are marked so."""
        query = "SELECT id FROM false_alarms WHERE id IN (SELECT value FROM json_each(?))"
        return {event_id for (event_id,) in self._read(query, [json.dumps(list(ids))])}

    def segments_of(self, event: Event) -> list[Segment]:
        """Filed segments that show the event, oldest first; that of its last minute follows when it is closed."""
        to_ns = None if event.ended_at_ns is None else event.ended_at_ns + 1
        return self.segments(event.camera, event.started_at_ns, to_ns)

    def due_copies(self, pre_roll_ns: int, post_roll_ns: int, since_ns: int = 0) -> list[Segment]:
        """Segments without a second copy that share time with an object's event and its rolls, oldest first.

        Args:
            since_ns: look only at events that go on or ended then or later.
        """
        values = [since_ns, pre_roll_ns, post_roll_ns, post_roll_ns + self._longest_ns()]
        return [Segment(*row) for row in self._read(_DUE_COPIES, values)]

    def add_copy(self, copy: Copy) -> None:
        """Note a second copy; nothing where its segment has been deleted meanwhile."""
        row = (copy.path, copy.size_bytes, copy.sha256, copy.copied_at_ns, copy.path)
        self._write(
            "INSERT OR REPLACE INTO copies SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM segments WHERE path = ?)", [row]
        )

    def copies(self) -> list[Copy]:
        """Second copies of segments that are still here, oldest first."""
        return [Copy(*row) for row in self._read("SELECT * FROM copies ORDER BY copied_at_ns, path")]

    def protect(self, span: Span) -> None:
        """Keep the footage that shares time with ``span`` until :meth:`release`. Idempotent."""
        self._write("INSERT OR IGNORE INTO protected VALUES (?, ?, ?)", [(span.camera, span.from_ns, span.to_ns)])

    def release(self, span: Span) -> int:
        """Take back every protection that lies within ``span``; returns how many there were."""
        within = [found for found in self.protected() if found.camera == span.camera and found.within(span)]
        rows = [(found.camera, found.from_ns, found.to_ns) for found in within]
        self._write("DELETE FROM protected WHERE camera = ? AND from_ns = ? AND to_ns = ?", rows)
        return len(within)

    def protected(self) -> list[Span]:
        """What is kept by hand, by camera and time."""
        return [Span(*row) for row in self._read("SELECT camera, from_ns, to_ns FROM protected ORDER BY camera, from_ns")]

    def rescan(self, root: Path, on_file: Callable[[], None] = lambda: None) -> Reconciled:
        """Forget every segment and describe all files anew; events and protected spans stay.

        Args:
            on_file: is called after each file.

        Raises:
            RecordingError: the disk does not let a file be read.
        """
        self._write("DELETE FROM segments WHERE state = 'closed'", [()])
        return self.reconcile(root, on_file)

    def reconcile(self, root: Path, on_file: Callable[[], None] = lambda: None) -> Reconciled:
        """Make rows and files agree after a crash: finish deletions, drop rows without files, describe files without rows.

        A damaged catalog is put aside and its segments are described anew from the files; its events remain in the event log.

        Raises:
            RecordingError: the disk does not let a file be read or deleted.
        """
        try:
            counts = self._reconcile(root, on_file)
        except DamagedCatalog:
            with self._lock:
                put_aside(self.path)
            counts = self._reconcile(root, on_file)
        self.renewed = False
        return counts

    def _reconcile(self, root: Path, on_file: Callable[[], None]) -> Reconciled:
        marked = self.deleting()
        for path in marked:
            remove_file(root, path)
        self.drop(marked)
        rows = {path for (path,) in self._read("SELECT path FROM segments WHERE state = 'closed'")}
        files = {path.relative_to(root).as_posix(): camera for camera, path in filed_files(root)}
        lost = sorted(rows - files.keys())
        self.drop(lost)
        found = self._take_in(root, {path: files[path] for path in sorted(files.keys() - rows)}, on_file)
        counts = Reconciled(inserted=found, dropped=len(lost), deletions_finished=len(marked))
        if any(astuple(counts)):
            log.info("%s: put right: %s", self.path, counts)
        return counts

    def _take_in(self, root: Path, files: Mapping[str, CameraName], on_file: Callable[[], None]) -> int:
        """Insert the rows of files that have none; returns of how many, since not every file plays."""
        batch: list[Segment] = []
        found = 0
        for path, camera in files.items():
            try:
                batch.append(described(root, camera, root / path))
            except Unplayable as error:
                log.warning("left out of the catalog: %s", error)
            if len(batch) == _BATCH:
                self.add_segments(batch)
                found += len(batch)
                batch = []
            on_file()
        self.add_segments(batch)
        return found + len(batch)


def _where(conditions: dict[str, Any]) -> tuple[str, list[Any]]:
    """A WHERE clause of the conditions whose value is given, and the values."""
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return "WHERE " + " AND ".join(["true", *given]), list(given.values())


def _segment_row(segment: Segment) -> tuple[Any, ...]:
    return (
        segment.camera, segment.path, segment.started_at_ns, segment.ended_at_ns, segment.size_bytes, segment.codec,
        segment.width_px, segment.height_px,
    )  # fmt: skip


def _event_row(event: Event) -> tuple[Any, ...]:
    values = astuple(event)
    return tuple(json.dumps(value) if isinstance(value, dict | tuple) else value for value in values)


def _event(row: tuple[Any, ...]) -> Event:
    event = Event(*row)
    return replace(event, labels=json.loads(row[5]), zones=tuple(json.loads(row[6])), box=tuple(json.loads(row[7])))
