"""Keys by which programs use the API in an account's name."""

import secrets
from dataclasses import dataclass, replace

from raycctv.clock import NS_PER_S, Clock
from raycctv.console.accounts import ROLES, Account, AccountRefused, Accounts, Role
from raycctv.console.sessions import digest

PREFIX = "raycctv_"
"""So that whoever scans for secrets knows one."""

_COLUMNS = "id, account, name, role, created_at_ns, expires_at_ns, used_at_ns"
_USED_NS = 60 * NS_PER_S
"""When a token was last used is known to the minute."""

_MOST = 50


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token: all but the token itself.

    Attributes:
        role: what it may do, at most what its account may.
        expires_at_ns: None where it does not.
    """

    id: int
    account: str
    name: str
    role: Role
    created_at_ns: int
    expires_at_ns: int | None
    used_at_ns: int | None


class Tokens:
    """Tokens in the database of the accounts.

    Raises (every method):
        ConsoleError: the database cannot be read or written.
    """

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts = accounts
        self._database = accounts.database
        self._clock = clock

    def add(self, account: Account, name: str, role: Role, lasts_s: float | None) -> tuple[str, Token]:
        """A new one: what the program is to bring, shown once, and what is kept of it.

        Raises:
            AccountRefused: the account has one of that name, has too many, or may not do as much.
        """
        secret, now_ns = PREFIX + secrets.token_urlsafe(32), self._clock.now_ns()
        expires_at_ns = None if lasts_s is None else now_ns + round(lasts_s * NS_PER_S)
        if not account.may(role):
            raise AccountRefused(f"a token may do at most what its account may: {account.role}")
        with self._database.together():
            own = self.of(account)
            if name in {token.name for token in own}:
                raise AccountRefused(f"there is a token {name!r} already")
            if len(own) >= _MOST:
                raise AccountRefused(f"an account has at most {_MOST} tokens; delete one first")
            self._database.write(
                "INSERT INTO tokens (digest, account, name, role, created_at_ns, expires_at_ns) VALUES (?, ?, ?, ?, ?, ?)",
                digest(secret), account.name, name, role, now_ns, expires_at_ns,
            )  # fmt: skip
        return secret, next(token for token in self.of(account) if token.name == name)

    def of(self, account: Account) -> list[Token]:
        """The account's tokens, oldest first."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tokens WHERE account = ? ORDER BY id", account.name)  # noqa: S608
        return [Token(*row) for row in rows]

    def remove(self, account: Account, token_id: int) -> bool:
        """Whether the account had it."""
        return self._database.write("DELETE FROM tokens WHERE id = ? AND account = ?", token_id, account.name) > 0

    def find(self, secret: str) -> Account | None:
        """The account that a token speaks for, with the lesser of both roles; None where it is none or has run out."""
        now_ns = self._clock.now_ns()
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tokens WHERE digest = ?", digest(secret))  # noqa: S608
        token = Token(*rows[0]) if rows else None
        if token is None or (token.expires_at_ns is not None and token.expires_at_ns <= now_ns):
            return None
        account = self._accounts.find(token.account)
        if account is None:
            return None
        if token.used_at_ns is None or now_ns - token.used_at_ns > _USED_NS:
            self._database.write("UPDATE tokens SET used_at_ns = ? WHERE id = ?", now_ns, token.id)
        return replace(account, role=min(account.role, token.role, key=ROLES.index))
