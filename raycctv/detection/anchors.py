"""From what an SSD network says to boxes: anchors, box coder, scores. NumPy only.

Source: the TensorFlow object detection API, ``anchor_generators/multiple_grid_anchor_generator.py`` and
``box_coders/faster_rcnn_box_coder.py``, with the parameters of ``ssdlite_mobilenet_v2_coco.config``.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raycctv.detection.boxes import nms
from raycctv.types import Boxes, Detections

Floats = npt.NDArray[np.float32]

_CENTER_SCALE, _SIZE_SCALE = 10.0, 5.0
_LOG_SIZE_MAX = 4.135
"""exp() of more would be a box more than 62 times its anchor. Source: torchvision's box coder, log(1000 / 16)."""

_GRIDS = (19, 10, 5, 3, 2, 1)
_SCALE_MIN, _SCALE_MAX = 0.2, 0.95
_RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
_FIRST_SHAPES = ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))

_NMS_IOU = 0.6
_DETECTIONS_MAX = 100
_CANDIDATES_MAX = 1000
"""Before suppression, which compares each with each: a network gone wrong must not take all memory."""


def ssdlite_anchors() -> Floats:
    """SSDLite-MobileNetV2's anchors at 300 x 300: float32 (1917, 4), y and x of the centre, height, width; 0 to 1."""
    step = (_SCALE_MAX - _SCALE_MIN) / (len(_GRIDS) - 1)
    scales = [*(_SCALE_MIN + step * i for i in range(len(_GRIDS))), 1.0]
    shapes = [list(_FIRST_SHAPES)] + [
        [*((scales[i], ratio) for ratio in _RATIOS), (float(np.sqrt(scales[i] * scales[i + 1])), 1.0)]
        for i in range(1, len(_GRIDS))
    ]
    anchors = [
        (
            (row + 0.5) / grid,
            (column + 0.5) / grid,
            scale / np.sqrt(ratio),
            scale * np.sqrt(ratio),
        )
        for grid, cell in zip(_GRIDS, shapes, strict=True)
        for row in range(grid)
        for column in range(grid)
        for scale, ratio in cell
    ]
    return np.array(anchors, np.float32)


@dataclass(frozen=True)
class Decoder:
    """Turns a network's raw output into detections.

    Attributes:
        anchors: float32 (A, 4), y and x of the centre, height, width; 0 to 1.
        min_score: verdicts below are left out.
    """

    anchors: Floats
    min_score: float

    def decode(self, encodings: Floats, scores: Floats, size_px: int) -> list[Detections]:
        """Detections of each picture of a batch, in pixels of a square of ``size_px``.

        Args:
            encodings: float32 (N, A, 4): ty, tx, th, tw.
            scores: float32 (N, A, 91), 0 to 1; class 0 is the background.
        """
        return [self._decode_one(encodings[i], scores[i], size_px) for i in range(len(scores))]

    def _decode_one(self, encodings: Floats, scores: Floats, size_px: int) -> Detections:
        anchor, class_index = np.nonzero(scores[:, 1:] >= self.min_score)
        if len(anchor) > _CANDIDATES_MAX:
            best = np.argpartition(-scores[anchor, class_index + 1], _CANDIDATES_MAX)[:_CANDIDATES_MAX]
            anchor, class_index = anchor[best], class_index[best]
        boxes = np.clip(self._boxes(encodings[anchor], self.anchors[anchor]) * np.float32(size_px), 0, size_px)
        score = scores[anchor, class_index + 1].astype(np.float32)
        class_id = (class_index + 1).astype(np.int32)
        inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not beside the picture, and no NaN
        kept = nms(Detections(boxes[inside], score[inside], class_id[inside]), _NMS_IOU)
        return Detections(kept.xyxy[:_DETECTIONS_MAX], kept.score[:_DETECTIONS_MAX], kept.class_id[:_DETECTIONS_MAX])

    @staticmethod
    def _boxes(encodings: Floats, anchors: Floats) -> Boxes:
        center = encodings[:, :2] / _CENTER_SCALE * anchors[:, 2:] + anchors[:, :2]
        size = np.exp(np.minimum(encodings[:, 2:] / _SIZE_SCALE, _LOG_SIZE_MAX)) * anchors[:, 2:]
        low, high = center - size / 2, center + size / 2
        boxes: Boxes = np.stack([low[:, 1], low[:, 0], high[:, 1], high[:, 0]], axis=1)
        return boxes
