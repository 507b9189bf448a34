"""Who may log in, as what, and which cameras they see."""

import json
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from raycctv.clock import Clock
from raycctv.console.database import Database
from raycctv.errors import ConsoleError
from raycctv.types import CameraName

Role = Literal["viewer", "operator", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may: a viewer looks, an operator also exports, protects and marks, an administrator also
sets up cameras and accounts and reads the audit log."""

FIRST = "admin"
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 256

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_COLUMNS = "name, role, cameras, created_at_ns"
_HASHING = threading.Semaphore(2)
"""A hash takes 64 MiB and a tenth of a second of a core, on purpose: so many at a time, whoever asks."""


class AccountRefused(ConsoleError):
    """A change of an account that is not made; ``str()`` says to a person why."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may log in.

    Attributes:
        cameras: those that they see; None means all, later ones too.
    """

    name: str
    role: Role
    cameras: tuple[CameraName, ...] | None
    created_at_ns: int

    def may(self, role: Role) -> bool:
        """Whether they may do what that role may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def sees(self, camera: str) -> bool:
        return self.cameras is None or camera in self.cameras


class Accounts:
    """The accounts in a database.

    Raises (every method):
        ConsoleError: the database cannot be read or written.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._hasher = PasswordHasher()

    @cached_property
    def _decoy(self) -> str:
        """What a password is compared with where there is no account of that name."""
        return self._hashed(secrets.token_urlsafe())

    @classmethod
    def open(cls, path: Path, clock: Clock) -> Self:
        """Those in the file at ``path``, which is made where there is none."""
        return cls(Database(path), clock)

    def close(self) -> None:
        """Idempotent."""
        self.database.close()

    def all(self) -> list[Account]:
        """By name."""
        return [_account(row) for row in self.database.read(f"SELECT {_COLUMNS} FROM accounts ORDER BY name")]  # noqa: S608

    def find(self, name: str) -> Account | None:
        rows = self.database.read(f"SELECT {_COLUMNS} FROM accounts WHERE name = ?", name)  # noqa: S608
        return _account(rows[0]) if rows else None

    def verified(self, name: str, password: str) -> Account | None:
        """The account, if that is its password. Takes as long for a name that does not exist."""
        rows = self.database.read("SELECT password FROM accounts WHERE name = ?", name)
        digest = rows[0][0] if rows else self._decoy
        try:
            with _HASHING:
                self._hasher.verify(digest, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
        if rows and self._hasher.check_needs_rehash(digest):
            self.database.write("UPDATE accounts SET password = ? WHERE name = ?", self._hashed(password), name)
        return self.find(name) if rows else None

    def add(self, name: str, role: Role, cameras: Sequence[CameraName] | None, password: str) -> Account:
        """A new one.

        Raises:
            AccountRefused: the name is none or is taken, or the password is too short.
        """
        if not _NAME.fullmatch(name):
            raise AccountRefused(f"{name[:80]!r} is no name: use letters, digits and . _ @ -, at most 64")
        digest = self._hashed(_checked(password))
        with self.database.together():
            if self.find(name) is not None:
                raise AccountRefused(f"there is an account {name!r} already")
            self.database.write(
                "INSERT INTO accounts (name, role, cameras, password, created_at_ns) VALUES (?, ?, ?, ?, ?)",
                name, role, _stored(role, cameras), digest, self._clock.now_ns(),
            )  # fmt: skip
        return self._found(name)

    def change(self, name: str, role: Role, cameras: Sequence[CameraName] | None) -> Account:
        """Another role, other cameras.

        Raises:
            AccountRefused: there is none of that name, or it is the last administrator.
        """
        with self.database.together():
            if role != "administrator":
                self._keep_an_administrator_besides(name)
            self._found(name)
            self.database.write("UPDATE accounts SET role = ?, cameras = ? WHERE name = ?", role, _stored(role, cameras), name)
        return self._found(name)

    def remove(self, name: str) -> None:
        """Its sessions and tokens end with it; what it did stays in the audit log.

        Raises:
            AccountRefused: there is none of that name, or it is the last administrator.
        """
        with self.database.together():
            self._keep_an_administrator_besides(name)
            self._found(name)
            self.database.write("DELETE FROM accounts WHERE name = ?", name)

    def set_password(self, name: str, password: str) -> None:
        """Another password; every session of the account ends.

        Raises:
            AccountRefused: there is none of that name, or the password is too short.
        """
        digest = self._hashed(_checked(password))
        with self.database.together():
            self._found(name)
            self.database.write("UPDATE accounts SET password = ?, password_told = 1 WHERE name = ?", digest, name)
            self.database.write("DELETE FROM sessions WHERE account = ?", name)

    def first_password(self) -> str | None:
        """Make the first administrator where there are no accounts at all; returns the password, until :meth:`told`.

        As long as nobody was told, every call makes another one: whoever asked for the last one may be gone.
        """
        password = new_password()
        digest = self._hashed(password)
        with self.database.together():
            if not self.database.read("SELECT 1 FROM accounts LIMIT 1"):
                self.database.write(
                    "INSERT INTO accounts VALUES (?, 'administrator', NULL, ?, ?, 0)", FIRST, digest, self._clock.now_ns()
                )
                return password
            made = self.database.write("UPDATE accounts SET password = ? WHERE name = ? AND password_told = 0", digest, FIRST)
        return password if made else None

    def told(self) -> None:
        """The first password has been shown to somebody."""
        self.database.write("UPDATE accounts SET password_told = 1 WHERE password_told = 0")

    def _found(self, name: str) -> Account:
        account = self.find(name)
        if account is None:
            known = ", ".join(each.name for each in self.all()) or "none"
            raise AccountRefused(f"there is no account {name[:80]!r}; there are: {known}")
        return account

    def _keep_an_administrator_besides(self, name: str) -> None:
        others = "SELECT 1 FROM accounts WHERE role = 'administrator' AND name <> ? LIMIT 1"
        account = self.find(name)
        if account is not None and account.role == "administrator" and not self.database.read(others, name):
            raise AccountRefused(f"{account.name} is the last administrator; make another one first")

    def _hashed(self, password: str) -> str:
        with _HASHING:
            return self._hasher.hash(password)


def new_password() -> str:
    """A random one of 96 bits."""
    return secrets.token_urlsafe(12)


def _checked(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountRefused(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return password


def _stored(role: Role, cameras: Sequence[CameraName] | None) -> str | None:
    """An administrator sees all, since they may give themselves whatever is missing."""
    return None if cameras is None or role == "administrator" else json.dumps(sorted(set(cameras)))


def _account(row: tuple[Any, ...]) -> Account:
    name, role, cameras, created_at_ns = row
    return Account(name, role, None if cameras is None else tuple(json.loads(cameras)), created_at_ns)
