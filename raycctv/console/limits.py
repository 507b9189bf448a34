"""How often one may try a password."""

import threading
from collections import OrderedDict, deque

from raycctv.clock import Clock

WITHIN_S = 300.0
BY_ADDRESS = 10
BY_NAME = 30
"""Failures within that time after which no more are looked at. More of a name than of an address, so that a stranger cannot
keep somebody out of an account as easily as himself."""

_KNOWN = 10_000
"""Addresses and names that are remembered; whoever comes from more is met by the limit on names."""


class LoginLimit:
    """Failures are kept in memory: a restart forgets them. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def wait_s(self, address: str, name: str) -> float:
        """Time until the next try is looked at; 0 where it is now."""
        with self._lock:
            return max(self._wait_s(key, most) for key, most in _keys(address, name))

    def failed(self, address: str, name: str) -> None:
        """A wrong password, or a name that does not exist."""
        with self._lock:
            for key, most in _keys(address, name):
                self._failures.setdefault(key, deque(maxlen=most)).append(self._clock.monotonic_s())
                self._failures.move_to_end(key)
            while len(self._failures) > _KNOWN:
                self._failures.popitem(last=False)

    def succeeded(self, name: str) -> None:
        """Failures of that name count no more; those of the address do, for other names."""
        with self._lock:
            self._failures.pop(("name", name.lower()), None)

    def _wait_s(self, key: tuple[str, str], most: int) -> float:
        failures = self._failures.get(key, deque())
        return max(failures[0] + WITHIN_S - self._clock.monotonic_s(), 0.0) if len(failures) == most else 0.0


def _keys(address: str, name: str) -> list[tuple[tuple[str, str], int]]:
    return [(("address", address), BY_ADDRESS), (("name", name.lower()), BY_NAME)]
