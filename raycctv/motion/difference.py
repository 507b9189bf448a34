"""Frame differencing on luma against a running background.

Each frame is made small, blurred against noise and compared with a running average. A pixel has changed when it differs
by more than its own usual noise; regions of changed pixels become boxes. Four things keep false alarms down:

- the threshold of a pixel follows its own noise, so that sensor noise, rain and swaying leaves raise it where they are;
- the median difference of the whole picture is taken out first, so that slow light and auto exposure move nothing;
- a change of most of the picture at once is light, not an object: the background starts anew;
- a region that no longer changes from frame to frame (a parked car, the ghost of one that left) does not move; its pixels
  are taken into the background with the normal time constant, those that still change only slowly.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.clock import NS_PER_S
from raycctv.config.schema import Motion
from raycctv.types import Boxes, Frame, Luma, MotionResult

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]

_NOISE_FACTOR = 4.0
"""Threshold in mean absolute deviations: 4 of them are 3.2 standard deviations of Gaussian noise (one pixel in 700),
which the opening below removes when they stand alone."""

_THRESHOLD_MIN = 10.0
"""Grey levels. Coding noise of a quiet H.264 stream stays below 6 after the blur; measured on the demo's scenes."""

_NOISE_S = 10.0
"""Time constant of a pixel's noise."""

_NOISE_OUTLIER = 2.0
"""A difference counts as at most so many times the noise, so that what passes now and then raises it little, while what
sways all the time raises it without end."""

_START_NOISE = 4.0
"""Grey levels of noise that a pixel is given before it is known."""

_FOREGROUND_SLOWER = 8.0
"""How much slower a pixel that still moves enters the background."""

_STILL_LEVELS = 6.0
"""A pixel that changes less than this from one frame to the next stands still."""

_ACTIVE_S, _ACTIVE_MIN, _ACTIVE_SHARE = 0.5, 0.3, 0.08
"""A region moves while this share of its changed pixels differed from the frame before within the last 0.6 s (the time in
which exp(-t / 0.5 s) falls to 0.3). The ghost of an object that has left does not; nor does a car that has parked."""

_LIGHT_STEP = 12.0
"""Grey levels by which the median of the picture jumps from one frame to the next when a light is switched: auto exposure
takes several frames for as much."""

_OPEN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
_JOIN = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


@dataclass
class _Background:
    """What a camera looks like when nothing moves: float32 (h, w) each, at the small size; and how much brighter it was."""

    mean: Floats
    noise: Floats
    previous: Floats
    activity: Floats
    at_ns: int
    offset: float = 0.0

    @classmethod
    def seen(cls, small: Floats, at_ns: int) -> "_Background":
        return cls(small.copy(), np.full_like(small, _START_NOISE), small, np.zeros_like(small), at_ns)


class MotionDetector:
    """Finds what moves, frame by frame; keeps the background of one connection.

    Args:
        settings: the ``motion`` section.
        unmasked: uint8 (H, W) at any size, 0 where nothing is looked at; None looks everywhere.
    """

    def __init__(self, settings: Motion, unmasked: Mask | None = None) -> None:
        self._settings = settings
        self._unmasked = unmasked
        self._area: Mask | None = None
        self._area_px = 0
        self._background: _Background | None = None
        self._made: tuple[Luma, Floats] | None = None
        self.mask: Mask | None = None
        """uint8 (h, w), 255 where the last frame changed, at the small size; None before the second frame."""

    def update(self, frame: Frame) -> MotionResult:
        """Take in one frame and say what moved in it. The first frame is the background."""
        small = self._small(frame.luma)
        background = self._background
        if background is None or background.mean.shape != small.shape:
            self._begin(small, frame.captured_at_ns)
            return _nothing()
        difference, offset = self._difference(small, background)
        step, background.offset = abs(offset - background.offset), offset
        changed = self._changed(difference, background)
        score = cv2.countNonZero(changed) / max(1, self._area_px)
        if score > self._settings.lighting_fraction or step > _LIGHT_STEP:
            self._background = _Background.seen(small, frame.captured_at_ns)
            self.mask = np.zeros_like(changed)
            return MotionResult(score, _no_boxes(), lighting_change=True)
        active = self._active(small, background)
        self._learn(small, difference, changed, active, frame.captured_at_ns)
        boxes, self.mask = self._moving(changed, background.activity, frame)
        return MotionResult(score, boxes, lighting_change=False)

    def look(self, frame: Frame) -> MotionResult:
        """What :meth:`update` would say of a frame that comes later than the last; learns nothing from it."""
        small = self._small(frame.luma)
        background = self._background
        if background is None or background.mean.shape != small.shape:
            return _nothing()
        difference, offset = self._difference(small, background)
        changed = self._changed(difference, background)
        score = cv2.countNonZero(changed) / max(1, self._area_px)
        if score > self._settings.lighting_fraction or abs(offset - background.offset) > _LIGHT_STEP:
            return MotionResult(score, _no_boxes(), lighting_change=True)
        boxes, _ = self._moving(changed, self._active(small, background).astype(np.float32), frame)
        return MotionResult(score, boxes, lighting_change=False)

    def _small(self, luma: Luma) -> Floats:
        if self._made is not None and self._made[0] is luma:
            return self._made[1]
        height, width = luma.shape
        small_width = min(self._settings.width_px, width)
        size = (small_width, max(1, round(height * small_width / width)))
        small = cv2.resize(_halved(luma, small_width), size, interpolation=cv2.INTER_AREA)
        blurred: Floats = cv2.GaussianBlur(small, (5, 5), 0).astype(np.float32)
        self._made = luma, blurred
        return blurred

    def _begin(self, small: Floats, at_ns: int) -> None:
        height, width = small.shape
        area = np.full((height, width), 255, np.uint8) if self._unmasked is None else self._unmasked
        self._area = np.asarray(cv2.resize(area, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        self._area_px = cv2.countNonZero(self._area)
        self._background = _Background.seen(small, at_ns)

    def _difference(self, small: Floats, background: _Background) -> tuple[Floats, float]:
        """How far each pixel is from the background once the light of the whole picture is evened out, and that light."""
        difference: Floats = small - background.mean
        offset = float(np.median(difference[::4, ::4]))
        difference -= np.float32(offset)
        np.abs(difference, out=difference)
        return difference, offset

    def _changed(self, difference: Floats, background: _Background) -> Mask:
        threshold = np.maximum(background.noise * _NOISE_FACTOR, _THRESHOLD_MIN) / self._settings.sensitivity
        changed = (difference > threshold).view(np.uint8) * np.uint8(255)
        opened = cv2.morphologyEx(changed, cv2.MORPH_OPEN, _OPEN)
        assert self._area is not None
        return np.asarray(cv2.bitwise_and(opened, self._area), np.uint8)

    def _active(self, small: Floats, background: _Background) -> npt.NDArray[np.bool_]:
        """Which pixels are not as they were in the last frame."""
        return np.asarray(cv2.absdiff(small, background.previous) > _STILL_LEVELS)

    def _learn(self, small: Floats, difference: Floats, changed: Mask, active: npt.NDArray[np.bool_], at_ns: int) -> None:
        background = self._background
        assert background is not None
        elapsed_s = max(0.0, (at_ns - background.at_ns) / NS_PER_S)
        rate = min(1.0, elapsed_s / self._settings.background_s)
        background.activity *= np.float32(np.exp(-elapsed_s / _ACTIVE_S))
        background.activity[active] = 1.0
        moving = (changed > 0) & active
        weight = np.where(moving, np.float32(rate / _FOREGROUND_SLOWER), np.float32(rate))
        background.mean += weight * (small - background.mean)
        seen = np.minimum(difference, background.noise * _NOISE_OUTLIER)
        background.noise += np.float32(min(1.0, elapsed_s / _NOISE_S)) * (seen - background.noise)
        background.previous = small
        background.at_ns = at_ns

    def _moving(self, changed: Mask, activity: Floats, frame: Frame) -> tuple[Boxes, Mask]:
        """Boxes of the regions that are large enough and move now, and a mask of just these."""
        height, width = changed.shape
        mask = np.zeros_like(changed)
        pixels = np.flatnonzero(changed)
        least = self._settings.min_area * height * width
        if len(pixels) < least:
            return _no_boxes(), mask
        count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.dilate(changed, _JOIN), connectivity=8)
        owners = labels.ravel()[pixels]
        inside = np.bincount(owners, minlength=count)
        active = np.bincount(owners[activity.ravel()[pixels] > _ACTIVE_MIN], minlength=count)
        counts = (inside >= least) & (active >= _ACTIVE_SHARE * inside)
        mask.ravel()[pixels[counts[owners]]] = 255
        kept = np.flatnonzero(counts)
        if len(kept) == 0:
            return _no_boxes(), mask
        margin = _JOIN.shape[0] // 2
        left, top, w, h = stats[kept, :4].T.astype(np.float32)
        small = np.stack([left + margin, top + margin, left + w - margin, top + h - margin], axis=1)
        scale = np.array([frame.width_px / width, frame.height_px / height] * 2, np.float32)
        boxes: Boxes = (np.clip(small, 0, [width, height, width, height]) * scale).astype(np.float32)
        return boxes, mask


def _halved(luma: Luma, width_px: int) -> Luma:
    """The picture at half its size, as often as it stays at least ``width_px`` wide: OpenCV does that ten times as fast as any
    other factor."""
    while luma.shape[1] >= 2 * width_px:
        luma = np.asarray(cv2.resize(luma, (luma.shape[1] // 2, luma.shape[0] // 2), interpolation=cv2.INTER_AREA), np.uint8)
    return luma


def _no_boxes() -> Boxes:
    return np.zeros((0, 4), np.float32)


def _nothing() -> MotionResult:
    return MotionResult(0.0, _no_boxes(), lighting_change=False)
