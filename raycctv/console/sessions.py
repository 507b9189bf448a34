"""Who is logged in with a browser. A session lasts over restarts of the console."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from raycctv.clock import NS_PER_S, Clock
from raycctv.console.accounts import Account, Accounts

_EXTENDED_AFTER = 0.05
"""Share of a session's length that must have passed before a request extends it: not every picture is worth a write."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which somebody is logged in.

    Attributes:
        csrf: what every request that changes something must bring, beside the cookie.
        digest: of the cookie, which stands nowhere.
    """

    account: Account
    csrf: str
    digest: str

    def made(self, csrf: str | None) -> bool:
        """Whether a page of ours made the request that brings this."""
        return csrf is not None and hmac.compare_digest(csrf.encode(), self.csrf.encode())


class Sessions:
    """Sessions in the database of the accounts. One ends when it was not used for ``lasts_s``.

    Raises (every method):
        ConsoleError: the database cannot be read or written.
    """

    def __init__(self, accounts: Accounts, clock: Clock, lasts_s: float) -> None:
        self._accounts = accounts
        self._database = accounts.database
        self._clock = clock
        self._lasts_ns = round(lasts_s * NS_PER_S)

    def begin(self, account: Account) -> str:
        """Returns what the browser's cookie is to hold. Sessions that have run out are forgotten here."""
        cookie, csrf, now_ns = secrets.token_urlsafe(32), secrets.token_urlsafe(32), self._clock.now_ns()
        with self._database.together():
            self._database.write("DELETE FROM sessions WHERE expires_at_ns <= ?", now_ns)
            self._database.write(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                digest(cookie),
                account.name,
                csrf,
                now_ns,
                now_ns + self._lasts_ns,
            )
        return cookie

    def find(self, cookie: str) -> Session | None:
        """The session of that cookie, with its account as it is now; None where it has run out or was ended."""
        return self.current(digest(cookie), used=True)

    def current(self, session: str, *, used: bool = False) -> Session | None:
        """The session of that digest, if it goes on; ``used`` extends it."""
        now_ns = self._clock.now_ns()
        rows = self._database.read(
            "SELECT account, csrf, expires_at_ns FROM sessions WHERE digest = ? AND expires_at_ns > ?", session, now_ns
        )
        account = self._accounts.find(rows[0][0]) if rows else None
        if account is None:
            return None
        expires_at_ns = now_ns + self._lasts_ns
        if used and expires_at_ns - rows[0][2] > _EXTENDED_AFTER * self._lasts_ns:
            self._database.write("UPDATE sessions SET expires_at_ns = ? WHERE digest = ?", expires_at_ns, session)
        return Session(account, rows[0][1], session)

    def end(self, session: Session) -> None:
        """Idempotent."""
        self._database.write("DELETE FROM sessions WHERE digest = ?", session.digest)

    def count(self) -> int:
        """How many go on."""
        return int(self._database.read("SELECT count(*) FROM sessions WHERE expires_at_ns > ?", self._clock.now_ns())[0][0])


def digest(secret: str) -> str:
    """Of a random secret, which needs no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
