"""The tables of the catalog, and how a file becomes a catalog.

``state`` of a segment is ``closed``, or ``deleting`` from the decision to delete it until its file is gone. ``ended_at_ns``
of a segment is when its last frame ends. ``labels``, ``zones`` and ``box`` are JSON. ``protected`` holds spans that
somebody has asked to keep; no rule deletes what shares time with one. ``copies`` says of which segments there is a second
copy; a row goes with that of its segment. ``value`` of a segment is a :class:`.Value`: triggers raise it when an event
comes, and look for events when a segment comes. ``footage`` has the sum of ``size_bytes`` of each camera's closed segments,
by triggers too. So a sweep need not read what stays. ``event_words`` (FTS5) holds the words by which an event is found, as
:func:`raycctv.search.joined_words` makes them; triggers keep it, with a function that every connection brings.
``false_alarms`` names the events of which somebody has said that they show nothing.

A new version is a step in ``_STEPS``. Every catalog takes the steps that it has not taken yet, each in a transaction.
"""

import contextlib
import fcntl
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from raycctv.errors import CatalogError
from raycctv.recording.layout import free_path
from raycctv.search import joined_words
from raycctv.types import HEALTH_KINDS, Value

log = logging.getLogger(__name__)

_FIRST = """
CREATE TABLE segments (
    path TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    codec TEXT NOT NULL,
    width_px INTEGER NOT NULL,
    height_px INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'closed' CHECK (state IN ('closed', 'deleting'))
) STRICT;
CREATE INDEX segments_by_camera ON segments (camera, ended_at_ns);
CREATE INDEX segments_by_time ON segments (ended_at_ns);
CREATE INDEX segments_deleting ON segments (state) WHERE state = 'deleting';
CREATE TABLE events (
    id TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,
    labels TEXT NOT NULL,
    zones TEXT NOT NULL,
    box TEXT NOT NULL,
    score REAL NOT NULL,
    model TEXT,
    snapshot TEXT,
    why TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (started_at_ns);
CREATE INDEX events_by_camera ON events (camera, started_at_ns);
"""

_SECOND = """
CREATE INDEX segments_by_length ON segments (ended_at_ns - started_at_ns);
CREATE TABLE protected (
    camera TEXT NOT NULL,
    from_ns INTEGER NOT NULL,
    to_ns INTEGER NOT NULL CHECK (to_ns > from_ns),
    PRIMARY KEY (camera, from_ns, to_ns)
) STRICT, WITHOUT ROWID;
"""

_THIRD = """
CREATE TABLE copies (
    path TEXT PRIMARY KEY,
    size_bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    copied_at_ns INTEGER NOT NULL
) STRICT;
CREATE TRIGGER copies_go_with_segments AFTER DELETE ON segments BEGIN
    DELETE FROM copies WHERE path = old.path;
END;
CREATE INDEX events_by_end ON events (ended_at_ns);
"""

_HEALTH = ", ".join(f"'{kind}'" for kind in sorted(HEALTH_KINDS))
_WORTH = f"CASE kind WHEN 'motion' THEN {Value.MOTION:d} ELSE {Value.EVENT:d} END"
_NEW_WORTH = _WORTH.replace("kind", "new.kind")
_EVENTS_LENGTH = "(SELECT coalesce(max(ended_at_ns - started_at_ns), 0) FROM events)"
_SEGMENTS_LENGTH = "(SELECT coalesce(max(ended_at_ns - started_at_ns), 0) FROM segments)"

_VALUE = f"""
    max(coalesce((SELECT max({_WORTH}) FROM events
        WHERE camera = segments.camera AND kind NOT IN ({_HEALTH}) AND ended_at_ns IS NULL
            AND +started_at_ns < segments.ended_at_ns), 0),
        coalesce((SELECT max({_WORTH}) FROM events
        WHERE camera = segments.camera AND kind NOT IN ({_HEALTH}) AND ended_at_ns >= segments.started_at_ns
            AND ended_at_ns <= segments.ended_at_ns + {_EVENTS_LENGTH} AND started_at_ns < segments.ended_at_ns), 0))
"""  # noqa: S608 - no value in it
"""Of a segment, by the events that it shares time with. The longest event bounds what the index finds, and the plus keeps
SQLite from looking through all events that have ended for those that go on."""

_RAISE = f"""
    UPDATE segments SET value = {_NEW_WORTH}
    WHERE camera = new.camera AND new.kind NOT IN ({_HEALTH}) AND value < {_NEW_WORTH}
        AND ended_at_ns > new.started_at_ns
        AND (new.ended_at_ns IS NULL
            OR started_at_ns <= new.ended_at_ns AND ended_at_ns <= new.ended_at_ns + {_SEGMENTS_LENGTH});
"""  # noqa: S608 - no value in it

_FOURTH = f"""
CREATE INDEX events_by_length ON events (ended_at_ns - started_at_ns);
CREATE INDEX events_by_camera_and_end ON events (camera, ended_at_ns);
ALTER TABLE segments ADD COLUMN value INTEGER NOT NULL DEFAULT 0;
UPDATE segments SET value = {_VALUE} WHERE EXISTS (SELECT 1 FROM events WHERE camera = segments.camera);
CREATE INDEX segments_by_value ON segments (camera, value, ended_at_ns) WHERE state = 'closed';
CREATE TABLE footage (camera TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL) STRICT;
INSERT INTO footage SELECT camera, sum(size_bytes) FROM segments WHERE state = 'closed' GROUP BY camera;
CREATE TRIGGER segment_comes AFTER INSERT ON segments BEGIN
    INSERT INTO footage VALUES (new.camera, new.size_bytes)
    ON CONFLICT (camera) DO UPDATE SET size_bytes = size_bytes + excluded.size_bytes;
    UPDATE segments SET value = {_VALUE} WHERE path = new.path;
END;
CREATE TRIGGER segment_changes AFTER UPDATE OF size_bytes, state ON segments BEGIN
    UPDATE footage SET size_bytes = size_bytes
        + CASE new.state WHEN 'closed' THEN new.size_bytes ELSE 0 END
        - CASE old.state WHEN 'closed' THEN old.size_bytes ELSE 0 END
    WHERE camera = new.camera;
END;
CREATE TRIGGER segment_goes AFTER DELETE ON segments WHEN old.state = 'closed' BEGIN
    UPDATE footage SET size_bytes = size_bytes - old.size_bytes WHERE camera = old.camera;
END;
CREATE TRIGGER event_comes AFTER INSERT ON events BEGIN {_RAISE} END;
CREATE TRIGGER event_changes AFTER UPDATE ON events BEGIN {_RAISE} END;
"""  # noqa: S608 - no value in it

_EVENT_WORDS = """
CREATE VIRTUAL TABLE event_words USING fts5(id UNINDEXED, words, tokenize = "unicode61 remove_diacritics 0 tokenchars '_'");
INSERT INTO event_words (rowid, id, words)
    SELECT rowid, id, words_of(camera, kind, zones, labels, why) FROM events;
CREATE TRIGGER words_of_new_event AFTER INSERT ON events BEGIN
    INSERT INTO event_words (rowid, id, words)
        VALUES (new.rowid, new.id, words_of(new.camera, new.kind, new.zones, new.labels, new.why));
END;
CREATE TRIGGER words_of_changed_event AFTER UPDATE ON events BEGIN
    UPDATE event_words SET words = words_of(new.camera, new.kind, new.zones, new.labels, new.why) WHERE rowid = new.rowid;
END;
CREATE TRIGGER words_go_with_event AFTER DELETE ON events BEGIN
    DELETE FROM event_words WHERE rowid = old.rowid;
END;
"""

_FALSE_ALARMS = """
CREATE TABLE false_alarms (
    id TEXT PRIMARY KEY,
    marked_at_ns INTEGER NOT NULL,
    marked_by TEXT NOT NULL
) STRICT;
CREATE TRIGGER false_alarms_go_with_events AFTER DELETE ON events BEGIN
    DELETE FROM false_alarms WHERE id = old.id;
END;
"""

_STEPS = (_FIRST, _SECOND, _THIRD, _FOURTH, _EVENT_WORDS, _FALSE_ALARMS)
VERSION = len(_STEPS)

_BUSY_S = 10.0
"""Time for which a writer waits for another; a write takes milliseconds."""


class DamagedCatalog(CatalogError):
    """The file is no SQLite database, or a damaged one."""


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the catalog at ``path``. A missing one is made; a file that is no database is put aside first.

    Raises:
        CatalogError: it cannot be opened, or was written by another version.
    """
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _creation_lock(path):
            try:
                return _opened(path)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
            put_aside(path)
            return _opened(path)


def open_existing(path: Path) -> sqlite3.Connection:
    """A connection that only reads, to a catalog that exists; it changes nothing.

    Raises:
        CatalogError: there is none, it is damaged, or was written by another version.
    """
    if not path.is_file():
        raise CatalogError(f"{path}: there is no catalog; is this a recording folder?")
    with translated(path):
        return _checked(_connected(f"{path.resolve().as_uri()}?mode=ro"), path)


def put_aside(path: Path) -> Path:
    """Rename a damaged database with its journals; returns where it is now."""
    damaged = free_path(path.with_name(f"{path.name}.damaged"))
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(damaged.with_name(damaged.name + ending))
    log.error("%s: is damaged and put aside as %s; a new one is made from the files", path, damaged.name)
    return damaged


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """What SQLite and the file system say, as ours.

    Raises:
        DamagedCatalog: the content is wrong.
        CatalogError: anything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        if _is_damage(error):
            raise DamagedCatalog(f"{path}: is damaged ({error}); a restart makes it anew from the files") from error
        raise CatalogError(f"{path}: {error}") from error
    except OSError as error:
        raise CatalogError(f"{path}: cannot be opened: {error.strerror}") from error


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is wrong, rather than busy or full. Source: sqlite.org/rescode.html."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@contextlib.contextmanager
def _creation_lock(path: Path) -> Iterator[None]:
    """One process at a time makes, migrates or replaces the file."""
    with path.with_name(f"{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path) -> sqlite3.Connection:
    connection = _connected(path.resolve().as_uri())
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        for number, step in enumerate(_STEPS[_version(connection) :], start=_version(connection) + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return _checked(connection, path)


def _connected(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.create_function("words_of", 5, _words_of, deterministic=True)
    return connection


def _words_of(camera: str, kind: str, zones: str, labels: str, why: str) -> str:
    """As :func:`raycctv.search.words`, of the columns of an event."""
    return joined_words([camera, kind, *json.loads(zones), *json.loads(labels), why])


def _checked(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """The connection, if this code knows the tables behind it; otherwise it is closed."""
    try:
        version = _version(connection)
        if version != VERSION:
            advice = "`raycctv up` brings it up to date" if version < VERSION else "use the raycctv that wrote it"
            raise CatalogError(f"{path}: is of version {version}, this raycctv knows {VERSION}; {advice}")
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
