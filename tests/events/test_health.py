"""When something that is not well is an event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycctv.clock import NS_PER_S
from raycctv.events.health import GAP_S, Fault, FootageFault
from raycctv.types import DISK_LOW, NO_CAMERA, Arrival, CameraName, Event

GATE = CameraName("gate")
T0_NS = 1_700_000_000 * NS_PER_S


def at(seconds: float) -> Arrival:
    """So long after T0_NS; the monotonic clock began earlier."""
    return Arrival(T0_NS + round(seconds * NS_PER_S), 500 + seconds)


def span_s(event: Event | None) -> tuple[float, float | None]:
    assert event is not None
    ended_s = None if event.ended_at_ns is None else (event.ended_at_ns - T0_NS) / NS_PER_S
    return (event.started_at_ns - T0_NS) / NS_PER_S, ended_s


def test_fault_is_an_event_once_it_has_lasted_and_ends_once() -> None:
    fault = Fault(GATE, "camera_offline", 3)
    assert fault.right(T0_NS) is None
    assert fault.wrong(T0_NS, 2.9, "a") is None
    began = fault.wrong(T0_NS, 3, "b")
    assert began is not None
    assert (began.id, began.camera, began.why) == ("20231114T221320.000Z-gate-camera_offline", "gate", "b")
    assert (began.labels, began.zones, began.box, began.score, began.model) == ({}, (), (0, 0, 0, 0), 0.0, None)
    assert span_s(began) == (0, None)
    assert fault.wrong(T0_NS, 60, "c") is None
    ended = fault.right(T0_NS + 70 * NS_PER_S)
    assert ended is not None
    assert (ended.id, span_s(ended)) == (began.id, (0, 70))
    assert fault.right(T0_NS + 80 * NS_PER_S) is None


def test_event_of_an_earlier_life_is_continued() -> None:
    began = Fault(NO_CAMERA, DISK_LOW, 0).wrong(T0_NS, 0, "full")
    assert began is not None
    assert began.id == "20231114T221320.000Z-disk_low"
    again = Fault(NO_CAMERA, DISK_LOW, 0, began)
    assert again.wrong(T0_NS + 5, 5, "still full") is None
    ended = again.right(T0_NS - 1)  # the clock was set back
    assert ended is not None
    assert (ended.id, ended.ended_at_ns) == (began.id, T0_NS)


def test_footage_that_stops_while_the_camera_sends_is_a_gap_until_it_comes_again() -> None:
    gap = FootageFault(GATE, T0_NS - NS_PER_S, at(0).at_s)
    assert gap.look(at(5), at(5), None, "") is None
    assert gap.look(at(19), at(5), None, "") is None
    began = gap.look(at(20), at(5), None, "gate: refused")
    assert span_s(began) == (5, None)
    assert began is not None
    assert began.kind == "recording_gap"
    assert began.why.endswith("though the camera is not known to be away; gate: refused")
    assert gap.look(at(60), at(5), None, "") is None
    assert span_s(gap.look(at(90), at(89), None, "")) == (5, 89)


def test_camera_that_is_away_leaves_no_gap_and_ends_one() -> None:
    gap = FootageFault(GATE, T0_NS, at(0).at_s)
    gap.look(at(5), at(5), None, "")
    for second in range(8, 100):
        assert gap.look(at(second), at(5), T0_NS + 6 * NS_PER_S, "") is None
    assert gap.look(at(100), at(5), None, "") is None  # it is back: its footage is due from now on
    began = gap.look(at(99 + GAP_S), at(5), None, "")
    assert span_s(began) == (99, None)
    assert span_s(gap.look(at(150), at(5), T0_NS + 140 * NS_PER_S, "")) == (99, 140)


def test_first_footage_is_waited_for_while_readers_start_and_the_gap_began_with_the_last() -> None:
    gap = FootageFault(GATE, T0_NS - 30 * NS_PER_S, at(0).at_s)
    assert gap.look(at(59), None, None, "") is None
    assert span_s(gap.look(at(60), None, None, "")) == (-30, None)


def test_recorder_that_was_found_silent_ends_no_gap() -> None:
    began = FootageFault(GATE, T0_NS, at(-100).at_s).look(at(0), None, None, "")
    gap = FootageFault(GATE, T0_NS, at(10).at_s, began)
    assert gap.look(at(11), Arrival(at(-40).at_ns, at(-40).at_s), None, "") is None
    assert span_s(gap.look(at(12), at(12), None, "")) == (0, 12)


def test_gap_that_nobody_looks_at_any_more_has_ended() -> None:
    gap = FootageFault(GATE, T0_NS, at(0).at_s)
    assert gap.close(T0_NS) is None
    gap.look(at(100), None, None, "")
    assert span_s(gap.close(at(120).at_ns)) == (0, 120)


@given(st.lists(st.sampled_from(["footage", "offline", "nothing"]), min_size=1, max_size=120))
def test_gaps_begin_and_end_in_turn_and_hold_no_footage(seconds: list[str]) -> None:
    """One look a second, after a minute of footage."""
    gap = FootageFault(GATE, T0_NS, at(0).at_s)
    came, away_ns, open_event = at(60), None, None
    gap.look(came, came, None, "")
    quiet_s = 0
    for second, happens in enumerate(seconds, start=61):
        came = at(second) if happens == "footage" else came
        away_ns = (away_ns or at(second).at_ns) if happens == "offline" else None
        quiet_s = quiet_s + 1 if happens == "nothing" else 0
        told = gap.look(at(second), came, away_ns, "")
        if told is not None:
            assert (told.ended_at_ns is None) == (open_event is None)
            assert told.started_at_ns >= came.at_ns or happens == "footage"
            open_event = told if told.ended_at_ns is None else None
        assert (open_event is not None) == (quiet_s >= GAP_S)


def test_no_camera_can_be_called_as_no_camera() -> None:
    from raycctv.config import parse
    from raycctv.errors import ConfigError

    with pytest.raises(ConfigError, match="is no name"):
        parse(f"cameras: {{'{NO_CAMERA}': {{source: 'rtmp://h/l/a'}}}}")
