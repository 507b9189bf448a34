"""Drawn scenes with sensor noise: what must be seen, and what must not."""

import tracemalloc

import numpy as np
import pytest
from painted import FPS, HEIGHT, WIDTH, Paint, moving, nothing, results, scene, walker

from raycctv.clock import NS_PER_S
from raycctv.config import Motion
from raycctv.motion.difference import MotionDetector
from raycctv.motion.zones import unmasked
from raycctv.types import CameraName, Frame, Luma


def test_motion_of_an_empty_scene_is_none() -> None:
    assert moving(results(scene(10, nothing))) == []


def test_motion_box_holds_the_walker_in_source_pixels() -> None:
    seen = results(scene(6, walker))
    assert moving(seen)[0] in (20, 21)
    x0, y0, x1, y1 = seen[45].boxes_xyxy[0]
    left = (4.5 - 2) * 60
    assert (y0, y1) == pytest.approx((200, 260), abs=8)
    assert x1 == pytest.approx(left + 24, abs=8)
    assert x0 <= left + 8


def test_motion_score_is_the_changed_share_of_the_unmasked_area() -> None:
    seen = results(scene(5, walker))
    whole = seen[40].score
    assert 24 * 60 / (HEIGHT * WIDTH) * 0.6 < whole < 24 * 60 / (HEIGHT * WIDTH) * 4
    half = MotionDetector(Motion(), unmasked([((0, 0), (1, 0), (1, 0.5), (0, 0.5))], WIDTH, HEIGHT))
    assert results(scene(5, walker), half)[40].score == pytest.approx(2 * whole, rel=0.1)


def test_motion_in_a_mask_is_not_looked_at() -> None:
    lower = unmasked([((0, 0.5), (1, 0.5), (1, 1), (0, 1))], WIDTH, HEIGHT)
    assert moving(results(scene(6, walker), MotionDetector(Motion(), lower))) == []


def test_motion_of_a_light_switch_is_lighting() -> None:
    def lamp(luma: Luma, t: float) -> None:
        if t >= 3:
            bright = luma.astype(np.float32)
            bright[:, 120:] *= 0.5
            luma[:] = bright.astype(np.uint8)

    seen = results(scene(6, lamp))
    assert [index for index, result in enumerate(seen) if result.lighting_change] == [30]
    assert moving(seen) == []


def test_motion_of_slow_light_is_none() -> None:
    def dusk(luma: Luma, t: float) -> None:
        luma[:] = np.clip(luma.astype(np.float32) - 6 * t, 0, 255).astype(np.uint8)

    assert moving(results(scene(10, dusk))) == []


def test_motion_ends_when_an_object_stays() -> None:
    def parked(luma: Luma, t: float) -> None:
        if t >= 2:
            luma[200:260, 100:180] = 220

    seen = moving(results(scene(40, parked)))
    assert seen[0] == 20
    assert seen[-1] < 35 * FPS


def test_motion_starts_anew_when_the_picture_size_changes() -> None:
    detector = MotionDetector(Motion())
    frames = list(scene(1, nothing))
    results(iter(frames), detector)
    small = Frame(CameraName("a"), 10, NS_PER_S, 1.0, np.ascontiguousarray(frames[0].luma[:200, :300]), frames[0].to_rgb)
    assert len(detector.update(small).boxes_xyxy) == 0


def test_motion_look_says_what_update_would_say_and_learns_nothing() -> None:
    frames = list(scene(5, walker))
    plain, looking = MotionDetector(Motion()), MotionDetector(Motion())
    for frame, later in zip(frames[:-3], frames[3:], strict=True):
        looking.look(later)
        expected, found = plain.update(frame), looking.update(frame)
        assert np.array_equal(expected.boxes_xyxy, found.boxes_xyxy)
        assert expected.score == found.score
    assert len(looking.look(frames[-1]).boxes_xyxy) == len(plain.update(frames[-1]).boxes_xyxy) == 1


@pytest.mark.parametrize("paint", [nothing, walker])
def test_motion_of_a_frame_is_found_in_buffers_that_are_there(paint: Paint) -> None:
    """Nothing as large as the small picture is allocated, whether something moves or not."""
    detector = MotionDetector(Motion())
    *first, last = scene(5, paint)
    results(iter(first), detector)
    tracemalloc.start()
    try:
        detector.update(last)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert detector.mask is not None
    assert peak_bytes < detector.mask.size / 2
