import numpy as np
import pytest
from support import NS, T0_NS, segment

from actors.observer import Lags, recorded_ns


def test_of_a_segment_counts_what_came_after_an_instant() -> None:
    minute = segment(start_s=10, duration_s=60)
    assert recorded_ns(minute, 0) == 60 * NS
    assert recorded_ns(minute, T0_NS + 10 * NS) == 60 * NS
    assert recorded_ns(minute, T0_NS + 25 * NS) == 45 * NS
    assert recorded_ns(minute, T0_NS + 70 * NS) == 0
    assert recorded_ns(minute, T0_NS + 99 * NS) == 0


def test_lags_tell_their_percentiles_in_memory_that_does_not_grow() -> None:
    lags, whole = Lags(), np.random.default_rng(1).lognormal(-3, 1.5, 20_000)
    for some in np.split(whole, 100):
        lags.add(some.tolist())
    for percent in (50, 95):
        assert lags.percentile(percent) == pytest.approx(np.percentile(whole, percent), rel=0.011)
    assert lags._counts.nbytes == Lags()._counts.nbytes


def test_lags_of_any_length_count() -> None:
    lags = Lags()
    assert lags.percentile(95) is None
    lags.add([])
    assert lags.percentile(50) is None
    lags.add([-0.001, 0.0, 1e9])
    assert lags.percentile(0) == pytest.approx(1e-4, abs=1e-5)
    assert lags.percentile(100) is not None
