"""A bounded number of questions in flight; of those that must wait, only the newest."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

VERDICT_TIMEOUT_S = 10.0
"""What is not answered in this time is given up by who asked, and need not be computed any more by who was asked."""


class Window(Generic[T]):
    """Who asks an overloaded detector should ask about what is happening now, not about what has been. Pure.

    At most ``size`` items are in flight. One more waits; when a newer one comes, the older that waits is dropped.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._flying: deque[T] = deque()
        self._waiting: T | None = None

    def offer(self, item: T) -> T | None:
        """A new item wants to go. Returns the item that is dropped for it, if any."""
        dropped, self._waiting = self._waiting, item
        return dropped

    def take(self) -> T | None:
        """The item that may go now; it is in flight from here on. None where nothing waits or no place is free."""
        if self._waiting is None or len(self._flying) >= self._size:
            return None
        item, self._waiting = self._waiting, None
        self._flying.append(item)
        return item

    @property
    def full(self) -> bool:
        """Whether the next item that is offered will drop another."""
        return self._waiting is not None

    @property
    def oldest(self) -> T | None:
        """The item that has been in flight longest."""
        return self._flying[0] if self._flying else None

    def land(self) -> T:
        """The oldest item in flight has been answered, or is given up."""
        return self._flying.popleft()

    def clear(self) -> list[T]:
        """Give up everything; returns it."""
        gone = [*self._flying, *([self._waiting] if self._waiting is not None else [])]
        self._flying.clear()
        self._waiting = None
        return gone
