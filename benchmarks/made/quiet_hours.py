"""Hours of footage in which nobody is to be seen, made when they are wanted: what ``accuracy.py --only quiet`` looks at.

Real pictures of empty places, in a loop to and fro, so that no seam jumps; on most of them weather and light are drawn. What is
real is the place, its texture and contrast, and where nothing is drawn the whole picture; a loop of ten seconds shows nothing
new after ten seconds. What is drawn is different all the time.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Draw = Callable[[Image, float], Image]
"""Draws upon a picture (uint8 (H, W, 3) BGR) what is to be seen at that second; may change it."""

FPS = 8
WIDTH_PX = 640
TUNING, REPORTED = "tuning", "reported"

_LOOP_FRAMES = 160
_NOISES = 12


@dataclass(frozen=True)
class Quiet:
    """A clip without a visit.

    Attributes:
        place: a key of :data:`PLACES`.
        weather: a key of :data:`WEATHER`.
        part: seconds of the place's footage, or frames of the picture series.
    """

    place: str
    part: tuple[float, float]
    half: str
    weather: str
    seconds: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.place} {self.part[0]:g}-{self.part[1]:g}, {self.weather}"

    def pictures(self, data: Path) -> Iterator[Image]:
        """uint8 (H, W, 3) BGR, :data:`FPS` a second."""
        loop = PLACES[self.place](data, *self.part)
        draw = WEATHER[self.weather](np.random.default_rng(self.seed), loop[0].shape[:2])
        for index, picture in enumerate(to_and_fro(loop, round(self.seconds * FPS))):
            yield np.ascontiguousarray(draw(picture.copy(), index / FPS))


def to_and_fro(loop: list[Image], count: int) -> Iterator[Image]:
    """Forwards, backwards, and again."""
    return itertools.islice(itertools.cycle(loop + loop[-2:0:-1]), count)


# --- places


def _shown(picture: Any) -> Image:
    """As wide as it is, but no wider than :data:`WIDTH_PX`, with an even height."""
    width = min(WIDTH_PX, picture.shape[1])
    height = round(picture.shape[0] * width / picture.shape[1]) // 2 * 2
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _read(path: Path) -> Image:
    picture = cv2.imread(str(path))
    if picture is None:
        raise FileNotFoundError(path)
    return np.asarray(picture, np.uint8)


def clip(name: str) -> Callable[[Path, float, float], list[Image]]:
    """A clip's own pictures between two seconds."""

    def pictures(data: Path, start_s: float, end_s: float) -> list[Image]:
        video = cv2.VideoCapture(str(data / "clips" / name))
        step = max(1, round(video.get(cv2.CAP_PROP_FPS) / FPS))
        found: list[Image] = []
        for index in itertools.count():
            there, picture = video.read()
            at_s = index / video.get(cv2.CAP_PROP_FPS)
            if not there or at_s >= end_s or len(found) == _LOOP_FRAMES:
                return found
            if at_s >= start_s and index % step == 0:
                found.append(_shown(picture))
        return found

    return pictures


def vtest(data: Path, start_s: float, end_s: float) -> list[Image]:
    """The campus without its people, one picture: the median of so many seconds."""
    some = clip("vtest.avi")(data, start_s, end_s)
    return [np.median(np.stack(some[::2]), axis=0).astype(np.uint8)]


def waving_trees(data: Path, first: float, last: float) -> list[Image]:
    """Trees that sway, every other of 15 pictures a second."""
    return [_shown(_read(data / f"wavingtrees/b{number:05d}.png")) for number in range(round(first), round(last), 2)]


def beside_the_motorway(data: Path, first: float, last: float) -> list[Image]:
    """Trees and verges as they were; where anything ever moved, or might have, the median of what was there."""
    numbers = range(round(first), round(last), 3)
    seen = np.stack([_read(data / f"cdnet_highway/input/in{number:06d}.jpg") for number in numbers])
    moved = np.zeros(seen.shape[1:3], np.uint8)
    for number in range(470, 1701, 2):
        truth = _read(data / f"cdnet_highway/groundtruth/gt{number:06d}.png")
        moved |= np.asarray(truth[..., 0] != 0, np.uint8)
    road = cv2.dilate(moved, np.ones((9, 9), np.uint8)).astype(bool)
    seen[:, road] = np.median(seen, axis=0).astype(np.uint8)[road]
    return [_shown(picture) for picture in seen[:_LOOP_FRAMES]]


PLACES: dict[str, Callable[[Path, float, float], list[Image]]] = {
    "campus": vtest,
    "corridor": clip("one-by-one-person-detection.mp4"),
    "car park": clip("car-detection.mp4"),
    "trees": waving_trees,
    "verge": beside_the_motorway,
}


# --- weather


def _noise(random: np.random.Generator, shape: tuple[int, int], levels: float, grain: int = 1) -> Draw:
    """A sensor's, another for every picture: parts of a dozen larger fields."""
    height, width = shape
    fields = [
        cv2.resize(
            random.normal(0, levels, ((height + 64) // grain, (width + 64) // grain)).astype(np.float32),
            (width + 64, height + 64),
        )
        for _ in range(_NOISES)
    ]
    brighter = [np.clip(field, 0, 255).astype(np.uint8) for field in fields]
    darker = [np.clip(-field, 0, 255).astype(np.uint8) for field in fields]

    def draw(picture: Image, at_s: float) -> Image:  # noqa: ARG001 - it is noise
        which, top, left = (int(random.integers(0, limit)) for limit in (_NOISES, 64, 64))
        part = np.s_[top : top + height, left : left + width]
        lighter = cv2.add(picture, cv2.merge([brighter[which][part]] * 3))
        return np.asarray(cv2.subtract(lighter, cv2.merge([darker[which][part]] * 3)), np.uint8)

    return draw


def as_it_is(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """With the noise of a common sensor, since a loop has none of its own that is new."""
    return _noise(random, shape, 2.0)


def night(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """A third of the light and the gain turned up: coarse noise of 9 grey levels."""
    noise = _noise(random, shape, 9.0, grain=2)
    return lambda picture, at_s: noise(np.asarray(cv2.convertScaleAbs(picture, alpha=0.35, beta=12), np.uint8), at_s)


def rain(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """Fifty streaks a picture, slanted by the wind."""
    noise, (height, width) = _noise(random, shape, 2.5), shape

    def draw(picture: Image, at_s: float) -> Image:
        slant = round(4 * np.sin(at_s / 9))
        streaks = picture.copy()
        for x, y, length in random.integers((0, 0, 8), (width, height, 22), (50, 3)).tolist():
            cv2.line(streaks, (x, y), (x + slant, y + length), (215, 215, 215), 1, cv2.LINE_AA)
        return noise(np.asarray(cv2.addWeighted(picture, 0.4, streaks, 0.6, 0), np.uint8), at_s)

    return draw


def snow(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """Two hundred flakes that fall and drift."""
    noise, (height, width) = _noise(random, shape, 2.5), shape
    flakes = random.uniform((0, 0, 40, 0), (width, height, 110, 6.3), (200, 4))

    def draw(picture: Image, at_s: float) -> Image:
        for x, y, speed, phase in flakes.tolist():
            at = (round(x + 12 * np.sin(at_s + phase)) % width, round(y + speed * at_s) % height)
            cv2.circle(picture, at, 1, (230, 230, 230), -1, cv2.LINE_AA)
        return noise(picture, at_s)

    return draw


def _often(random: np.random.Generator, every_s: float) -> Callable[[float], tuple[int, float]]:
    """How many times something has happened, and how many seconds ago the last time was; about once in so many seconds."""
    times = np.cumsum(random.exponential(every_s, 2000))

    def happened(at_s: float) -> tuple[int, float]:
        count = int(np.searchsorted(times, at_s))
        return count, at_s - float(times[count - 1]) if count else 0.0

    return happened


def lamps(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """A light of the whole picture and one of a soft part of it are switched, each about every 40 s."""
    noise, (height, width) = _noise(random, shape, 2.5), shape
    rows, columns = np.mgrid[:height, :width]
    pool = np.exp(-(((columns - 0.6 * width) / (0.3 * width)) ** 2) - ((rows - 0.5 * height) / (0.4 * height)) ** 2)
    dimmed = cv2.merge([(45 * pool).astype(np.uint8)] * 3)
    whole, part = _often(random, 40), _often(random, 40)

    def draw(picture: Image, at_s: float) -> Image:
        if whole(at_s)[0] % 2:
            picture = np.asarray(cv2.convertScaleAbs(picture, alpha=0.55), np.uint8)
        if part(at_s)[0] % 2:
            picture = np.asarray(cv2.subtract(picture, dimmed), np.uint8)
        return noise(picture, at_s)

    return draw


def clouds(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """Soft shadows cross the picture, each within 5 to 30 s; exposure follows."""
    noise, (height, width) = _noise(random, shape, 2.5), shape
    sky = cv2.resize(random.random((6, 64), np.float32), (width * 8, height), interpolation=cv2.INTER_CUBIC)
    shade = np.clip((sky - 0.45) * 2, 0, 1) * 0.4

    def draw(picture: Image, at_s: float) -> Image:
        left = int((0.5 + 0.5 * np.sin(at_s / 40)) * width * 7)
        light = 1 - shade[:, left : left + width, None]
        exposure = 1 + 0.5 * float(1 - light.mean())
        return noise(np.clip(picture * (light * exposure), 0, 255).astype(np.uint8), at_s)

    return draw


def headlights(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """In the dark, about every 20 s, a pool of light from a car that is not in the picture goes over it in 3 s."""
    dark, (height, width) = night(random, shape), shape
    rows, columns = np.mgrid[:height, : 3 * width].astype(np.float32)
    pool = 80 * np.exp(-(((columns - 1.5 * width) / (0.16 * width)) ** 2) - ((rows - 0.65 * height) / (0.2 * height)) ** 2)
    light = cv2.merge([pool.astype(np.uint8)] * 3)
    passed = _often(random, 20)

    def draw(picture: Image, at_s: float) -> Image:
        count, ago_s = passed(at_s)
        lit = dark(picture, at_s)
        if not count or ago_s > 3:
            return lit
        left = round(width * (2 * ago_s / 3 if count % 2 else 2 - 2 * ago_s / 3))
        return np.asarray(cv2.add(lit, light[:, left : left + width]), np.uint8)

    return draw


def wind(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """The camera's mast in gusts: the picture goes to and fro by up to 3 px."""
    noise, (height, width) = _noise(random, shape, 2.5), shape
    phases = random.uniform(0, 6, 3)

    def draw(picture: Image, at_s: float) -> Image:
        gust = 3 * (0.5 + 0.5 * np.sin(at_s / 7 + phases[0]))
        across, down = gust * np.sin(9 * at_s + phases[1]), gust * 0.6 * np.sin(7 * at_s + phases[2])
        moved = cv2.warpAffine(
            picture, np.array([[1, 0, across], [0, 1, down]], np.float32), (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        return noise(np.asarray(moved, np.uint8), at_s)

    return draw


def leaves(random: np.random.Generator, shape: tuple[int, int]) -> Draw:
    """A quarter of the picture is a bush: what is there is bent to and fro by up to 5 px, each part in its own time."""
    noise, (height, width) = _noise(random, shape, 2.5), shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    bush = np.exp(-(((columns - 0.25 * width) / (0.2 * width)) ** 4) - ((rows - 0.4 * height) / (0.3 * height)) ** 4)
    phase = cv2.resize(random.random((12, 16), np.float32) * 6.3, (width, height), interpolation=cv2.INTER_CUBIC)

    def draw(picture: Image, at_s: float) -> Image:
        gust = np.float32(5 * (0.4 + 0.6 * abs(np.sin(at_s / 11))))
        bent = gust * bush * np.sin(np.float32(4 * at_s) + phase)
        moved = cv2.remap(picture, (columns + bent).astype(np.float32), (rows + bent / 3).astype(np.float32), cv2.INTER_LINEAR)
        return noise(np.asarray(moved, np.uint8), at_s)

    return draw


WEATHER: dict[str, Callable[[np.random.Generator, tuple[int, int]], Draw]] = {
    "as it is": as_it_is,
    "night": night,
    "rain": rain,
    "snow": snow,
    "lamps": lamps,
    "clouds": clouds,
    "headlights": headlights,
    "wind": wind,
    "leaves": leaves,
}


def clips(minutes: float) -> list[Quiet]:
    """All of them; with 3.5 minutes the reported half has two hours.

    Of each drawn weather in each place so many minutes, and of what sways by itself twice as many. The places of the reported
    half are not those of the tuning half; of trees and verges it is another stretch of time.
    """
    seconds, seeds = 60 * minutes, itertools.count(1)
    places = (
        ("campus", (0.0, 79.5), TUNING),
        ("corridor", (87.6, 91.6), REPORTED),
        ("car park", (9.1, 13.7), REPORTED),
        ("car park", (19.6, 22.2), REPORTED),
    )
    still = [Quiet(place, part, half, weather, seconds, next(seeds)) for place, part, half in places for weather in WEATHER]
    swaying = [
        Quiet(place, part, half, weather, 2 * seconds, next(seeds))
        for place, part, half in (
            ("trees", (0.0, 120.0), TUNING),
            ("trees", (121.0, 241.0), REPORTED),
            ("verge", (470.0, 950.0), TUNING),
            ("verge", (1085.0, 1565.0), REPORTED),
        )
        for weather in ("as it is", "night")
    ]
    return still + swaying
