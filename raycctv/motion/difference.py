"""Frame differencing on luma against samples of the background.

Each frame is made small, blurred against noise and compared with what its pixels have been lately (:mod:`.background`).
Regions of changed pixels become boxes. What keeps false alarms down:

- what a pixel goes to again and again (leaves, water) is among its samples, and its radius follows its own noise;
- the median difference of the whole picture is taken out first, so that slow light and auto exposure move nothing;
- a change of most of the picture at once is light, not an object: the background starts anew;
- a region in which no edge is new is another light on the same things (a cloud's shadow, headlights on the road), or what an
  object uncovered when it left; its pixels are soon learnt;
- a region that no longer changes from frame to frame (a parked car) does not move; its pixels are slowly learnt.
"""

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.clock import NS_PER_S
from raycctv.config.schema import Motion
from raycctv.motion.background import Background, number
from raycctv.types import Boxes, Frame, Luma, MotionResult

Mask = npt.NDArray[np.uint8]

_STILL_LEVELS = 6.0
"""A pixel that changes less than this from one frame to the next stands still."""

_ACTIVE_S, _ACTIVE_SHARE = 0.6, 0.08
"""A region moves while this share of its pixels differed from the frame before within the last 0.6 s. A car that has parked
does not."""

_EDGE_LEVELS, _EDGE_RATIO, _EDGE_SHARE = 12.0, 1.3, 0.3
"""An edge (highest less lowest grey level of 3 x 3 pixels) is new where it exceeds the background's strongest within 7 x 7
pixels by this factor and so many levels. The new edges of an object are at least this share of the outline of a square
as large. Tuned on tree.avi and issue53_brightness_change.avi, in which no region may be an object."""

_LIGHT_STEP = 12
"""Grey levels by which the median of the picture jumps from one frame to the next when a light is switched: auto exposure
takes several frames for as much."""

_GRAIN = (5, 5)
"""A pixel has changed when most of this neighbourhood has: a median of the mask."""

_CLOSE = np.ones((7, 7), np.uint8)
_CROSS = np.ones((3, 3), np.uint8)
_NEAR = np.ones((7, 7), np.uint8)
_REACH = 4
"""Pixels around a part of the picture on which its new edges hang: one for an edge, three for what is near."""


class MotionDetector:
    """Finds what moves, frame by frame; keeps the background of one connection.

    Args:
        settings: the ``motion`` section.
        unmasked: uint8 (H, W) at any size, 0 where nothing is looked at; None looks everywhere.
    """

    def __init__(self, settings: Motion, unmasked: Mask | None = None) -> None:
        self._settings = settings
        self._unmasked = unmasked
        self._shrink: _Shrink | None = None
        self._scene: _Scene | None = None
        self.mask: Mask | None = None
        """uint8 (h, w), 255 where something moved in the last frame, at the small size; None before the second frame. The array
        is used again by the next call."""

    def update(self, frame: Frame) -> MotionResult:
        """Take in one frame and say what moved in it. The first frame is the background."""
        small = self._small(frame.luma)
        scene = self._scene
        if scene is None:
            self._scene = _Scene(small, self._unmasked, frame.captured_at_ns)
            return _nothing()
        offset = scene.background.offset(small)
        scene.follow(offset)
        changed = self._changed(scene, small)
        score = scene.share(changed)
        if self._is_light(score, offset):
            scene.begin(small, frame.captured_at_ns)
            self.mask = scene.mask
            self.mask.fill(0)
            return MotionResult(score, _no_boxes(), lighting_change=True)
        still = scene.still(small)
        scene.keep_active(still, frame.captured_at_ns)
        boxes, self.mask, light = self._regions(scene, small, changed, scene.active, frame)
        scene.background.learn(small, changed, still, light, frame.captured_at_ns, self._settings.background_s)
        scene.keep(small)
        return MotionResult(score, boxes, lighting_change=False)

    def look(self, frame: Frame) -> MotionResult:
        """What :meth:`update` would say of a frame that comes later than the last; learns nothing from it."""
        small = self._small(frame.luma)
        scene = self._scene
        if scene is None:
            return _nothing()
        offset = scene.background.offset(small)
        level = np.asarray(cv2.subtract(small, number(offset)), np.uint8) if offset else small
        changed = self._changed(scene, level)
        score = scene.share(changed)
        if self._is_light(score, offset):
            return MotionResult(score, _no_boxes(), lighting_change=True)
        active = np.asarray(cv2.bitwise_not(scene.still(level)), np.uint8)
        boxes, _, _ = self._regions(scene, level, changed, active, frame)
        return MotionResult(score, boxes, lighting_change=False)

    def _small(self, luma: Luma) -> Luma:
        """The picture at the size at which it is compared. A picture of another size than the last begins a new scene."""
        if self._shrink is None or self._shrink.source != luma.shape:
            self._shrink = _Shrink(luma, self._settings.width_px)
            self._scene = None
        return self._shrink.small(luma)

    def _is_light(self, score: float, offset: int) -> bool:
        return score > self._settings.lighting_fraction or abs(offset) > _LIGHT_STEP

    def _changed(self, scene: "_Scene", small: Luma) -> Mask:
        """255 where most of the neighbourhood has changed, gaps closed; nowhere in masked parts."""
        raw = scene.background.changed(small, self._settings.sensitivity)
        changed = scene.changed
        cv2.blur(raw, _GRAIN, dst=changed)
        cv2.compare(changed, number(127), cv2.CMP_GT, dst=changed)
        cv2.bitwise_and(changed, scene.area, dst=changed)
        if cv2.countNonZero(changed):
            cv2.morphologyEx(changed, cv2.MORPH_CLOSE, _CLOSE, dst=changed)
            cv2.bitwise_and(changed, scene.area, dst=changed)
        return changed

    def _regions(
        self, scene: "_Scene", small: Luma, changed: Mask, active: Mask, frame: Frame
    ) -> tuple[Boxes, Mask, Mask | None]:
        """Boxes of the regions that are large enough, have new edges and move now; a mask of just these; and one of those
        where only the light is another, None where there are none. Looks only at the rectangle around what has changed."""
        mask = scene.mask
        mask.fill(0)
        least = self._settings.min_area * changed.size
        if cv2.countNonZero(changed) < least:
            return _no_boxes(), mask, None
        left, top, width, height = cv2.boundingRect(changed)
        part = np.s_[top : top + height, left : left + width]
        count, found, stats, _ = cv2.connectedComponentsWithStats(
            changed[part], labels=scene.labels[part], connectivity=8, ltype=cv2.CV_16U
        )
        area = stats[:, cv2.CC_STAT_AREA]
        large = area >= least
        large[0] = False  # what has not changed
        if not large.any():
            return _no_boxes(), mask, None
        where = changed[part].view(np.bool_)
        owners = np.asarray(found, np.uint16)[where]
        edges = np.bincount(owners[scene.new_edges(small, part)[where] > 0], minlength=count)
        moving = np.bincount(owners[active[part][where] > 0], minlength=count)
        object_like = edges >= _EDGE_SHARE * 4 * np.sqrt(area)
        kept = large & object_like & (moving >= _ACTIVE_SHARE * area)
        mask[part][where] = _white(kept)[owners]
        boxes = [(left + x, top + y, left + x + w, top + y + h) for x, y, w, h, _ in stats[kept].tolist()]
        scale = (frame.width_px / changed.shape[1], frame.height_px / changed.shape[0])
        lit = large & ~object_like
        return _scaled(boxes, scale), mask, scene.lit(part, where, _white(lit)[owners]) if lit.any() else None


class _Scene:
    """What one picture size needs: the background, where to look, and what moved a moment ago.

    Attributes:
        area: uint8 (h, w), 255 where changes count.
        active: uint8 (h, w), 255 where a pixel has just changed, falling to 0 in :data:`_ACTIVE_S`.
        changed, mask, labels: (h, w), uint8 and uint16, to write in; used again for each picture.
    """

    def __init__(self, small: Luma, unmasked: Mask | None, at_ns: int) -> None:
        height, width = small.shape
        area = np.full((height, width), 255, np.uint8) if unmasked is None else unmasked
        self.area = np.asarray(cv2.resize(area, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        self._area_px = max(1, cv2.countNonZero(self.area))
        self.background = Background(small, at_ns)
        self.active = np.zeros_like(small)
        self.changed, self.mask, self._light = (np.zeros_like(small) for _ in range(3))
        self.labels = np.empty(small.shape, np.uint16)
        self._still, self._moved = np.empty_like(small), np.empty_like(small)
        self._edges, self._known, self._near_edges = (np.empty_like(small) for _ in range(3))
        self._previous = small.copy()
        self._at_ns = at_ns

    def begin(self, small: Luma, at_ns: int) -> None:
        """This picture is the background now."""
        self.background.begin(small, at_ns)
        self.active.fill(0)
        self.keep(small)
        self._at_ns = at_ns

    def follow(self, offset: int) -> None:
        """The whole picture has become brighter by so many grey levels."""
        if offset:
            self.background.follow(offset)
            cv2.add(self._previous, number(offset), dst=self._previous)

    def share(self, changed: Mask) -> float:
        return cv2.countNonZero(changed) / self._area_px

    def still(self, small: Luma) -> Mask:
        """255 where a pixel is as it was in the last frame. The array is used again by the next call."""
        cv2.absdiff(small, self._previous, dst=self._still)
        cv2.compare(self._still, number(_STILL_LEVELS), cv2.CMP_LE, dst=self._still)
        return self._still

    def keep_active(self, still: Mask, at_ns: int) -> None:
        elapsed_s = max(0.0, (at_ns - self._at_ns) / NS_PER_S)
        self._at_ns = at_ns
        cv2.subtract(self.active, number(min(255.0, 255 * elapsed_s / _ACTIVE_S)), dst=self.active)
        cv2.bitwise_not(still, dst=self._moved)
        cv2.max(self.active, self._moved, dst=self.active)

    def new_edges(self, small: Luma, part: tuple[slice, slice]) -> Mask:
        """255 where this part of ``small`` has an edge that the background has not, nor has near by. Used again by the next."""
        rows, columns = (slice(max(0, span.start - _REACH), span.stop + _REACH) for span in part)
        near = np.s_[rows, columns]
        edges, known, strongest = self._edges[near], self._known[near], self._near_edges[near]
        cv2.morphologyEx(small[near], cv2.MORPH_GRADIENT, _CROSS, dst=edges)
        cv2.morphologyEx(self.background.picture(near), cv2.MORPH_GRADIENT, _CROSS, dst=known)
        cv2.dilate(known, _NEAR, dst=strongest)
        cv2.convertScaleAbs(strongest, dst=strongest, alpha=_EDGE_RATIO, beta=_EDGE_LEVELS)
        cv2.compare(edges, strongest, cv2.CMP_GT, dst=edges)
        return self._edges[part]

    def lit(self, part: tuple[slice, slice], where: npt.NDArray[np.bool_], levels: Mask) -> Mask:
        """A mask that has these levels ``where`` in this part. Used again by the next call."""
        self._light.fill(0)
        self._light[part][where] = levels
        return self._light

    def keep(self, small: Luma) -> None:
        np.copyto(self._previous, small)


class _Shrink:
    """Makes pictures of one size small, and blurs them; the last one is made once however often it is asked for.

    They are halved as often as they stay wide enough: OpenCV does that ten times as fast as any other factor.
    """

    def __init__(self, luma: Luma, width_px: int) -> None:
        height, width = self.source = luma.shape
        small_width = min(width_px, width)
        self._halves: list[Luma] = []
        halved_height, halved_width = height, width
        while halved_width >= 2 * small_width:
            halved_height, halved_width = halved_height // 2, halved_width // 2
            self._halves.append(np.empty((halved_height, halved_width), np.uint8))
        self._small = np.empty((max(1, round(height * small_width / width)), small_width), np.uint8)
        self._blurred = np.empty_like(self._small)
        self._of: Luma | None = None

    def small(self, luma: Luma) -> Luma:
        """uint8 (h, w). The array is used again for the next picture."""
        if self._of is not luma:
            picture = luma
            for half in self._halves:
                cv2.resize(picture, half.shape[::-1], dst=half, interpolation=cv2.INTER_AREA)
                picture = half
            cv2.resize(picture, self._small.shape[::-1], dst=self._small, interpolation=cv2.INTER_LINEAR)
            cv2.GaussianBlur(self._small, (3, 3), 0, dst=self._blurred)
            self._of = luma
        return self._blurred


def _white(regions: npt.NDArray[np.bool_]) -> Mask:
    """255 for each of these regions, 0 for the others."""
    return regions.view(np.uint8) * np.uint8(255)


def _scaled(boxes: list[tuple[int, int, int, int]], scale: tuple[float, float]) -> Boxes:
    return np.array(boxes, np.float32).reshape(-1, 4) * np.array(scale * 2, np.float32)


def _no_boxes() -> Boxes:
    return np.zeros((0, 4), np.float32)


def _nothing() -> MotionResult:
    return MotionResult(0.0, _no_boxes(), lighting_change=False)
