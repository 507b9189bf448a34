"""What does it cost to find what moves in a picture of 1920 x 1080?

The luma of real pedestrians, enlarged, through a noisy sensor, goes through each algorithm picture by picture on one thread:
raycctv's, the one that Frigate publishes, OpenCV's MOG2 and KNN, and the difference of two pictures. Once at the size that each
uses in practice, once at the same small size for all. Making the picture small is part of it; decoding is not. The first round
through the pictures only teaches the background.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.clock import NS_PER_S
from raycctv.config.schema import Motion
from raycctv.motion.difference import MotionDetector
from raycctv.simulate.footage import vtest
from raycctv.simulate.scenes import PEOPLE, pictures
from raycctv.types import CameraName, Frame

Picture = npt.NDArray[np.uint8]
Algorithm = Callable[[Picture], int]
"""Takes the luma (H, W) of one picture and says how many regions move in it."""

WIDTH_PX, HEIGHT_PX, FPS = 1920, 1080, 15
SAME_PX = (320, 180)
NOISE_LEVELS = 3.0
MIN_AREA = 0.0006
_AROUND = np.ones((3, 3), np.uint8)


class Raycctv:
    """What readers run."""

    def __init__(self, width_px: int) -> None:
        self._detector = MotionDetector(Motion(width_px=width_px))
        self._numbers = count()

    def __call__(self, luma: Picture) -> int:
        number = next(self._numbers)
        frame = Frame(CameraName("x"), number, number * NS_PER_S // FPS, number / FPS, luma, _nothing)
        return len(self._detector.update(frame).boxes_xyxy)


class Frigate:
    """The detector of Frigate ("improved"), from its published description, with its defaults.

    The picture is made 100 px high by taking single pixels, its contrast is stretched between the 4th and 96th percentile,
    averaged over 50 pictures, it is blurred (3 x 3, sigma 1), compared with a running average (1 % a picture, from the tenth
    picture on while something moves), and what differs by more than 30 levels is dilated; contours of more than 10 px count.
    The blur is OpenCV's, which is faster than the SciPy one that Frigate calls.
    Source: docs.frigate.video, "Motion detection"; frigate/motion/improved_motion.py.
    """

    _THRESHOLD, _CONTOUR_PX, _ALPHA, _ALPHA_CALIBRATING, _CALM_SHARE, _KEPT, _PATIENCE = 30, 10, 0.01, 0.2, 0.05, 50, 10

    def __init__(self, size_px: tuple[int, int]) -> None:
        self._size_px = size_px
        self._average = np.zeros(size_px[::-1], np.float32)
        self._contrasts = np.tile(np.array([0, 255], np.uint8), (self._KEPT, 1))
        self._numbers = count()
        self._calibrating = True
        self._moving = 0

    def __call__(self, luma: Picture) -> int:
        small = _reduced(luma, self._size_px)
        blurred = cv2.GaussianBlur(self._stretched(small), (3, 3), 1)
        difference = cv2.absdiff(blurred, cv2.convertScaleAbs(self._average))
        _, changed = cv2.threshold(difference, self._THRESHOLD, 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(cv2.dilate(changed, _AROUND), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        areas = [cv2.contourArea(contour) for contour in contours]
        boxes = [cv2.boundingRect(c) for c, area in zip(contours, areas, strict=True) if area > self._CONTOUR_PX]
        if sum(areas) < self._CALM_SHARE * small.size and len(boxes) <= 4:
            self._calibrating = False
        self._moving = self._moving + 1 if boxes else 0
        if not boxes or self._moving >= self._PATIENCE:
            cv2.accumulateWeighted(blurred, self._average, self._ALPHA_CALIBRATING if self._calibrating else self._ALPHA)
        return len(boxes)

    def _stretched(self, small: Picture) -> Picture:
        low, high = np.percentile(small, 4), np.percentile(small, 96)
        if low >= high:
            return small
        self._contrasts[next(self._numbers) % self._KEPT] = low, high
        least, most = np.mean(self._contrasts, axis=0)
        stretched: Picture = ((np.clip(small, least, most) - least) / (most - least) * 255).astype(np.uint8)
        return stretched


class Subtractor:
    """One of OpenCV's models of the background, opened and with its contours as its tutorial does."""

    def __init__(self, model: cv2.BackgroundSubtractor, size_px: tuple[int, int]) -> None:
        self._model = model
        self._size_px = size_px

    def __call__(self, luma: Picture) -> int:
        mask = self._model.apply(_reduced(luma, self._size_px))
        return _regions(np.where(mask == 255, mask, 0).astype(np.uint8))  # 127 is a shadow


class TwoPictures:
    """The difference from the picture before, blurred and cut at 25 levels: what a first example does."""

    _THRESHOLD = 25

    def __init__(self, size_px: tuple[int, int]) -> None:
        self._size_px = size_px
        self._before: Picture | None = None

    def __call__(self, luma: Picture) -> int:
        blurred = np.asarray(cv2.GaussianBlur(_reduced(luma, self._size_px), (5, 5), 0), np.uint8)
        before, self._before = self._before, blurred
        if before is None:
            return 0
        _, changed = cv2.threshold(cv2.absdiff(blurred, before), self._THRESHOLD, 255, cv2.THRESH_BINARY)
        return _regions(np.asarray(changed, np.uint8))


def _reduced(luma: Picture, size_px: tuple[int, int]) -> Picture:
    """Single pixels, which is the cheapest way."""
    if size_px == luma.shape[::-1]:
        return luma
    return np.asarray(cv2.resize(luma, size_px, interpolation=cv2.INTER_NEAREST), np.uint8)


def _regions(mask: Picture) -> int:
    opened = cv2.morphologyEx(mask, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    contours, _ = cv2.findContours(cv2.dilate(opened, _AROUND), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return sum(cv2.contourArea(contour) > MIN_AREA * mask.size for contour in contours)


def _nothing(part: object = None, least_px: object = None) -> Picture:  # noqa: ARG001 - what a Frame asks with
    raise AssertionError("no colour is asked for")


def algorithms(size_px: tuple[int, int] | None) -> dict[str, tuple[tuple[int, int], Algorithm]]:
    """By name: the size in px that it works at, and the algorithm. Where ``size_px`` is None each has its own size."""
    own, frigate, whole = size_px or (320, 180), size_px or (177, 100), size_px or (WIDTH_PX, HEIGHT_PX)
    return {
        "raycctv": (own, Raycctv(own[0])),
        "Frigate's": (frigate, Frigate(frigate)),
        "two pictures": (whole, TwoPictures(whole)),
        "OpenCV MOG2": (whole, Subtractor(cv2.createBackgroundSubtractorMOG2(), whole)),
        "OpenCV KNN": (whole, Subtractor(cv2.createBackgroundSubtractorKNN(), whole)),
    }


def footage(clip: Path | None, pictures_count: int) -> list[Picture]:
    """Luma of 1920 x 1080 of a clip, of the demo's pedestrians where that is None, with sensor noise."""
    random = np.random.default_rng(1)
    shown = pictures(vtest(), PEOPLE["plaza"]) if clip is None else _decoded(clip)
    made = []
    for picture in islice(cycle(shown), pictures_count):
        luma = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        noise = random.standard_normal(luma.shape, np.float32) * NOISE_LEVELS
        made.append(np.clip(luma + noise, 0, 255).astype(np.uint8))
    return made


def _decoded(clip: Path) -> Iterator[Picture]:
    video = cv2.VideoCapture(str(clip))
    if not video.isOpened():
        raise SystemExit(f"{clip} cannot be opened as a video")
    while (read := video.read())[0]:
        yield np.asarray(read[1], np.uint8)


def timed(algorithm: Algorithm, lumas: list[Picture]) -> tuple[float, float]:
    """Microseconds of this thread's CPU time a picture (median), and regions found in a picture (mean)."""
    for luma in lumas:
        algorithm(luma)
    spent_us, regions = [], 0
    for luma in lumas:
        began_ns = time.thread_time_ns()
        regions += algorithm(luma)
        spent_us.append((time.thread_time_ns() - began_ns) / 1000)
    return median(spent_us), regions / len(lumas)


def measure(lumas: list[Picture], size_px: tuple[int, int] | None) -> list[dict[str, float | str]]:
    rows: list[dict[str, float | str]] = []
    for name, (used_px, algorithm) in algorithms(size_px).items():
        print(f"{name} at {used_px[0]} x {used_px[1]}", file=sys.stderr, flush=True)
        us, regions = timed(algorithm, lumas)
        rows.append({"algorithm": name, "width_px": used_px[0], "height_px": used_px[1], "us": us, "regions": regions})
    return rows


def print_rows(rows: list[dict[str, float | str]]) -> None:
    own = float(rows[0]["us"])
    print("| algorithm | size, px | µs a picture | times raycctv | regions a picture |\n|---|---|---|---|---|")
    for row in rows:
        size, us = f"{row['width_px']} x {row['height_px']}", float(row["us"])
        print(f"| {row['algorithm']} | {size} | {us:.0f} | {us / own:.1f} | {float(row['regions']):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--clip", type=Path, help="a video in place of the demo's pedestrians")
    parser.add_argument("--pictures", type=int, default=150, help="that go through each algorithm twice")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    lumas = footage(options.clip, options.pictures)
    measured = {"each at its own size": measure(lumas, None), "all at the same size": measure(lumas, SAME_PX)}
    if options.json:
        print(json.dumps(measured))
        return
    for title, rows in measured.items():
        print(f"{title}:\n")
        print_rows(rows)
        print()


if __name__ == "__main__":
    main()
