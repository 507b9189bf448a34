from hypothesis import given
from hypothesis import strategies as st

from raycctv.capture.timeline import FileTimeline, LiveTimeline
from raycctv.clock import NS_PER_S, ManualClock


def lags_s(clock: ManualClock, timeline: LiveTimeline, arrivals: list[tuple[float, float]]) -> list[float]:
    """Lag of packets given as (pts, seconds since the one before)."""
    lags = []
    for pts_s, wait_s in arrivals:
        clock.advance(wait_s)
        lags.append((clock.now_ns() - timeline.captured_at_ns(pts_s)) / NS_PER_S)
    return lags


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=50))
def test_live_timeline_shows_delay_as_lag(delays_s: list[float]) -> None:
    clock = ManualClock()
    timeline = LiveTimeline(clock)
    start_s = clock.monotonic_s()
    timeline.captured_at_ns(0.0)
    for number, delay_s in enumerate(delays_s, start=1):
        clock.advance(start_s + number + delay_s - clock.monotonic_s())
        lag_s = (clock.now_ns() - timeline.captured_at_ns(float(number))) / NS_PER_S
        assert abs(lag_s - delay_s) < 0.02


def test_live_timeline_forgets_a_slow_start() -> None:
    clock = ManualClock()
    lags = lags_s(clock, LiveTimeline(clock), [(0.0, 0), (1.0, 1.0), (2.0, 0.2), (3.0, 1.0), (4.0, 1.8)])
    assert [round(lag, 2) for lag in lags] == [0, 0, 0, 0, 0.8]


def test_live_timeline_survives_a_step_of_the_wall_clock() -> None:
    clock = ManualClock()
    timeline = LiveTimeline(clock)
    lags_s(clock, timeline, [(0.0, 0), (1.0, 1.0)])
    clock.step(3600)
    assert abs(lags_s(clock, timeline, [(2.0, 1.0)])[0]) < 0.01


def test_live_timeline_starts_anew_when_the_camera_counts_from_zero() -> None:
    clock = ManualClock()
    lags = lags_s(clock, LiveTimeline(clock), [(5000.0, 0), (5001.0, 1.0), (0.0, 1.0), (1.0, 1.0)])
    assert max(lags) < 0.01


def test_live_timeline_follows_a_camera_clock_that_runs_slow() -> None:
    clock = ManualClock()
    hour = [(second * (1 - 50e-6), 1.0) for second in range(3600)]
    assert max(lags_s(clock, LiveTimeline(clock), hour)) < 0.05


def test_file_timeline_counts_from_the_epoch_it_is_given() -> None:
    timeline = FileTimeline(epoch_ns=1000)
    assert timeline.captured_at_ns(7.0) == 1000
    assert timeline.captured_at_ns(7.5) == 1000 + NS_PER_S // 2
