"""Time, from one place, so that tests can turn the hands.

Instants are UTC nanoseconds since 1970 (``*_ns``). Durations come from the monotonic clock (``*_s``), because the
wall clock may be stepped while something is being measured. At the edges an instant is ISO 8601 with ``Z``.
"""

import logging
import time
from datetime import UTC, datetime
from typing import Protocol

NS_PER_S = 1_000_000_000

log = logging.getLogger(__name__)


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


_PATIENCE_S = 3600.0
"""Time for which a step forward must have stood."""

_JITTER_NS = NS_PER_S
"""Steps smaller than this, such as a leap second, are none."""


class CautiousClock:
    """The wall clock for what cannot be undone: a step back counts at once, one forward when it has stood for an hour.

    A clock that jumps ahead makes all footage look old. Ask it often: it notices a step when it is asked.

    Args:
        last_ns: the latest instant that is known of. A clock that is ahead of that by more than an hour may be right,
            since the machine was off, or not: it counts as stepped. Otherwise what it says at first is believed.
    """

    def __init__(self, clock: Clock, last_ns: int | None = None) -> None:
        self._clock = clock
        self._offset_ns = self._offset_now_ns()
        if last_ns is not None and clock.now_ns() - last_ns > _PATIENCE_S * NS_PER_S:
            self._offset_ns -= clock.now_ns() - last_ns
        self._ahead_since_s: float | None = None

    def now_ns(self) -> int:
        now_s, offset_ns = self._clock.monotonic_s(), self._offset_now_ns()
        ahead_ns = offset_ns - self._offset_ns
        if ahead_ns <= _JITTER_NS:
            self._offset_ns, self._ahead_since_s = offset_ns, None
        elif self._ahead_since_s is None:
            log.warning("the clock went %.0f s forward at once; no footage counts as older for an hour", ahead_ns / NS_PER_S)
            self._ahead_since_s = now_s
        elif now_s - self._ahead_since_s >= _PATIENCE_S:
            self._offset_ns, self._ahead_since_s = offset_ns, None
        return self._offset_ns + round(now_s * NS_PER_S)

    def _offset_now_ns(self) -> int:
        return self._clock.now_ns() - round(self._clock.monotonic_s() * NS_PER_S)


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
