from support import NS, T0_NS, segment

from actors.observer import recorded_ns


def test_of_a_segment_counts_what_came_after_an_instant() -> None:
    minute = segment(start_s=10, duration_s=60)
    assert recorded_ns(minute, 0) == 60 * NS
    assert recorded_ns(minute, T0_NS + 10 * NS) == 60 * NS
    assert recorded_ns(minute, T0_NS + 25 * NS) == 45 * NS
    assert recorded_ns(minute, T0_NS + 70 * NS) == 0
    assert recorded_ns(minute, T0_NS + 99 * NS) == 0
