"""Values that travel between processes."""

import pickle

import numpy as np
import pytest

from raycctv.types import Detections


@pytest.mark.parametrize("count", [0, 1, 100])
def test_detections_come_out_of_a_pickle_as_they_went_in(count: int) -> None:
    random = np.random.default_rng(count)
    whole = Detections(
        random.random((count, 8), np.float32)[:, ::2],  # not contiguous
        random.random(count, np.float32),
        random.integers(1, 91, count, dtype=np.int32),
    )
    again = pickle.loads(pickle.dumps(whole))  # noqa: S301 - our own bytes
    for name in ("xyxy", "score", "class_id"):
        before, after = getattr(whole, name), getattr(again, name)
        assert after.dtype == before.dtype
        assert np.array_equal(before, after)
