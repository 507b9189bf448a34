"""What each pixel of a camera has been lately: twenty samples taken at random times, and how much it varies.

After Barnich and Van Droogenbroeck, "ViBe: A Universal Background Subtraction Algorithm for Video Sequences" (2011): a pixel
that sways between two things has samples of both, which no average has. Everything is uint8 at the small size and computed
in buffers that are made once; one frame of 320 x 180 costs about 0.25 ms.
"""

from itertools import cycle
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.clock import NS_PER_S

Plane = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

_SAMPLES = 20
"""Fewer forget the leaves of a tree: on tree.avi 12 leave motion in 37 % of the frames, 20 in 22 %. Each costs 6 us a frame."""

_NOISE_FACTOR = 3.0
"""Radius around a sample in mean distances of the nearest one: what passes within its noise has not changed."""

_RADIUS_MIN = 11.0
"""Grey levels. Coding noise of a quiet H.264 stream stays below 6 after the blur; measured on the demo's scenes."""

_NOISE_S = 10.0
"""Time constant of a pixel's noise."""

_NOISE_OUTLIER = 3.0
"""A distance counts as at most so many times the noise and one grey level: what passes now and then raises it little."""

_START_NOISE = 2.0
"""Grey levels of noise that a pixel is given before it is known."""

_START_S = 1.0
"""Time constant of the background at the very start; it grows with the age, so that what was there then is soon forgotten."""

_FOREGROUND_SLOWER = 4.0
"""How much slower what has changed and stands still enters the background."""

_LIGHT_S = 2.0
"""Time constant with which another light on the same things enters the background."""

_SPREAD = 0.5
"""How often a neighbour's value is taken for a sample, beside a pixel's own: that is what a camera that shakes needs."""

_BLINK_FRAMES = 32.0
_BLINKING = 0.04
"""A pixel that goes between changed and not in this share of the last frames or so belongs to leaves, water or rain; it and
its neighbours are learnt although they move. A car that passes each second makes 0.04 at 50 frames a second."""

SEED = 0
"""Of the random numbers: what is seen can be had again. Another one gives another background that is as good."""

_DRAWS = 10007
"""Random numbers that are drawn once and used over and over: drawing one at a time costs more than using it."""

_NEIGHBOURS = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
_GRAIN = 6
"""The light of the whole picture is looked at on every sixth pixel of every sixth row."""


class Background:
    """Samples of what a camera looks like when nothing moves, float32 or uint8 (h, w) each.

    Args:
        small: uint8 (h, w), the first picture, which is taken for the background.
    """

    def __init__(self, small: Plane, at_ns: int) -> None:
        height, width = self.shape = small.shape
        random = np.random.default_rng(SEED)
        self._dice = random.integers(0, 256, (2 * height, 2 * width), dtype=np.uint8)
        self._draws = cycle(random.integers(0, 2**31, _DRAWS).tolist())
        self._pairs = [np.empty((2 * height, width), np.uint8) for _ in range(_SAMPLES // 2)]
        self._samples = [sample for pair in self._pairs for sample in (pair[:height], pair[height:])]
        self._twice, self._apart, self._farther = (np.empty((2 * height, width), np.uint8) for _ in range(3))
        self._nearest_two, self._second_two = (np.empty((2 * height, width), np.uint8) for _ in range(2))
        self._mean = np.empty(self.shape, np.float32)
        self._noise = np.full(self.shape, _START_NOISE, np.float32)
        self._blinking = np.zeros(self.shape, np.float32)
        self._blinked = np.zeros(self.shape, np.uint8)
        self._raw, self._raw_before = np.zeros(self.shape, np.uint8), np.zeros(self.shape, np.uint8)
        self._nearest, self._second, self._picture = (np.empty(self.shape, np.uint8) for _ in range(3))
        self._radius, self._chosen, self._learnt, self._quiet = (np.empty(self.shape, np.uint8) for _ in range(4))
        self._wide, self._limit = np.empty(self.shape, np.float32), np.empty(self.shape, np.float32)
        self.begin(small, at_ns)

    def begin(self, small: Plane, at_ns: int) -> None:
        """Forget what was there; the noise of the sensor stays known. Each sample is the picture, moved by up to a pixel."""
        np.copyto(self._mean, small)
        for index, sample in enumerate(self._samples):
            np.copyto(sample, small)
            if index:
                rows, columns = self._step()
                _shifted(sample, -rows, -columns)[:] = _shifted(small, rows, columns)
        self._age_s = 0.0
        self._at_ns = at_ns

    def offset(self, small: Plane) -> int:
        """By how many grey levels ``small`` is brighter, in the median: exposure, dusk, a lamp. One is none."""
        now = small[::_GRAIN, ::_GRAIN].astype(np.int16)
        offset = round(float(np.median(now - self._samples[0][::_GRAIN, ::_GRAIN])))
        return offset if abs(offset) > 1 else 0

    def follow(self, offset: int) -> None:
        """Make the samples brighter by ``offset``."""
        for sample in self._samples:
            cv2.add(sample, number(offset), dst=sample)
        cv2.add(self._mean, number(offset), dst=self._mean)

    def changed(self, small: Plane, sensitivity: float) -> Plane:
        """255 where ``small`` is near fewer than two samples. The array is used again by the next call."""
        self._compare(small)
        np.maximum(self._noise, np.float32(_RADIUS_MIN / _NOISE_FACTOR), out=self._wide)
        cv2.convertScaleAbs(self._wide, dst=self._radius, alpha=_NOISE_FACTOR / sensitivity)
        cv2.compare(self._second, self._radius, cv2.CMP_GT, dst=self._raw)
        return self._raw

    def _compare(self, small: Plane) -> None:
        """How far the nearest and the second nearest sample are. Two samples at a time, which halves the calls of OpenCV."""
        height = self.shape[0]
        twice, apart, farther = self._twice, self._apart, self._farther
        nearest, second = self._nearest_two, self._second_two
        twice[:height] = twice[height:] = small
        cv2.absdiff(twice, self._pairs[0], dst=nearest)
        second.fill(255)
        for pair in self._pairs[1:]:
            cv2.absdiff(twice, pair, dst=apart)
            cv2.max(nearest, apart, dst=farther)
            cv2.min(second, farther, dst=second)
            cv2.min(nearest, apart, dst=nearest)
        cv2.max(nearest[:height], nearest[height:], dst=farther[:height])
        cv2.min(second[:height], second[height:], dst=self._second)
        cv2.min(self._second, farther[:height], dst=self._second)
        cv2.min(nearest[:height], nearest[height:], dst=self._nearest)

    def picture(self, part: tuple[slice, slice]) -> Plane:
        """This part of the background as one picture, the mean of what was learnt. The array is used again by the next call."""
        cv2.convertScaleAbs(self._mean[part], dst=self._picture[part])
        return self._picture[part]

    def learn(self, small: Plane, changed: Plane, still: Plane, light: Plane | None, at_ns: int, background_s: float) -> None:
        """Take in what :meth:`changed` was last asked about.

        Args:
            changed: 255 where something has changed, of any kind.
            still: 255 where nothing moved since the frame before.
            light: 255 where only the light has changed; None for nowhere.
            background_s: time constant of what has not changed.
        """
        elapsed_s = max(0.0, (at_ns - self._at_ns) / NS_PER_S)
        self._at_ns = at_ns
        self._age_s += elapsed_s
        self._learn_noise(min(1.0, elapsed_s / _NOISE_S))
        self._learn_blinking()
        constant_s = min(background_s, max(_START_S, self._age_s))
        share = elapsed_s * _SAMPLES / constant_s / 2
        cv2.bitwise_not(changed, dst=self._quiet)
        self._learn_mean(small, elapsed_s / constant_s, changed, still, light, elapsed_s)
        self._take(small, self._own(share, changed, still, light, elapsed_s))
        rows, columns = self._step()
        self._choose(share * _SPREAD)
        cv2.bitwise_and(self._chosen, self._quiet, dst=self._chosen)
        sample = self._samples[next(self._draws) % _SAMPLES]
        cv2.copyTo(_shifted(small, rows, columns), _shifted(self._chosen, rows, columns), _shifted(sample, -rows, -columns))

    def _own(self, share: float, changed: Plane, still: Plane, light: Plane | None, elapsed_s: float) -> Plane:
        """Which pixels become a sample of their own now."""
        chosen, learnt = self._chosen, self._learnt
        cv2.bitwise_or(self._quiet, self._blinked, dst=learnt)
        self._choose(share)
        cv2.bitwise_and(learnt, chosen, dst=learnt)
        self._choose(share / _FOREGROUND_SLOWER)
        cv2.bitwise_and(chosen, changed, dst=chosen)
        cv2.bitwise_and(chosen, still, dst=chosen)
        cv2.bitwise_or(learnt, chosen, dst=learnt)
        if light is not None:
            self._choose(elapsed_s * _SAMPLES / _LIGHT_S / 2)
            cv2.bitwise_and(chosen, light, dst=chosen)
            cv2.bitwise_or(learnt, chosen, dst=learnt)
        return learnt

    def _learn_mean(
        self, small: Plane, rate: float, changed: Plane, still: Plane, light: Plane | None, elapsed_s: float
    ) -> None:
        cv2.accumulateWeighted(small, self._mean, min(1.0, 2 * rate), self._quiet)
        cv2.bitwise_and(changed, still, dst=self._chosen)
        cv2.accumulateWeighted(small, self._mean, min(1.0, 2 * rate / _FOREGROUND_SLOWER), self._chosen)
        if light is not None:
            cv2.accumulateWeighted(small, self._mean, min(1.0, 2 * elapsed_s / _LIGHT_S), light)

    def _take(self, small: Plane, where: Plane) -> None:
        cv2.copyTo(small, where, self._samples[next(self._draws) % _SAMPLES])

    def _choose(self, share: float) -> None:
        """255 in about this share of the pixels, at random."""
        height, width = self.shape
        top, left = next(self._draws) % height, next(self._draws) % width
        dice = self._dice[top : top + height, left : left + width]
        cv2.compare(dice, number(256 * min(share, 1.0)), cv2.CMP_LT, dst=self._chosen)

    def _learn_noise(self, rate: float) -> None:
        np.copyto(self._wide, self._nearest)
        np.multiply(self._noise, np.float32(_NOISE_OUTLIER), out=self._limit)
        np.add(self._limit, np.float32(1), out=self._limit)
        np.minimum(self._wide, self._limit, out=self._wide)
        cv2.accumulateWeighted(self._wide, self._noise, rate)

    def _learn_blinking(self) -> None:
        cv2.bitwise_xor(self._raw, self._raw_before, dst=self._chosen)
        cv2.accumulateWeighted(self._chosen, self._blinking, 1 / _BLINK_FRAMES)
        cv2.compare(self._blinking, number(255 * _BLINKING), cv2.CMP_GT, dst=self._blinked)
        cv2.dilate(self._blinked, _NEIGHBOURS, dst=self._blinked)
        self._raw, self._raw_before = self._raw_before, self._raw

    def _step(self) -> tuple[int, int]:
        """To a neighbour, or nowhere: rows and columns, -1 to 1."""
        return next(self._draws) % 3 - 1, next(self._draws) % 3 - 1


def number(value: float) -> Any:
    """For OpenCV, which takes a number wherever it takes an array; its stubs do not know."""
    return float(value)


def _shifted(plane: Plane, rows: int, columns: int) -> Plane:
    """A view of what is left of ``plane`` when its first rows and columns (negative: last) are cut off."""
    height, width = plane.shape
    return plane[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)]
