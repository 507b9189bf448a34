"""Drawn scenes with sensor noise: what must be seen, and what must not."""

import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from raycctv.clock import NS_PER_S
from raycctv.config import Motion
from raycctv.motion.difference import MotionDetector
from raycctv.motion.zones import unmasked
from raycctv.types import CameraName, Frame, Luma, MotionResult, Rgb

HEIGHT, WIDTH, FPS = 360, 640, 10
Paint = Callable[[Luma, float], None]


def scene(seconds: float, paint: Paint, noise: float = 3.0, seed: int = 0) -> Iterator[Frame]:
    """Frames of a textured wall with Gaussian noise of ``noise`` grey levels, on which ``paint(luma, t)`` draws."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    wall = 110 + 25 * np.sin(columns / 23) * np.cos(rows / 17)
    for index in range(round(seconds * FPS)):
        luma = np.clip(wall + random.normal(0, noise, wall.shape), 0, 255).astype(np.uint8)
        paint(luma, index / FPS)
        yield Frame(CameraName("a"), index, index * NS_PER_S // FPS, index / FPS, luma, no_colour)


def no_colour(part: tuple[int, int, int, int] | None = None, least_px: int | None = None) -> Rgb:
    raise AssertionError("motion is found on luma alone")


def nothing(luma: Luma, t: float) -> None:
    """An empty scene."""


def walker(luma: Luma, t: float) -> None:
    """Something 24 x 60 px that enters after 2 s and goes right at 60 px/s."""
    if t >= 2:
        x = round((t - 2) * 60)
        luma[200:260, x : x + 24] = 220


def results(frames: Iterator[Frame], detector: MotionDetector | None = None) -> list[MotionResult]:
    detector = detector or MotionDetector(Motion())
    return [detector.update(frame) for frame in frames]


def moving(seen: list[MotionResult]) -> list[int]:
    return [index for index, result in enumerate(seen) if len(result.boxes_xyxy)]


def test_motion_of_an_empty_scene_is_none() -> None:
    assert moving(results(scene(10, nothing))) == []


@pytest.mark.parametrize("noise", [0.0, 8.0, 15.0])
def test_motion_threshold_follows_sensor_noise(noise: float) -> None:
    seen = moving(results(scene(20, nothing, noise)))
    assert [index for index in seen if index > 5 * FPS] == []


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


def sway(luma: Luma, t: float) -> None:
    """Leaves: sharp blots that go to and fro by 4 px, each in its own time."""
    random = np.random.default_rng(5)
    for top, left, phase, beat in random.uniform((80, 300, 0, 3), (200, 460, 6, 6), (60, 4)):
        x = round(left + 4 * np.sin(beat * t + phase))
        luma[round(top) : round(top) + 10, x : x + 10] = 190


def shake(luma: Luma, t: float) -> None:
    """A mast in the wind: the picture, with sharp edges in it, goes to and fro by 3 px."""
    luma[:, 100::80] = 200
    luma[:, 101::80] = 200
    luma[60::90] = 40
    luma[:] = np.roll(luma, (round(2 * np.sin(7 * t)), round(3 * np.sin(11 * t))), (0, 1))


def cloud(luma: Luma, t: float) -> None:
    """Its soft shadow comes over the left half within 3 s, and stays."""
    shade = 0.4 * np.clip((t - 8) / 3, 0, 1) * np.clip((400 - np.arange(WIDTH)) / 150, 0, 1)
    luma[:] = (luma * (1 - shade)).astype(np.uint8)


def headlights(luma: Luma, t: float) -> None:
    """A soft pool of light that crosses the picture in 4 s."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    pool = 70 * np.exp(-(((columns - 160 * (t - 8)) / 90) ** 2) - ((rows - 220) / 60) ** 2)
    luma[:] = np.clip(luma + pool, 0, 255).astype(np.uint8)


def rain(luma: Luma, t: float) -> None:
    """Forty bright streaks in other places in every frame."""
    random = np.random.default_rng(round(t * FPS))
    for top, left in random.integers((0, 0), (HEIGHT - 12, WIDTH), (40, 2)):
        luma[top : top + 12, left] = 220


def keyframe_pulse(luma: Luma, t: float) -> None:
    """Once a second all blocks of 8 x 8 are coded anew, and come out up to 6 levels brighter or darker."""
    if round(t * FPS) % FPS == 0:
        blocks = np.random.default_rng(round(t)).integers(-6, 7, (HEIGHT // 8, WIDTH // 8))
        luma[:] = np.clip(luma + np.kron(blocks, np.ones((8, 8))), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("paint", [sway, shake, cloud, headlights, rain, keyframe_pulse], ids=lambda paint: paint.__name__)
def test_motion_of_what_is_no_object_opens_no_gate(paint: Paint) -> None:
    seen = moving(results(scene(14, paint)))
    assert [index for index in seen if index >= 8 * FPS and index - 1 in seen] == []


@pytest.mark.parametrize("paint", [sway, shake, cloud, headlights, rain, keyframe_pulse], ids=lambda paint: paint.__name__)
def test_motion_of_an_object_is_seen_all_the_same(paint: Paint) -> None:
    def both(luma: Luma, t: float) -> None:
        paint(luma, t)
        if t >= 9:
            x = 20 + round((t - 9) * 60)
            luma[230:290, x : x + 24] = 245

    seen = moving(results(scene(13, both)))
    assert len([index for index in seen if index >= 9.5 * FPS]) >= 0.9 * 3.5 * FPS


def test_motion_of_a_slow_object_is_seen() -> None:
    def slow(luma: Luma, t: float) -> None:
        luma[200:240, 100 + round(8 * t) : 140 + round(8 * t)] = 230

    assert len([index for index in moving(results(scene(10, slow))) if index >= 2 * FPS]) >= 0.8 * 8 * FPS


def test_motion_of_what_was_there_at_start_ends_when_it_has_left() -> None:
    def leaving(luma: Luma, t: float) -> None:
        x = 200 + max(0, round((t - 3) * 300))
        luma[200:260, x : x + 40] = 230

    seen = moving(results(scene(10, leaving)))
    assert [index for index in seen if index < 3 * FPS] == []
    assert [index for index in seen if 3 * FPS <= index < 5 * FPS]
    assert [index for index in seen if index >= 6 * FPS] == []


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
