"""Drawn scenes with sensor noise, and what disturbs a camera's picture drawn on them."""

from collections.abc import Callable, Iterator

import numpy as np

from raycctv.clock import NS_PER_S
from raycctv.config import Motion
from raycctv.motion.difference import MotionDetector
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


def sway(luma: Luma, t: float) -> None:
    """Leaves: sharp blots, light and dark, that go to and fro by 8 px, each in its own time."""
    random = np.random.default_rng(5)
    for top, left, phase, beat in random.uniform((80, 300, 0, 2), (200, 460, 6, 5), (30, 4)):
        x = round(left + 8 * np.sin(beat * t + phase))
        luma[round(top) : round(top) + 10, x : x + 10] = 190 if phase > 3 else 40


def shake(luma: Luma, t: float) -> None:
    """A mast in the wind: the picture, with sharp edges in it, goes to and fro by 3 px."""
    luma[:, 100::80] = 200
    luma[:, 101::80] = 200
    luma[60::90] = 40
    luma[:] = np.roll(luma, (round(2 * np.sin(7 * t)), round(3 * np.sin(11 * t))), (0, 1))


def cloud(luma: Luma, t: float) -> None:
    """Its soft shadow comes over the left half within a second, and stays."""
    shade = 0.5 * np.clip((t - 9) / 0.8, 0, 1) * np.clip((400 - np.arange(WIDTH)) / 150, 0, 1)
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
    """Once a second all blocks are coded anew, and come out up to 8 levels brighter or darker."""
    if round(t * FPS) % FPS == 0:
        blocks = np.random.default_rng(round(t)).integers(-8, 9, (HEIGHT // 24, WIDTH // 32))
        luma[:] = np.clip(luma + np.kron(blocks, np.ones((24, 32))), 0, 255).astype(np.uint8)


def lamp(luma: Luma, t: float) -> None:
    """A lamp that goes off after 9 s: four fifths of the picture are half as bright from one frame to the next."""
    if t >= 9:
        luma[:, 120:] //= 2


def exposure(luma: Luma, t: float) -> None:
    """The camera lets in less light: 50 grey levels within half a second."""
    luma[:] = np.clip(luma.astype(np.float32) - 100 * np.clip(t - 9, 0, 0.5), 0, 255).astype(np.uint8)


def night(luma: Luma, t: float) -> None:
    """A dark scene with the gain turned up: noise of 14 grey levels where the wall is brightest, coarser than a pixel."""
    random = np.random.default_rng(round(t * FPS))
    grain = random.normal(0, 28, (HEIGHT // 2, WIDTH // 2))
    luma[:] = np.clip(luma * 0.4 + np.kron(grain, np.ones((2, 2))), 0, 255).astype(np.uint8)


def parked(luma: Luma, t: float) -> None:
    """Something 80 x 60 px that comes after 9 s within a second, and stays."""
    if t >= 9:
        x = 100 + round(200 * min(t - 9, 1.0))
        luma[200:260, x : x + 80] = 220


def slow(luma: Luma, t: float) -> None:
    """Something 40 x 40 px that goes right at 8 px/s."""
    luma[200:240, 100 + round(8 * t) : 140 + round(8 * t)] = 230


def leaving(luma: Luma, t: float) -> None:
    """Something 40 x 60 px that is there at the start and leaves after 9 s within a second and a half."""
    x = 200 + max(0, round((t - 9) * 300))
    luma[200:260, x : x + 40] = 230
