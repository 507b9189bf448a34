from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycctv.clock import NS_PER_S
from raycctv.config import Events, ObjectRule
from raycctv.events.machine import Change, EventMachine
from raycctv.events.tracker import Box, View
from raycctv.types import CameraName, Event

NAME = CameraName("gate")
STEP_S = 0.2


def machine(zones_at: Any = None, **rule: Any) -> EventMachine:
    return EventMachine(NAME, {"person": ObjectRule(**rule), "car": ObjectRule()}, Events(), zones_at or (lambda _: ()), "net")


def person(t: float, x: float, score: float = 0.8, moving: float = 1.0, label: str = "person") -> View:
    return View(round(t * NS_PER_S), label, score, (x, 100, x + 40, 200), moving)


def walk(start_s: float, seconds: float, speed: float = 60, **view: Any) -> list[View]:
    return [person(start_s + i * STEP_S, i * STEP_S * speed, **view) for i in range(round(seconds / STEP_S))]


def run(events: EventMachine, views: Iterable[View]) -> list[Change]:
    changes = [change for view in views for change in events.observe(view.at_ns, [view]).changes]
    return changes + events.close()


def states(changes: list[Change]) -> list[tuple[str, bool]]:
    return [(change.event.kind, change.event.ended_at_ns is not None) for change in changes]


def test_a_visit_is_one_event_from_its_first_to_its_last_view() -> None:
    began, ended = (change.event for change in run(machine(), walk(10, 6)))
    assert began.ended_at_ns is None
    assert (ended.id, ended.kind, ended.camera, ended.model) == (began.id, "person", NAME, "net")
    assert (began.started_at_ns, ended.ended_at_ns) == (10 * NS_PER_S, round(15.8 * NS_PER_S))
    assert ended.labels == {"person": 0.8}
    assert "30 views over 5.8 s" in ended.why


@pytest.mark.parametrize(
    "views",
    [
        walk(0, 0.4),  # seen too seldom
        walk(0, 6, score=0.45),  # never sure enough
        walk(0, 6, speed=0),  # was there and stayed
        walk(0, 6, moving=0.0),  # where nothing moves
        walk(0, 6, label="kite"),  # nobody asked for it
    ],
    ids=["brief", "unsure", "standing", "still", "unwanted"],
)
def test_what_is_no_visit_is_no_event(views: list[View]) -> None:
    assert run(machine(), views) == []


def test_an_object_that_comes_back_soon_continues_its_event() -> None:
    away_s = Events().lost_s + Events().cool_down_s - 1
    views = walk(0, 3) + [person(2.8 + away_s + i * STEP_S, 168 + i * 10) for i in range(10)]
    assert states(run(machine(), views)) == [("person", False), ("person", True)]


def test_an_object_that_comes_back_late_is_another_event() -> None:
    away_s = Events().lost_s + Events().cool_down_s + 1
    assert states(run(machine(), walk(0, 3) + walk(3 + away_s, 3))) == [("person", False), ("person", True)] * 2


def test_an_event_ends_while_others_go_on_being_seen() -> None:
    late = [person(3 + i * STEP_S, 400 + i * 10, label="car") for i in range(60)]
    changes = run(machine(), walk(0, 3) + late)
    assert states(changes)[:3] == [("person", False), ("car", False), ("person", True)]


def test_an_event_names_the_zones_in_order_of_entry_and_needs_one_that_counts() -> None:
    def zones(box: Box) -> tuple[str, ...]:
        return ("street",) if box[0] < 100 else ("gate",)

    began, ended = (change.event for change in run(machine(zones, zones=("gate",)), walk(0, 6)))
    assert began.zones == ended.zones == ("street", "gate")
    assert run(machine(zones, zones=("gate",)), walk(0, 1.4)) == []


def test_an_event_says_why() -> None:
    views = [
        replace(view, crops=2, changed=0.03, score=score)
        for view, score in zip(walk(0, 1), (0.4, 0.9, 0.6, 0.5, 0.7), strict=False)
    ]
    why = run(machine(), views)[-1].event.why
    for fact in ("in 5 views", "scores 0.40 to 0.90", "at most 3.0% of the picture changed", "10 crops asked about"):
        assert fact in why


def test_a_parked_car_that_somebody_passes_is_no_event_until_it_drives_off() -> None:
    parked = [person(i, 0, moving=0.0, label="car") for i in range(20)]
    passed = [person(20 + i * STEP_S, 20 * (i % 2), label="car") for i in range(6)]
    assert run(machine(), parked + passed) == []
    leaving = [person(22 + i * STEP_S, 20 * i, label="car") for i in range(8)]
    assert states(run(machine(), parked + passed + leaving))[0] == ("car", False)


def test_a_best_view_is_told_so_that_its_picture_is_kept() -> None:
    events = machine()
    told = [
        bool(events.observe(view.at_ns, [view]).best) for view in (person(0, 0, 0.5), person(0.2, 5, 0.4), person(0.4, 9, 0.9))
    ]
    assert told == [True, False, True]
    assert events.best_view(0).score == 0.9


def move(events: EventMachine, start_s: float, seconds: float, views: dict[float, View] | None = None) -> list[Change]:
    changes: list[Change] = []
    events.motion_began(round(start_s * NS_PER_S))
    for step in range(round(seconds / STEP_S)):
        t = round(start_s + step * STEP_S, 3)
        if views and t in views:
            changes += events.observe(views[t].at_ns, [views[t]]).changes
        changes += events.motion_seen(round(t * NS_PER_S), 0.01 * step, (0, 0, 10 + step, 10))
    return changes + events.motion_ended(round((start_s + seconds - STEP_S) * NS_PER_S))


def test_motion_that_nothing_explains_is_an_event_once_it_lasts() -> None:
    began, ended = (change.event for change in move(machine(), 5, 6))
    assert (began.kind, began.started_at_ns, ended.ended_at_ns) == ("motion", 5 * NS_PER_S, round(10.8 * NS_PER_S))
    assert (ended.score, ended.box, ended.model) == (0.29, (0, 0, 39, 10), None)
    assert move(machine(), 5, Events().motion_min_s - 1) == []


def stir(seconds: float, every_s: float, roam: float, score: float) -> list[Change]:
    """Motion of 20 x 20 px in a frame each ``every_s``, which goes to and fro by ``roam`` px."""
    events = machine()
    events.motion_began(0)
    steps = range(1, round(seconds / every_s))
    boxes = [(100.0 + roam * (step % 2), 100.0, 120.0 + roam * (step % 2), 120.0) for step in steps]
    return [
        change
        for step, box in zip(steps, boxes, strict=True)
        for change in events.motion_seen(round(step * every_s * NS_PER_S), score, box)
    ]


def test_motion_of_a_branch_in_the_wind_is_no_event() -> None:
    assert stir(60, 0.2, roam=5, score=0.002) == []
    assert states(stir(60, 0.2, roam=30, score=0.002)) == [("motion", False)]
    assert states(stir(60, 0.2, roam=5, score=0.02)) == [("motion", False)]


def test_motion_that_is_large_and_goes_somewhere_is_an_event_sooner() -> None:
    assert states(stir(2, 0.2, roam=30, score=0.02)) == [("motion", False)]
    assert stir(0.8, 0.2, roam=30, score=0.02) == []
    assert stir(2, 0.2, roam=30, score=0.002) == stir(2, 0.2, roam=5, score=0.02) == []


def test_motion_now_and_then_is_no_event_as_soon() -> None:
    assert states(stir(5, 0.2, roam=30, score=0.002)) == [("motion", False)]
    assert stir(5, 1.5, roam=30, score=0.002) == []


def test_motion_that_a_person_explains_is_no_event_of_its_own() -> None:
    views = {round(view.at_ns / NS_PER_S, 3): view for view in walk(5, 6)}
    assert states(move(machine(), 5, 6, views)) == [("person", False)]


def test_motion_ends_when_it_is_explained() -> None:
    views = {round(view.at_ns / NS_PER_S, 3): view for view in walk(10, 4)}
    assert states(move(machine(), 5, 9, views)) == [("motion", False), ("motion", True), ("person", False)]


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 600), st.sampled_from(["person", "car"])), max_size=80))
def test_every_event_begins_once_and_ends_once_and_in_that_order(seen: list[tuple[int, int, str]]) -> None:
    views = [person(step / 10, x, label=label) for step, x, label in sorted(seen)]
    begun: dict[str, Event] = {}
    for change in run(machine(min_views=1), views):
        event = change.event
        if event.ended_at_ns is None:
            assert event.id not in begun
            begun[event.id] = event
        else:
            assert begun.pop(event.id).started_at_ns == event.started_at_ns <= event.ended_at_ns
    assert begun == {}


def stood(events: EventMachine, seconds: float, sees: Any = lambda _: True, moving: Any = lambda _: ()) -> list[float]:
    """Somebody walks for 2 s and stands for so long; says when the detector is asked, who sees him where ``sees`` says so."""
    for view in walk(0, 2):
        events.to_ask(view.at_ns, [view.box])
        events.observe(view.at_ns, [view])
    asked = []
    for step in range(1, round(seconds / STEP_S)):
        t = round(1.8 + step * STEP_S, 3)
        at_ns = round(t * NS_PER_S)
        events.advance(at_ns)
        if events.to_ask(at_ns, moving(t)):
            asked.append(t)
            events.observe(at_ns, [person(t, 108, moving=0.0)] if sees(t) else [])
    return asked


def test_object_that_stands_is_asked_about_seldom_and_its_event_goes_on() -> None:
    events = machine()
    asked = [t for t in stood(events, 60) if t > 4]
    assert len(asked) == pytest.approx(56 / 5, abs=2)
    leaving = [person(61.8 + i * STEP_S, 108 + i * 12) for i in range(20)]
    assert events.to_ask(leaving[0].at_ns, [leaving[0].box])
    assert states(run(events, leaving)) == [("person", True)]


def test_object_that_stands_is_asked_about_at_once_where_something_moves() -> None:
    asked = stood(machine(), 20, moving=lambda t: [(100.0, 100.0, 130.0, 200.0)] if 8.5 < t < 9.5 else [])
    assert [t for t in asked if 8.5 < t < 9.5] == pytest.approx([8.6, 8.8, 9.0, 9.2, 9.4])


def test_object_that_was_disturbed_and_is_not_seen_again_has_left() -> None:
    events = machine()
    passing = [(100.0, 100.0, 130.0, 200.0)]
    stood(events, 14, sees=lambda t: t < 8.5, moving=lambda t: passing if 8.5 < t < 9.5 else [])
    assert len(events.keys()) == 1
    gone_ns = round((8.5 + Events().lost_s + Events().cool_down_s + 1) * NS_PER_S)
    assert states(events.advance(gone_ns)) == [("person", True)]


def test_object_that_three_looks_do_not_find_has_left_though_nothing_moved() -> None:
    events = machine()
    stood(events, 40, sees=lambda t: t < 6)
    assert events.keys() == set()
