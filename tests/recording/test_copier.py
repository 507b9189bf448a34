"""Copying in the background: what is owed is copied in the end, and what hinders it is said."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from stores import BadStore, HangingStore, empty
from support import NS, event, segment, until

from raycctv.clock import ManualClock
from raycctv.config import Recording
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.copier import Copier
from raycctv.types import Segment

START_S = 1_000_000
"""When the clock stands, in seconds after T0_NS."""

Open = Callable[[str], Copier]


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(START_S)
    return clock


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / CATALOG_NAME) as opened:
        yield opened


@pytest.fixture
def open_copier(catalog: Catalog, clock: ManualClock) -> Iterator[Open]:
    made: list[Copier] = []

    def start(to: str) -> Copier:
        recording = Recording.model_validate({"root": catalog.path.parent, "copy_events": {"to": to}})
        assert recording.copy_events is not None
        made.append(Copier(recording, recording.copy_events, clock))
        return made[-1]

    yield start
    for copier in made:
        copier.close()
    empty()


def filed(catalog: Catalog, start_s: float, data: bytes = b"film") -> Segment:
    one = segment(start_s=start_s, size_bytes=len(data))
    path = catalog.path.parent / one.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    catalog.add_segment(one)
    return one


def copied(catalog: Catalog) -> set[str]:
    return {copy.path for copy in catalog.copies()}


def test_more_than_a_batch_is_copied_and_its_rows_survive_the_end(catalog: Catalog, open_copier: Open) -> None:
    paths = {filed(catalog, 60 * number).path for number in range(40)}
    catalog.put_event(event(end_s=3000))
    copier = open_copier(f"{BadStore.opened().protocol}://b")
    until(lambda: copier.copied == 40, 20)
    assert copied(catalog) == paths
    assert copier.error is None
    copier.close()
    again = open_copier("bad://b")
    catalog.put_event(event("later", start_s=START_S - 5))
    catalog.add_segment(replace(filed(catalog, START_S), duration_ns=NS))
    until(lambda: again.copied == 1, 20)
    assert len(BadStore.written) == 41


def test_copies_whose_rows_are_lost_are_read_and_count_again(catalog: Catalog, open_copier: Open) -> None:
    paths = [filed(catalog, start_s).path for start_s in (0, 60)]
    catalog.put_event(event(end_s=100))
    first = open_copier(f"{BadStore.opened().protocol}://b")
    until(lambda: first.copied == 2, 20)
    first.close()
    catalog.drop(paths)
    for start_s in (0, 60):
        filed(catalog, start_s)
    assert copied(catalog) == set()
    second = open_copier("bad://b")
    until(lambda: second.copied == 2, 20)
    assert copied(catalog) == set(paths)
    assert len(BadStore.written) == 2


@pytest.mark.logs_errors
def test_segment_that_cannot_be_copied_is_said_and_hinders_no_other(catalog: Catalog, open_copier: Open) -> None:
    segments = [filed(catalog, 60 * number) for number in range(3)]
    (catalog.path.parent / segments[0].path).unlink()
    catalog.put_event(event(end_s=200))
    copier = open_copier(f"{BadStore.opened().protocol}://b")
    until(lambda: copied(catalog) == {one.path for one in segments[1:]}, 20)
    until(lambda: segments[0].path in (copier.error or ""), 20)
    assert copier.owed == {segments[0].path}
    catalog.drop([segments[0].path])
    until(lambda: copier.error is None, 30)
    assert copier.owed == frozenset()


def test_event_that_comes_late_is_found_within_the_hour(catalog: Catalog, open_copier: Open, clock: ManualClock) -> None:
    old, now = filed(catalog, 0), filed(catalog, START_S)
    catalog.put_event(event("now", start_s=START_S))
    open_copier(f"{BadStore.opened().protocol}://b")
    until(lambda: copied(catalog) == {now.path}, 20)
    catalog.put_event(event("old", end_s=5))
    later = filed(catalog, START_S + 60)
    until(lambda: later.path in copied(catalog), 20)
    assert old.path not in copied(catalog)
    clock.advance(3700)
    until(lambda: old.path in copied(catalog), 20)


def test_store_that_hangs_is_said(catalog: Catalog, open_copier: Open, clock: ManualClock) -> None:
    filed(catalog, 0)
    catalog.put_event(event(end_s=5))
    copier = open_copier(f"{HangingStore.opened().protocol}://b")
    try:
        until(lambda: bool(copier.owed), 20)
        errors = [copier.error]
        clock.advance(1200)
        assert [*errors, copier.error] == [None, "hanging://b: nothing was finished for 20 min; it hangs, or is slow"]
    finally:
        HangingStore.released.set()
    until(lambda: copier.error is None, 20)
    assert copied(catalog)


def test_closing_ends_the_thread(catalog: Catalog, open_copier: Open, tmp_path: Path) -> None:
    before = threading.active_count()
    copier = open_copier(str(tmp_path.parent))
    assert threading.active_count() == before + 1
    copier.close()
    assert threading.active_count() == before
