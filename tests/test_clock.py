from hypothesis import given
from hypothesis import strategies as st

from raycctv.clock import NS_PER_S, ManualClock, iso, parse_iso

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
