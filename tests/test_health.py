"""What a reader and the storage actor watch besides their work."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import NS, T0_NS, event, segment, until

from raycctv import health
from raycctv.clock import ManualClock, SystemClock
from raycctv.config import Recording, StreamUrl
from raycctv.health import Presence, SinkHealth, StorageHealth
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.recorder import Recorder
from raycctv.types import NO_CAMERA, CameraName, Event

CLOCK = SystemClock()
GATE = CameraName("gate")


# -- what a reader watches --------------------------------------------------


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def presence(told: list[Event], monkeypatch: pytest.MonkeyPatch) -> Iterator[Presence]:
    monkeypatch.setattr(health, "AWAY_S", 0.3)
    made = Presence(GATE, CLOCK, told.append)
    yield made
    made.close()


def test_camera_that_never_came_is_away_since_it_was_waited_for(presence: Presence, told: list[Event]) -> None:
    began_ns = CLOCK.now_ns()
    presence.lost("no connection yet")
    presence.lost("refused")
    until(lambda: bool(told), 5)
    assert (told[0].kind, told[0].ended_at_ns, told[0].why) == ("camera_offline", None, "refused")
    assert began_ns <= told[0].started_at_ns < began_ns + 0.2 * NS


def test_camera_is_away_from_its_last_packet_to_its_next(presence: Presence, told: list[Event]) -> None:
    presence.lost("no connection yet")
    presence.seen(CLOCK.now_ns())
    last_ns = CLOCK.now_ns()
    presence.seen(last_ns)
    presence.lost("it ended")
    until(lambda: len(told) == 1, 5)
    assert told[0].started_at_ns == last_ns
    again_ns = CLOCK.now_ns()
    presence.seen(again_ns)
    assert [(event.id, event.ended_at_ns) for event in told] == [(told[0].id, None), (told[0].id, again_ns)]
    presence.seen(again_ns + 1)
    assert len(told) == 2


def test_camera_that_was_silent_for_long_before_it_was_lost_is_away_at_once(presence: Presence, told: list[Event]) -> None:
    presence.seen(CLOCK.now_ns())
    silent_s = CLOCK.monotonic_s() + 0.4
    until(lambda: CLOCK.monotonic_s() > silent_s, 5)
    presence.lost("timed out")
    until(lambda: bool(told), 5)
    assert told[0].started_at_ns < CLOCK.now_ns() - 0.3 * NS


def test_camera_that_comes_again_at_once_was_not_away(presence: Presence, told: list[Event]) -> None:
    presence.seen(CLOCK.now_ns())
    presence.lost("it ended")
    presence.seen(CLOCK.now_ns())
    later_s = CLOCK.monotonic_s() + 0.6
    until(lambda: CLOCK.monotonic_s() > later_s, 5)
    assert told == []


def test_event_ends_with_whoever_follows_it(presence: Presence, told: list[Event]) -> None:
    presence.lost("refused")
    until(lambda: bool(told), 5)
    presence.close()
    presence.close()
    presence.lost("refused")
    later_s = CLOCK.monotonic_s() + 0.6
    until(lambda: CLOCK.monotonic_s() > later_s, 5)
    assert [event.ended_at_ns is None for event in told] == [True, False]


# -- what storage watches ---------------------------------------------------


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(tmp_path / CATALOG_NAME) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(1000)
    return clock


def watched(catalog: Catalog, clock: ManualClock, told: list[Event]) -> StorageHealth:
    """Of one camera whose recorder does not run."""
    recording = Recording(root=catalog.path.parent)
    recorder = Recorder(GATE, StreamUrl.parse("rtmp://127.0.0.1/live/gate"), recording, clock)

    def emit(state: Event) -> None:
        told.append(state)
        catalog.put_event(state)

    health = StorageHealth(catalog, clock, emit)
    health.follow({GATE: recorder})
    return health


def test_gap_began_with_the_last_footage_and_is_told_again_after_an_orderly_end(
    catalog: Catalog, clock: ManualClock, told: list[Event]
) -> None:
    catalog.add_segment(segment(start_s=900))
    first = watched(catalog, clock, told)
    first.look_at_footage()
    assert told == []
    clock.advance(60)
    first.look_at_footage()
    clock.advance(10)
    first.close()
    clock.advance(100)
    second = watched(catalog, clock, told)
    clock.advance(60)
    second.look_at_footage()
    assert [state_s(state) for state in told] == [(960, None), (960, 1070), (1070, None)]
    assert len({state.id for state in told}) == 2


def test_next_life_continues_what_the_last_left_open_and_ends_what_is_recorded_no_more(
    catalog: Catalog, clock: ManualClock, told: list[Event]
) -> None:
    for one in (event("g", kind="recording_gap"), event("y", camera="yard", kind="recording_gap")):
        catalog.put_event(one)
    catalog.put_event(event("d", camera=NO_CAMERA, kind="disk_low"))
    storage = watched(catalog, clock, told)
    storage.disk_is_low("full")
    clock.advance(60)
    storage.look_at_footage()
    storage.disk_is_well()
    assert [(state.id, state_s(state)) for state in told] == [("y", (0, 1000)), ("d", (0, 1060))]
    catalog.put_event(event("o", kind="camera_offline", start_s=1050))
    storage.look_at_footage()
    assert [(state.id, state_s(state)) for state in told[2:]] == [("g", (0, 1050))]


def state_s(state: Event) -> tuple[float, float | None]:
    """When it began and ended, after T0_NS."""
    ended_s = None if state.ended_at_ns is None else (state.ended_at_ns - T0_NS) / NS
    return (state.started_at_ns - T0_NS) / NS, ended_s


# -- what the sink watches ----------------------------------------------------


class Watched:
    """A sink's health and what it told."""

    def __init__(self, folder: Path, *open_events: Event) -> None:
        self.clock = ManualClock(T0_NS)
        self.told: list[Event] = []
        with Catalog(folder / CATALOG_NAME) as catalog:
            for one in open_events:
                catalog.put_event(one)
            self.health = SinkHealth(catalog, self.clock, self.told.append)

    def states(self) -> list[tuple[str, bool]]:
        return [(one.kind, one.ended_at_ns is None) for one in self.told]


def test_detector_that_is_busy_for_a_minute_is_an_event_until_no_one_is(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for _ in range(14):
        watched.clock.advance(5)
        watched.health.detector_is_busy("detector:0", 0.99)
        watched.health.detector_is_busy("detector:1", 0.3)
    assert watched.states() == [("detector_overload", True)]
    assert (watched.told[0].camera, watched.told[0].started_at_ns) == (NO_CAMERA, T0_NS + 5 * NS)
    assert "detector:0 computed for" in watched.told[0].why
    watched.health.detector_is_busy("detector:0", 0.5)
    assert watched.states() == [("detector_overload", True), ("detector_overload", False)]


def test_detector_that_is_busy_now_and_then_is_none(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for number in range(60):
        watched.clock.advance(5)
        watched.health.detector_is_busy("detector:0", 0.99 if number % 10 else 0.2)
    assert watched.told == []


def test_server_that_confirms_nothing_is_an_event_until_it_does(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for _ in range(30):
        watched.clock.advance(5)
        watched.health.servers_are_owed({"webhook": T0_NS + 140 * NS, "elasticsearch": T0_NS})
    assert watched.states() == [("sink_behind", True)]
    assert watched.told[0].why.startswith("elasticsearch has not confirmed")
    watched.health.servers_are_owed({"webhook": T0_NS + 140 * NS})
    assert watched.states()[-1] == ("sink_behind", False)


def test_events_of_an_earlier_life_are_continued(tmp_path: Path) -> None:
    watched = Watched(tmp_path, event("old", camera=NO_CAMERA, kind="sink_behind"))
    watched.health.servers_are_owed({})
    (ended,) = watched.told
    assert (ended.id, ended.ended_at_ns) == ("old", T0_NS)
