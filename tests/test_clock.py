from hypothesis import given
from hypothesis import strategies as st

from raycctv.clock import NS_PER_S, CautiousClock, ManualClock, iso, parse_iso

INSTANTS_NS = st.integers(0, 4_000_000_000_000).map(lambda ms: ms * 1_000_000)


@given(INSTANTS_NS)
def test_iso_round_trips_to_the_millisecond(instant_ns: int) -> None:
    assert parse_iso(iso(instant_ns)) == instant_ns


@given(INSTANTS_NS, INSTANTS_NS)
def test_iso_sorts_like_time(a_ns: int, b_ns: int) -> None:
    assert (iso(a_ns) < iso(b_ns)) == (a_ns < b_ns)


def test_parse_iso_takes_a_time_without_zone_as_utc() -> None:
    assert parse_iso("2026-03-29T02:30:00") == parse_iso("2026-03-29T02:30:00Z") == parse_iso("2026-03-29T04:30:00+02:00")


def test_manual_clock_step_moves_only_the_wall_clock() -> None:
    clock = ManualClock(now_ns=0)
    clock.advance(2)
    clock.step(3600)
    assert (clock.now_ns(), clock.monotonic_s()) == (3602 * NS_PER_S, 2)


def test_cautious_clock_goes_with_the_clock_and_back_with_it() -> None:
    clock = ManualClock(now_ns=0)
    cautious = CautiousClock(clock)
    clock.advance(5)
    assert cautious.now_ns() == 5 * NS_PER_S
    clock.step(-3600)
    assert cautious.now_ns() == -3595 * NS_PER_S


def test_cautious_clock_goes_forward_when_a_step_has_stood_for_an_hour() -> None:
    clock = ManualClock(now_ns=0)
    cautious = CautiousClock(clock)
    clock.step(86400)
    assert cautious.now_ns() == 0
    clock.advance(3599)
    assert cautious.now_ns() == 3599 * NS_PER_S
    clock.advance(1)
    assert cautious.now_ns() == (86400 + 3600) * NS_PER_S


def test_cautious_clock_forgets_a_step_that_is_taken_back() -> None:
    clock = ManualClock(now_ns=0)
    cautious = CautiousClock(clock)
    for _ in range(3):
        clock.step(3600)
        clock.advance(1800)
        assert cautious.now_ns() < clock.now_ns()
        clock.step(-3600)
        assert cautious.now_ns() == clock.now_ns()


def test_cautious_clock_that_begins_far_ahead_of_what_is_known_waits_for_an_hour() -> None:
    clock = ManualClock(now_ns=0)
    clock.step(10 * 86400)
    cautious = CautiousClock(clock, last_ns=0)
    clock.advance(3599)
    assert cautious.now_ns() == 0 + 3599 * NS_PER_S
    again = CautiousClock(clock, last_ns=clock.now_ns() - 3600 * NS_PER_S)
    assert again.now_ns() == clock.now_ns()  # a short rest, or what was known ends in the future
    assert CautiousClock(clock, last_ns=clock.now_ns() + NS_PER_S).now_ns() == clock.now_ns()
    assert cautious.now_ns() == 3599 * NS_PER_S
    clock.advance(3600)
    assert cautious.now_ns() == clock.now_ns()
