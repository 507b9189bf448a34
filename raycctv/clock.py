"""Time, from one place, so that tests can turn the hands.

Instants are UTC nanoseconds since 1970 (``*_ns``). Durations come from the monotonic clock (``*_s``), because the
wall clock may be stepped while something is being measured. At the edges an instant is ISO 8601 with ``Z``.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """What the code asks for the time."""

    def now_ns(self) -> int:
        """The wall clock: UTC nanoseconds since 1970. May jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start. Never goes back."""
        ...


class SystemClock:
    """The clock of the operating system."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_s(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock for tests: it stands still until it is moved."""

    def __init__(self, now_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        self._now_ns = now_ns
        self._monotonic_s = 0.0

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks."""
        self._now_ns += round(seconds * NS_PER_S)
        self._monotonic_s += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back by ``seconds``, as an administrator or NTP would."""
        self._now_ns += round(seconds * NS_PER_S)


def iso(instant_ns: int) -> str:
    """An instant as ISO 8601 in UTC with milliseconds.

    >>> iso(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123Z'
    """
    seconds, ns = divmod(instant_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns // 1_000_000:03d}Z"


def parse_iso(text: str) -> int:
    """The instant (UTC nanoseconds) that ISO 8601 ``text`` names; without a zone it is taken as UTC.

    Raises:
        ValueError: not an ISO 8601 date or date and time.

    >>> parse_iso("2023-11-14T22:13:20.123Z")
    1700000000123000000
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * NS_PER_S + moment.microsecond * 1_000
