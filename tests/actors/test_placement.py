from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.placement import Node, spread, storage_nodes

ITEMS = st.lists(st.integers(0, 60), unique=True)
PLACES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([1.0, 2.0, 4.0]), min_size=1)


def test_what_is_new_goes_to_where_there_is_least_for_the_weight() -> None:
    found = spread(range(6), {"small": 1, "large": 2}, {})
    assert Counter(found.values()) == {"small": 2, "large": 4}


def test_what_is_placed_stays_until_balance_is_asked_for() -> None:
    crowded = dict.fromkeys(range(4), "a")
    assert spread(range(4), {"a": 1, "b": 1}, crowded) == crowded
    balanced = spread(range(4), {"a": 1, "b": 1}, crowded, balance=True)
    assert Counter(balanced.values()) == {"a": 2, "b": 2}


def test_what_may_go_to_one_place_only_goes_there_and_others_make_room() -> None:
    found = spread(range(4), {"a": 1, "b": 1}, {2: "a", 3: "a"}, lambda item: ["a"] if item < 2 else None, balance=True)
    assert found == {0: "a", 1: "a", 2: "b", 3: "b"}


def test_what_may_go_nowhere_is_left_out() -> None:
    assert spread([1, 2], {"a": 1}, {}, lambda item: [] if item == 1 else None) == {2: "a"}
    assert spread([1], {}, {1: "a"}) == {}


@given(ITEMS, PLACES, PLACES)
def test_all_is_placed_by_weight_and_no_more_moves_than_must(
    items: list[int], before: dict[str, float], after: dict[str, float]
) -> None:
    first = spread(items, before, {})
    assert first.keys() == set(items)
    kept = spread(items, after, first)
    assert all(kept[item] == place for item, place in first.items() if place in after)
    balanced = spread(items, after, first, balance=True)
    load = Counter(balanced.values())
    assert all(load[place] <= ceil(len(items) * weight / sum(after.values())) for place, weight in after.items())
    assert spread(items, after, balanced, balance=True) == balanced


@pytest.mark.parametrize("wanted", ["yard", "0a1b", "192.0.2.7", "yard.example.org", "site=north"])
def test_node_fits_what_it_is_called(wanted: str) -> None:
    node = Node("0a1b", "yard", frozenset({"192.0.2.7", "yard.example.org"}), {"site": "north"})
    assert node.fits(wanted)
    assert not node.fits(f"{wanted}x")
    assert not node.fits("site")


def test_head_keeps_footage_only_where_no_node_was_made_for_it() -> None:
    head, worker, disk = Node("1", "head", head=True), Node("2", "worker"), Node("3", "disk", storage=1)
    assert storage_nodes([head, worker], ()) == [head]
    assert storage_nodes([head, worker, disk], ()) == [disk]
    assert storage_nodes([head, worker], {"disk"}) == []  # that one is away, and the head's disk is not made for it
