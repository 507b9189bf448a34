"""A SQLite file that several processes use at once, and that somebody may delete or replace meanwhile."""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raycctv.recording.schema import open_database, open_existing, translated


class Database:
    """Thread-safe.

    Attributes:
        renewed: the file has been deleted or replaced meanwhile, so that what was in it must be made anew.

    Raises (every method):
        CatalogError: the file cannot be opened, read or written; names it.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.renewed = False
        self._lock = threading.RLock()
        self._read_only = read_only
        self._open()

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._connection.close()

    def _open(self) -> None:
        self._connection = open_existing(self.path) if self._read_only else open_database(self.path)
        self._inode = self._inode_now()

    def _inode_now(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _current(self) -> sqlite3.Connection:
        """The connection; a new one where another process has replaced the file, or somebody has deleted it."""
        if self._inode_now() != self._inode:
            self._connection.close()
            self._open()
            self.renewed = True
        return self._connection

    def _read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, translated(self.path):
            return self._current().execute(query, values).fetchall()

    def _write(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run ``statement`` for all rows, or for none."""
        with self._lock, translated(self.path):
            connection = self._current()
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(statement, rows)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise
