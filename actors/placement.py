"""What runs where. Pure."""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that is alive.

    Attributes:
        id: Ray's, another one after each start.
        name: the same after each start, alike in no two nodes; fit for a file name.
        called: what else it answers to: address, host name.
        storage: of the custom resource ``storage``: 0 where it keeps no footage, larger where it takes more cameras.
    """

    id: str
    name: str
    called: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    cpus: float = 0.0
    gpus: float = 0.0
    storage: float = 0.0
    head: bool = False

    def fits(self, wanted: str) -> bool:
        """Whether ``wanted`` means this one: its name, id, address, host name, or a label as ``key=value``."""
        key, is_label, value = wanted.partition("=")
        return self.labels.get(key) == value if is_label else wanted in {self.name, self.id, *self.called}


def storage_nodes(nodes: Sequence[Node], known: Collection[str]) -> list[Node]:
    """Those that keep footage: with the resource ``storage``; the head where no node of this cluster ever had it.

    Args:
        known: names of nodes that have had it.
    """
    own = [node for node in nodes if node.storage > 0]
    return own if own or known else [node for node in nodes if node.head]


def spread(
    items: Iterable[Item],
    places: Mapping[str, float],
    current: Mapping[Item, str],
    allowed: Callable[[Item], Collection[str] | None] = lambda _: None,
    *,
    balance: bool = False,
) -> dict[Item, str]:
    """A place for each item by the places' weights; an item that has none to go to is left out.

    An item stays where it is, unless that place is gone or not allowed, or has more than its share and ``balance`` is asked
    for. Others go to where there is least for the weight.

    Args:
        places: name: weight, of which the sum is more than 0 where there are any.
        allowed: places that an item may have; None means any.
    """
    wanted = {item: _candidates(places, allowed(item)) for item in items}
    share = {place: ceil(len(wanted) * weight / sum(places.values())) for place, weight in places.items()}
    found: dict[Item, str] = {}
    load: Counter[str] = Counter()
    for item in sorted(wanted, key=lambda item: len(wanted[item]) > 1):  # those with one place only come first
        here = wanted[item][0] if len(wanted[item]) == 1 else current.get(item)
        if here in wanted[item] and (not balance or load[here] < share[here] or len(wanted[item]) == 1):
            found[item] = here
            load[here] += 1
    for item, candidates in wanted.items():
        if item not in found and candidates:
            room = [place for place in candidates if load[place] < share[place]] or candidates
            found[item] = min(room, key=lambda place: (load[place] + 1) / places[place])
            load[found[item]] += 1
    return {item: found[item] for item in wanted if item in found}


def _candidates(places: Mapping[str, float], allowed: Collection[str] | None) -> list[str]:
    return [place for place, weight in places.items() if weight > 0 and (allowed is None or place in allowed)]
