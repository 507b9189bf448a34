"""Two accounts of the same footage: which events come, go and stay."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from raycctv.clock import NS_PER_S
from raycctv.types import Event

_APART_NS = 2 * NS_PER_S
"""Two events as far apart as this may still be the same thing, seen a little earlier or later."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What other settings make of the same footage. All by time.

    Attributes:
        come: only the new settings raise these.
        go: only the old.
        stay: (old, new) that are of the same kind at the same time.
    """

    come: list[Event] = field(default_factory=list)
    go: list[Event] = field(default_factory=list)
    stay: list[tuple[Event, Event]] = field(default_factory=list)


def difference(old: Sequence[Event], new: Sequence[Event]) -> Difference:
    """Pair events of one kind that share most time, each with one other at most; what is left over comes or goes."""
    pairs = [(a, b) for a, b in product(old, new) if a.kind == b.kind and _shared_ns(a, b) > -_APART_NS]
    pairs.sort(key=lambda pair: -_shared_ns(*pair))
    stay: list[tuple[Event, Event]] = []
    taken: set[str] = set()
    for a, b in pairs:
        if not taken & {f"old {a.id}", f"new {b.id}"}:
            taken |= {f"old {a.id}", f"new {b.id}"}
            stay.append((a, b))
    return Difference(
        come=sorted((event for event in new if f"new {event.id}" not in taken), key=_began),
        go=sorted((event for event in old if f"old {event.id}" not in taken), key=_began),
        stay=sorted(stay, key=lambda pair: _began(pair[0])),
    )


def _began(event: Event) -> int:
    return event.started_at_ns


def _shared_ns(a: Event, b: Event) -> int:
    """Time that both last; below 0 the time between them."""
    ends = [event.started_at_ns if event.ended_at_ns is None else event.ended_at_ns for event in (a, b)]
    return min(ends) - max(a.started_at_ns, b.started_at_ns)
