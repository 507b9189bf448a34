"""Which squares of a frame the detector is asked about.

The detector sees 300 x 300 pixels. Over a whole picture a distant person is a few of them and is not found, so it is asked
about squares around what moves: each large enough to show the object with its surroundings, and as few as will do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from raycctv.types import CROP_SIZE_PX, Boxes, Candidate, CropTransform, Frame, Rgb

_CONTEXT = 2.0
"""Side of a square over the longer side of what moves: an object then fills half of the detector's input, where
SSDLite's anchors (0.2 to 0.95 of the input) are densest."""

_SIDE_MIN_PX = 160
"""A smaller square would be enlarged more than 1.9 times, which shows the detector nothing new."""

_JOIN_GROWTH = 1.35
"""Two squares become one if that is at most so much larger than the larger: the objects lose a quarter of their size, and
one crop is saved."""

_BEYOND = 128
"""Grey level of what lies beyond the picture."""

_BOXES_MAX = 24
"""Of more moving regions than this, the largest are kept: the work below grows with their square."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square of the frame in source pixels, and the span that it was drawn around."""

    left: int
    top: int
    side: int
    span: tuple[float, float, float, float]


def plan_regions(boxes_xyxy: Boxes, width_px: int, height_px: int, limit: int) -> list[Square]:
    """At most ``limit`` squares that hold all of ``boxes_xyxy`` (float32 (N, 4), source pixels), largest span first.

    A square never exceeds the picture's longer side, and lies inside the picture where it fits.
    """
    areas = (boxes_xyxy[:, 2] - boxes_xyxy[:, 0]) * (boxes_xyxy[:, 3] - boxes_xyxy[:, 1])
    largest = boxes_xyxy[np.argsort(-areas, kind="stable")[:_BOXES_MAX]]
    squares = [_square((float(x0), float(y0), float(x1), float(y1)), width_px, height_px) for x0, y0, x1, y1 in largest]
    while len(squares) > 1:
        growth, i, j, joined = min(_joins(squares, width_px, height_px), key=lambda join: join[0])
        if growth > _JOIN_GROWTH and len(squares) <= limit:
            break
        squares = [square for k, square in enumerate(squares) if k not in (i, j)] + [joined]
    return sorted(squares, key=lambda square: -square.side)


def cut(frame: Frame, squares: Sequence[Square]) -> list[Candidate]:
    """The crops of one frame, each uint8 (300, 300, 3) RGB. Converts the colour of what they show alone."""
    return [
        Candidate(
            camera=frame.camera,
            seq=frame.seq,
            captured_at_ns=frame.captured_at_ns,
            image=_crop(frame, square),
            transform=CropTransform(square.left, square.top, square.side / CROP_SIZE_PX),
        )
        for square in squares
    ]


def _square(span: tuple[float, float, float, float], width_px: int, height_px: int) -> Square:
    x0, y0, x1, y1 = span
    side = max(_SIDE_MIN_PX, round(_CONTEXT * max(x1 - x0, y1 - y0)))
    side = max(min(side, min(width_px, height_px)), round(max(x1 - x0, y1 - y0)))
    side = min(side, max(width_px, height_px))
    return Square(_placed((x0 + x1) / 2, side, width_px), _placed((y0 + y1) / 2, side, height_px), side, span)


def _placed(center: float, side: int, length_px: int) -> int:
    """Where a square begins on one axis: around its centre, inside the picture if it fits, else over both edges alike."""
    if side >= length_px:
        return (length_px - side) // 2
    return min(max(round(center - side / 2), 0), length_px - side)


def _joins(squares: Sequence[Square], width_px: int, height_px: int) -> list[tuple[float, int, int, Square]]:
    joins = []
    for i, a in enumerate(squares):
        for j, b in enumerate(squares[:i]):
            span = (
                min(a.span[0], b.span[0]), min(a.span[1], b.span[1]),
                max(a.span[2], b.span[2]), max(a.span[3], b.span[3]),
            )  # fmt: skip
            joined = _square(span, width_px, height_px)
            joins.append((joined.side / max(a.side, b.side), i, j, joined))
    return joins


def _crop(frame: Frame, square: Square) -> Rgb:
    """What the square shows; grey where it hangs over the picture's edge."""
    left, top, side = square.left, square.top, square.side
    part = (max(left, 0), max(top, 0), min(left + side, frame.width_px), min(top + side, frame.height_px))
    x0, y0, x1, y1 = (round((edge - start) * CROP_SIZE_PX / side) for edge, start in zip(part, (left, top) * 2, strict=True))
    inside = frame.to_rgb(part, least_px=max(x1 - x0, y1 - y0))
    seen = cv2.resize(inside, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)  # by less than half: nothing is skipped
    if seen.shape[:2] == (CROP_SIZE_PX, CROP_SIZE_PX):
        return np.asarray(seen, np.uint8)
    crop = np.full((CROP_SIZE_PX, CROP_SIZE_PX, 3), _BEYOND, np.uint8)
    crop[y0:y1, x0:x1] = seen
    return crop
