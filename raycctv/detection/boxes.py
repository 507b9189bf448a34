"""Boxes: overlap, suppression, and pictures fitted into squares. NumPy and OpenCV only, so that every backend shares it."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.types import Boxes, CropTransform, Detections, Rgb

_SAME_IOU = 0.5
_SAME_CONTAINED = 0.75
"""Of two boxes of one class from different crops, the one with this share inside the other is the same object, cut off by
the edge of its crop. Within one crop nothing is cut off differently, and a box inside another may be a child in front of
its mother: on three crops each of 128 COCO pictures that distinction raises the recall of people from 0.39 to 0.41, at the
same precision."""

_PADDING = (128, 128, 128)
"""Grey, which the networks' preprocessing makes about 0."""


def intersection(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Areas shared by each box of ``a`` (float32 (N, 4)) with each of ``b`` (M, 4): float32 (N, M), square pixels."""
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.clip(bottom_right - top_left, 0, None)
    areas: npt.NDArray[np.float32] = sides[..., 0] * sides[..., 1]
    return areas


def area(boxes: Boxes) -> npt.NDArray[np.float32]:
    """float32 (N,), square pixels; 0 for a box that is inside out."""
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    areas: npt.NDArray[np.float32] = sides[:, 0] * sides[:, 1]
    return areas


def iou(a: Boxes, b: Boxes) -> npt.NDArray[np.float32]:
    """Intersection over union of each box of ``a`` (N, 4) with each of ``b`` (M, 4): float32 (N, M), 0 to 1."""
    shared = intersection(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    overlap: npt.NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def nms(found: Detections, iou_threshold: float) -> Detections:
    """Non-maximum suppression within each class: of boxes that overlap more than ``iou_threshold`` the best stays."""
    return _suppressed(found, iou(found.xyxy, found.xyxy) > iou_threshold)


def merge(parts: Sequence[Detections]) -> Detections:
    """The verdicts of several crops of one frame, all in source pixels, with each object once, best score first.

    Of the boxes of one object the one with the best score stays, as it is.
    """
    if not parts:
        return Detections.empty()
    found = Detections(
        np.concatenate([part.xyxy for part in parts]),
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.class_id for part in parts]),
    )
    crop = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    cut_off = (_contained(found.xyxy) > _SAME_CONTAINED) & (crop[:, None] != crop[None, :])
    return _suppressed(found, (iou(found.xyxy, found.xyxy) > _SAME_IOU) | cut_off)


def letterbox(rgb: Rgb, size_px: int) -> tuple[Rgb, CropTransform]:
    """``rgb`` (uint8 (H, W, 3)) scaled into a square without distortion, padded with grey, and the way back."""
    height, width, _ = rgb.shape
    scale = max(height, width) / size_px
    inner_width, inner_height = max(1, round(width / scale)), max(1, round(height / scale))
    left, top = (size_px - inner_width) // 2, (size_px - inner_height) // 2
    shrinking = scale > 1
    inner = cv2.resize(rgb, (inner_width, inner_height), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
    edges = (top, size_px - inner_height - top, left, size_px - inner_width - left)
    square = cv2.copyMakeBorder(inner, *edges, cv2.BORDER_CONSTANT, value=_PADDING)
    return np.asarray(square, np.uint8), CropTransform(-left * scale, -top * scale, scale)


def _contained(boxes: Boxes) -> npt.NDArray[np.float32]:
    """float32 (N, N), 0 to 1: the share of the smaller of two boxes that lies in the other."""
    shared = intersection(boxes, boxes)
    areas = area(boxes)
    smaller = np.minimum(areas[:, None], areas[None, :])
    share: npt.NDArray[np.float32] = np.divide(shared, smaller, out=np.zeros_like(shared), where=smaller > 0)
    return share


def _suppressed(found: Detections, same: npt.NDArray[np.bool_]) -> Detections:
    """Keeps, best first, what is not the same as something of its class that is kept already."""
    same = same & (found.class_id[:, None] == found.class_id[None, :])
    gone = np.zeros(len(found), bool)
    kept: list[int] = []
    for index in np.argsort(-found.score, kind="stable"):
        if not gone[index]:
            kept.append(int(index))
            gone |= same[index]
    return Detections(found.xyxy[kept], found.score[kept], found.class_id[kept])
