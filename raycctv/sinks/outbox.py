"""What servers are still to be told, on disk: written before anything is sent, and kept until the server has confirmed it."""

import logging
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Self

from raycctv.errors import RecordingError
from raycctv.sinks.notices import Told
from raycctv.types import CameraName

log = logging.getLogger(__name__)

OUTBOX_NAME = "outbox.sqlite3"

_TABLES = """
CREATE TABLE IF NOT EXISTS letters (
    seq INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    put_at_ns INTEGER NOT NULL,
    refused TEXT,
    UNIQUE (target, key)
) STRICT;
CREATE INDEX IF NOT EXISTS letters_waiting ON letters (target, seq) WHERE refused IS NULL;
CREATE TABLE IF NOT EXISTS told (
    id TEXT PRIMARY KEY,
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    started_at_ns INTEGER NOT NULL,
    ended INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS told_about ON told (camera, kind, started_at_ns);
"""
"""``refused``: why a server will never take the letter, which is then kept for a person. ``told``: events of which there was a
notice, as long as they go on or are the last of their camera and kind.
"""

_PUT = "INSERT INTO letters (target, key, body, put_at_ns) VALUES (?, ?, ?, ?) ON CONFLICT (target, key) DO NOTHING"
_TELL = "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?)"
_FORGET_TOLD = "DELETE FROM told WHERE camera = ? AND kind = ? AND ended AND started_at_ns < ?"

_BUSY_S = 10.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One thing that one server is to be told.

    Attributes:
        seq: order of writing.
        key: the same for the same content: the server, or whoever reads, knows it by that.
        body: JSON.
    """

    seq: int
    key: str
    body: str


class Outbox:
    """The outbox ``<folder>/outbox.sqlite3``. Thread-safe; close it, or use it as a context manager.

    A damaged file is put aside, and what it owed stands in the event log: events must be recorded, whatever a server misses.

    Raises (every method):
        RecordingError: the file cannot be opened, read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / OUTBOX_NAME
        self._lock = threading.Lock()
        with self._translated():
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = _opened(self.path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):  # busy, full or not to be opened, rather than damaged
                    raise
                _put_aside(self.path)
                self._connection = _opened(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def put(self, letters: Iterable[tuple[str, str, str]], now_ns: int, told: Told | None = None) -> None:
        """Owe (target, key, body), all or none; on disk when this returns. One that is owed already is not doubled.

        Args:
            told: what somebody is told by these letters.
        """
        steps: list[tuple[str, list[Sequence[object]]]] = [(_PUT, [(*letter, now_ns) for letter in letters])]
        if told is not None:
            steps += [(_TELL, [astuple(told)]), (_FORGET_TOLD, [(told.camera, told.kind, told.started_at_ns)])]
        self._write(*steps)

    def told(self, camera: CameraName, kind: str) -> list[Told]:
        """What somebody was told of events of that camera and kind: of those that go on, and the last."""
        rows = self._read("SELECT * FROM told WHERE camera = ? AND kind = ? ORDER BY started_at_ns", (camera, kind))
        return [
            Told(event_id, CameraName(of), its_kind, started_at_ns, bool(ended))
            for event_id, of, its_kind, started_at_ns, ended in rows
        ]

    def waiting(self, target: str, limit: int) -> list[Letter]:
        """The oldest that are owed to ``target``."""
        query = "SELECT seq, key, body FROM letters WHERE target = ? AND refused IS NULL ORDER BY seq LIMIT ?"
        return [Letter(*row) for row in self._read(query, (target, limit))]

    def delivered(self, letters: Sequence[Letter]) -> None:
        """The server has confirmed these: forget them."""
        self._write(("DELETE FROM letters WHERE seq = ?", [(letter.seq,) for letter in letters]))

    def refuse(self, reasons: Mapping[int, str]) -> None:
        """The server will never take the letters of these ``seq``: keep them, and send them no more."""
        self._write(("UPDATE letters SET refused = ? WHERE seq = ?", [(why, seq) for seq, why in reasons.items()]))

    def depth(self, target: str) -> int:
        """How many are owed."""
        return int(self._read("SELECT count(*) FROM letters WHERE target = ? AND refused IS NULL", (target,))[0][0])

    def refused(self, target: str) -> int:
        """How many were refused."""
        return int(self._read("SELECT count(*) FROM letters WHERE target = ? AND refused IS NOT NULL", (target,))[0][0])

    def oldest_ns(self, target: str) -> int | None:
        """When the oldest that is owed was put; None where none is."""
        query = "SELECT put_at_ns FROM letters WHERE target = ? AND refused IS NULL ORDER BY seq LIMIT 1"
        rows = self._read(query, (target,))
        return int(rows[0][0]) if rows else None

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._connection.close()

    def _read(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._lock, self._translated():
            return self._connection.execute(query, values).fetchall()

    def _write(self, *steps: tuple[str, Sequence[Sequence[object]]]) -> None:
        """Statements, each with its rows: all or none."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in steps:
                    self._connection.executemany(statement, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RecordingError(f"{self.path}: {error}") from error
        except OSError as error:
            raise RecordingError(f"logs.dir: {self.path.parent} cannot be written: {error.strerror}") from error


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def _put_aside(path: Path) -> None:
    damaged = path.with_name(f"{path.name}.damaged")
    path.replace(damaged)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    log.error("%s: is damaged and put aside as %s; what it owed to servers stands in the event log", path, damaged.name)
