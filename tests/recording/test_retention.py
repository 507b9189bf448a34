"""What goes, and why; and that a crash while it goes does no harm."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NS, T0_NS, event, segment

from raycctv.config import CameraRetention, Retention
from raycctv.config.units import FreeSpace
from raycctv.errors import RecordingError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.layout import remove_file
from raycctv.recording.retention import Deletion, Rules, plan, sweep
from raycctv.types import HEALTH_KINDS, CameraName, Event, Segment, Span, Value

DISK = 1_000_000
HOUR_S = 3600


def rules(**keep: object) -> Retention:
    forever = {"continuous": 1e9, "motion": 1e9, "event": 1e9, "min_free": FreeSpace(size_bytes=0)}
    return Retention.model_validate({**forever, **keep})


class Listed:
    """Footage as the plan asks for it, with values that are plain to see."""

    def __init__(self, segments: Sequence[Segment], events: Sequence[Event] = ()) -> None:
        self.segments = segments
        self._events = [event for event in events if event.kind not in HEALTH_KINDS]

    def sizes(self) -> dict[CameraName, int]:
        cameras = {segment.camera for segment in self.segments}
        return {name: sum(segment.size_bytes for segment in self.segments if segment.camera == name) for name in cameras}

    def oldest(self, camera: CameraName, value: Value) -> Iterator[Segment]:
        own = [segment for segment in self.segments if segment.camera == camera and self.value(segment) == value]
        return iter(sorted(own, key=lambda segment: (segment.ended_at_ns, segment.path)))

    def value(self, segment: Segment) -> Value:
        shown = [event for event in self._events if event.camera == segment.camera and meets(event, segment)]
        return max([Value.MOTION if event.kind == "motion" else Value.EVENT for event in shown], default=Value.CONTINUOUS)


def meets(event: Event, segment: Segment) -> bool:
    goes_on = event.ended_at_ns is None or segment.started_at_ns <= event.ended_at_ns
    return goes_on and segment.ended_at_ns > event.started_at_ns


def planned(
    segments: Sequence[Segment],
    events: Sequence[Event] = (),
    free_bytes: int = DISK,
    now_s: float = 0,
    cameras: dict[str, CameraRetention] | None = None,
    protected: Sequence[Span] = (),
    **keep: object,
) -> list[Deletion]:
    own = {CameraName(name): kept for name, kept in (cameras or {}).items()}
    footage = Listed(segments, events)
    return plan(footage, Rules(rules(**keep), own, protected), free_bytes, DISK, T0_NS + round(now_s * NS))


def span(from_s: float, to_s: float, camera: str = "gate") -> Span:
    return Span(CameraName(camera), T0_NS + round(from_s * NS), T0_NS + round(to_s * NS))


def starts(deletions: Sequence[Deletion]) -> list[float]:
    return [(deletion.segment.started_at_ns - T0_NS) / NS for deletion in deletions]


def test_plan_deletes_nothing_where_nothing_is_asked() -> None:
    assert planned([segment(start_s=s) for s in range(0, 600, 60)], now_s=1000) == []


def test_plan_counts_age_from_the_end_of_a_segment() -> None:
    one = [segment(start_s=0, duration_s=60)]
    assert planned(one, now_s=60 + HOUR_S, continuous=HOUR_S) == []
    (deletion,) = planned(one, now_s=61 + HOUR_S, continuous=HOUR_S)
    assert deletion.reason == "continuous footage is kept for 0.0417 d; this ended 2023-11-14T22:14:20.000Z"


def test_plan_gives_each_value_its_own_age() -> None:
    segments = [segment(start_s=s) for s in (0, 60, 120)]
    events = [event("m", kind="motion", start_s=70, end_s=80), event("p", start_s=130, end_s=140)]
    ages: dict[str, Any] = {"continuous": 1 * HOUR_S, "motion": 2 * HOUR_S, "event": 3 * HOUR_S}
    assert starts(planned(segments, events, now_s=1.5 * HOUR_S, **ages)) == [0]
    assert starts(planned(segments, events, now_s=2.5 * HOUR_S, **ages)) == [0, 60]
    assert starts(planned(segments, events, now_s=3.5 * HOUR_S, **ages)) == [0, 60, 120]


def test_plan_prefers_the_least_valuable_then_the_oldest() -> None:
    segments = [segment(start_s=s) for s in (0, 60, 120, 180)]
    events = [event("p", start_s=5, end_s=10), event("m", kind="motion", start_s=70, end_s=75)]
    assert starts(planned(segments, events, max_size=3000)) == [120]
    assert starts(planned(segments, events, max_size=2000)) == [120, 180]
    assert starts(planned(segments, events, max_size=1000)) == [120, 180, 60]


def test_plan_frees_no_more_than_the_disk_asks_for() -> None:
    segments = [segment(start_s=s) for s in (0, 60, 120)]
    (one, two) = planned(segments, free_bytes=98_500, min_free="10%")
    assert starts([one, two]) == [0, 60]
    assert one.reason == "98500 bytes free, min_free is 100000; oldest of the continuous footage"


def test_plan_keeps_the_footage_of_an_event_that_goes_on() -> None:
    segments = [segment(start_s=s) for s in (0, 60, 120)]
    assert starts(planned(segments, [event(start_s=70)], max_size=1)) == [0, 60, 120]  # all, if it must be
    assert starts(planned(segments, [event(start_s=70)], max_size=2000)) == [0]


def test_plan_gives_footage_no_value_for_what_says_how_raycctv_is() -> None:
    segments = [segment(start_s=s) for s in (0, 60)]
    for kind in HEALTH_KINDS:
        assert starts(planned(segments, [event(kind=kind, start_s=5, end_s=10)], max_size=1000)) == [0]


def test_plan_values_a_segment_by_events_of_its_own_camera() -> None:
    segments = [segment("gate", 0), segment("yard", 0)]
    (deletion,) = planned(segments, [event(camera="gate", start_s=5, end_s=6)], max_size=1000)
    assert deletion.segment.camera == "yard"


def test_plan_never_deletes_what_is_protected() -> None:
    segments = [segment(start_s=s) for s in (0, 60, 120)]
    kept = [span(70, 80)]
    assert starts(planned(segments, protected=kept, now_s=1e6, continuous=1)) == [0, 120]
    assert starts(planned(segments, protected=kept, max_size=1)) == [0, 120]
    assert starts(planned(segments, protected=kept, free_bytes=0, min_free="50%")) == [0, 120]
    assert starts(planned(segments, protected=[span(0, 500, "yard")], max_size=1)) == [0, 60, 120]
    assert starts(planned(segments, protected=[span(60, 120)], max_size=1)) == [0, 120]  # neighbours share no time


def test_plan_takes_a_cameras_own_rules_before_those_of_all() -> None:
    segments = [segment(camera, s) for camera in ("gate", "yard") for s in (0, 60)]
    own = {"gate": CameraRetention(continuous=HOUR_S), "yard": CameraRetention(max_size=1000)}
    deletions = planned(segments, cameras=own, now_s=HOUR_S + 100)
    assert [(one.segment.camera, one.segment.started_at_ns - T0_NS) for one in deletions] == [("gate", 0), ("yard", 0)]
    assert deletions[1].reason == "2000 bytes of yard's footage, max_size is 1000; oldest of the continuous footage"
    assert starts(planned(segments, cameras=own, max_size=3000)) == [0]  # what yard gives up is enough


SEGMENTS = st.lists(
    st.builds(
        segment,
        camera=st.sampled_from(["gate", "yard"]),
        start_s=st.integers(0, 10_000),
        duration_s=st.integers(1, 120),
        size_bytes=st.integers(1, 5_000),
    ),
    max_size=25,
    unique_by=lambda one: one.path,
)
EVENTS = st.lists(
    st.builds(
        event,
        camera=st.sampled_from(["gate", "yard"]),
        kind=st.sampled_from(["motion", "person"]),
        start_s=st.integers(0, 10_000),
        end_s=st.none() | st.integers(10_000, 20_000),
    ),
    max_size=6,
)
RULES = st.builds(
    rules,
    continuous=st.integers(1, 8_000),
    motion=st.integers(1, 8_000),
    event=st.integers(1, 8_000),
    max_size=st.none() | st.integers(1, 40_000),
    min_free=st.sampled_from(["1%", "5%", "20000B"]),
)


PROTECTED = st.lists(
    st.builds(lambda from_s, length_s: span(from_s, from_s + length_s), st.integers(0, 10_000), st.integers(1, 3000)),
    max_size=2,
)


@given(SEGMENTS, EVENTS, RULES, PROTECTED, st.integers(0, 60_000), st.integers(0, 20_000))
def test_plan_frees_what_is_asked_once_and_only_what_must_go(
    segments: list[Segment], events: list[Event], keep: Retention, protected: list[Span], free_bytes: int, now_s: int
) -> None:
    now_ns = T0_NS + now_s * NS
    rules = Rules(keep, protected=protected)
    deletions = plan(Listed(segments, events), rules, free_bytes, DISK, now_ns)
    gone = [deletion.segment for deletion in deletions]
    kept = [one for one in segments if one not in gone]
    assert len({one.path for one in gone}) == len(gone)
    assert set(gone) <= set(segments)
    freed = sum(one.size_bytes for one in gone)
    spared = [one for one in kept if any(by_hand.meets(one) for by_hand in protected)]
    assert not any(by_hand.meets(one) for by_hand in protected for one in gone)
    if len(spared) < len(kept):  # something might still have gone, so enough has been freed
        assert keep.max_size is None or sum(one.size_bytes for one in kept) <= keep.max_size
        assert free_bytes + freed >= keep.min_free.of(DISK)
    youngest = max([keep.continuous, keep.motion, keep.event])
    assert all(now_ns - one.ended_at_ns <= youngest * NS for one in kept if one not in spared)
    # idempotent: once it is done, nothing more is to be done
    assert plan(Listed(kept, events), rules, free_bytes + freed, DISK, now_ns) == []
    # and no more than needed: without the last one that went for space, a limit would still be broken
    for deletion in reversed(deletions):
        if "kept for" not in deletion.reason:
            stays = [*kept, deletion.segment]
            too_many = keep.max_size is not None and sum(one.size_bytes for one in stays) > keep.max_size
            assert too_many or free_bytes + freed - deletion.segment.size_bytes < keep.min_free.of(DISK)
            break


@settings(max_examples=30)
@given(SEGMENTS, st.lists(EVENTS, min_size=2, max_size=2), st.integers(0, 25), st.randoms())
def test_catalog_gives_footage_the_value_that_its_events_give_it(
    tmp_path_factory: pytest.TempPathFactory, segments: list[Segment], events: list[list[Event]], gone: int, order: Random
) -> None:
    """In whatever order segments and events come, events end, and segments go."""
    told = {one.id: one for number, batch in enumerate(events) for one in _named(batch, number)}
    steps: list[Segment | Event] = [*segments, *told.values()]
    order.shuffle(steps)
    with Catalog(tmp_path_factory.mktemp("catalog") / CATALOG_NAME) as catalog:
        for step in steps:
            if isinstance(step, Segment):
                catalog.add_segment(step)
            else:
                catalog.put_event(replace(step, ended_at_ns=None if step.ended_at_ns is None else step.started_at_ns + 1))
                catalog.put_event(step)
        catalog.mark_deleting([one.path for one in segments[:gone]])
        catalog.drop([one.path for one in segments[: gone // 2]])
        listed = Listed(segments[gone:], list(told.values()))
        assert catalog.sizes() == listed.sizes()
        for camera, value in product(listed.sizes(), Value):
            assert list(catalog.oldest(camera, value)) == list(listed.oldest(camera, value))


def _named(events: Sequence[Event], number: int) -> Iterator[Event]:
    for index, one in enumerate(events):
        yield replace(one, id=f"{number}-{index}")


def test_plan_reads_no_more_than_it_needs() -> None:
    """Of footage that is valuable, young or protected, whatever there is of it."""
    segments = [segment(camera, 60 * i) for camera in ("gate", "yard") for i in range(1000)]
    read: list[Segment] = []

    class Counted(Listed):
        def oldest(self, camera: CameraName, value: Value) -> Iterator[Segment]:
            for one in super().oldest(camera, value):
                read.append(one)
                yield one

    seen = [event(start_s=0, end_s=60 * 900 - 1)]
    goes = plan(Counted(segments, seen), Rules(rules(max_size=1_998_000)), DISK, DISK, T0_NS)
    assert starts(goes) == [0, 60]
    assert {one.segment.camera for one in goes} == {"yard"}
    assert len(read) < 20


class Crash(BaseException):
    """The machine stops here."""


def filled(root: Path, count: int) -> list[Segment]:
    """Segments on disk and in the catalog."""
    segments = [
        segment(start_s=60 * i, size_bytes=4, path=f"gate/2023-11-1{i % 2}/gate_20231114T22{i:02}00Z.mp4") for i in range(count)
    ]
    with Catalog(root / CATALOG_NAME) as catalog:
        for one in segments:
            (root / one.path).parent.mkdir(parents=True, exist_ok=True)
            (root / one.path).write_bytes(b"film")
            catalog.add_segment(one)
    return segments


def test_sweep_deletes_files_and_rows_and_logs_the_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    segments = filled(tmp_path, 3)
    with Catalog(tmp_path / CATALOG_NAME) as catalog, caplog.at_level(logging.INFO):
        sweep(catalog, tmp_path, [Deletion(one, "too old") for one in segments[:2]])
        assert catalog.segments() == segments[2:]
    assert sorted(tmp_path.glob("gate/*/*.mp4")) == [tmp_path / segments[2].path]
    assert not (tmp_path / segments[1].path).parent.exists()  # its day is empty
    assert f"deleted {segments[0].path}: too old" in caplog.text


@pytest.mark.parametrize("after_unlink", [False, True])
@pytest.mark.parametrize("crash_at", [0, 1, 2])
def test_crash_in_a_sweep_leaves_nothing_that_a_restart_does_not_settle(
    tmp_path: Path, crash_at: int, after_unlink: bool
) -> None:
    segments = filled(tmp_path, 4)
    goes = segments[:3]
    removed = 0

    def remove(root: Path, path: str) -> None:
        nonlocal removed
        if removed == crash_at and not after_unlink:
            raise Crash
        remove_file(root, path)
        removed += 1
        if removed == crash_at + 1 and after_unlink:
            raise Crash

    with Catalog(tmp_path / CATALOG_NAME) as catalog, pytest.raises(Crash):
        sweep(catalog, tmp_path, [Deletion(one, "too old") for one in goes], remove)
    with Catalog(tmp_path / CATALOG_NAME) as catalog:
        assert catalog.segments() == segments[3:]  # what was decided stays decided
        catalog.reconcile(tmp_path)
        assert catalog.segments() == segments[3:]
        assert catalog.deleting() == []
    assert sorted(tmp_path.glob("gate/*/*.mp4")) == [tmp_path / segments[3].path]


def test_sweep_of_a_file_that_cannot_go_does_the_rest_and_tries_again(tmp_path: Path) -> None:
    segments = filled(tmp_path, 3)

    def stuck(root: Path, path: str) -> None:
        if path == segments[0].path:
            raise RecordingError(f"{path}: cannot be deleted: Read-only file system")
        remove_file(root, path)

    with Catalog(tmp_path / CATALOG_NAME) as catalog:
        with pytest.raises(RecordingError, match="Read-only"):
            sweep(catalog, tmp_path, [Deletion(one, "too old") for one in segments[:2]], stuck)
        assert catalog.segments() == segments[2:]
        assert catalog.deleting() == [segments[0].path]
        sweep(catalog, tmp_path, [])
        assert catalog.deleting() == []
    assert not (tmp_path / segments[0].path).exists()
