"""What all backends share: pictures in, raw output of some network, detections out."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.detection.anchors import Decoder
from raycctv.detection.models import ANCHORS_FILE, known
from raycctv.errors import DetectorError
from raycctv.types import Detections

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class RawBackend(ABC):
    """Scales pictures to the network's input and decodes its output; see :class:`raycctv.detection.backends.Backend`."""

    name = ""
    device = "cpu"

    def __init__(self, model: str, place: Path, min_score: float) -> None:
        self.model = model
        self.input_size_px = known(model).input_size_px
        self._decoder = Decoder(np.load(place / ANCHORS_FILE), min_score)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def infer(self, images: Images) -> list[Detections]:
        if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3 or images.dtype != np.uint8:
            raise DetectorError(f"expected square RGB pictures uint8 (N, S, S, 3), got {images.dtype} {images.shape}")
        if len(images) == 0:
            return []
        size_px = images.shape[1]
        encodings, scores = self._run(self._fitted(images))
        return self._decoder.decode(encodings, scores, size_px)

    def close(self) -> None:  # noqa: B027 - most backends have nothing to free
        """Nothing to free, unless a backend says otherwise."""

    @abstractmethod
    def _run(self, images: Images) -> tuple[Floats, Floats]:
        """Encodings float32 (N, A, 4) and scores (N, A, 91) of pictures that have the network's size."""

    def _fitted(self, images: Images) -> Images:
        size = (self.input_size_px, self.input_size_px)
        if images.shape[1:3] == size:
            return images
        return np.stack([np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8) for image in images])
