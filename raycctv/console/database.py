"""The console's own SQLite file: accounts, sessions, tokens and the audit log. Readable by its owner alone."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from raycctv.errors import ConsoleError

DATABASE_NAME = "console.sqlite3"
"""Beside the catalog."""

_TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'administrator')),
    cameras TEXT,
    password TEXT NOT NULL,
    created_at_ns INTEGER NOT NULL,
    password_told INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    digest TEXT PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    began_at_ns INTEGER NOT NULL,
    expires_at_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS sessions_by_account ON sessions (account);
CREATE TABLE IF NOT EXISTS tokens (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name) ON DELETE CASCADE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at_ns INTEGER NOT NULL,
    expires_at_ns INTEGER,
    used_at_ns INTEGER,
    UNIQUE (account, name)
) STRICT;
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ns INTEGER NOT NULL,
    account TEXT,
    address TEXT,
    what TEXT NOT NULL,
    camera TEXT,
    details TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at_ns);
"""
"""``cameras``: JSON list, or null for all. ``digest``: SHA-256 of what the browser or program holds, which stands nowhere.
``password_told``: 0 while nobody has been told the first password. ``details``: JSON object.
"""

_BUSY_S = 10.0


class Database:
    """The file at ``path``; made where there is none. Thread-safe, and used by several processes at once.

    Raises (every method):
        ConsoleError: it cannot be opened, read or written; names it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its journals the same mode
            path.chmod(0o600)
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            self._connection.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._connection.close()

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._lock, self._translated():
            return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, *values: Any) -> int:
        """One statement in a transaction of its own, or of :meth:`together`; returns how many rows it changed."""
        with self._lock, self._translated():
            return self._connection.execute(statement, values).rowcount

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything that this thread reads and writes within is one transaction, or has not been."""
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise ConsoleError(f"{self.path}: the console's accounts cannot be used: {error}") from error
