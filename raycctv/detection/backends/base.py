"""What all backends share: pictures in, raw output of some network, detections out."""

from collections.abc import Callable
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
Run = Callable[[Images], tuple[Floats, Floats]]
"""From pictures that have the network's size to encodings float32 (N, A, 4) and scores (N, A, 91). May raise RuntimeError."""


class RawBackend:
    """Scales pictures to the network's input and decodes its output; see :class:`raycctv.detection.backends.Backend`.

    A subclass sets ``name`` and, in :meth:`_load`, makes what runs the network.
    """

    name = ""
    device = "cpu"

    def __init__(self, model: str, place: Path, threads: int, min_score: float) -> None:
        self.model = model
        self.input_size_px = known(model).input_size_px
        self._decoder = Decoder(np.load(place / ANCHORS_FILE), min_score)
        try:
            self._run: Run | None = self._load(place, threads)
        except RuntimeError as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def infer(self, images: Images) -> list[Detections]:
        if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3 or images.dtype != np.uint8:
            raise DetectorError(f"expected square RGB pictures uint8 (N, S, S, 3), got {images.dtype} {images.shape}")
        run = self._run
        if run is None:
            raise DetectorError(f"{self.model} on {self.name} is closed; open it anew")
        if len(images) == 0:
            return []
        try:
            encodings, scores = run(self._fitted(images))
        except RuntimeError as error:
            raise self._failed(error) from error
        return self._decoder.decode(encodings, scores, size_px=images.shape[1])

    def close(self) -> None:
        self._run = None

    def _load(self, place: Path, threads: int) -> Run:
        """The network in the folder ``place``, ready to run. May raise RuntimeError."""
        raise NotImplementedError

    def _failed(self, error: RuntimeError) -> DetectorError:
        return DetectorError(f"{self.name} cannot run {self.model}: {(str(error).splitlines() or ['no reason given'])[0]}")

    def _fitted(self, images: Images) -> Images:
        size = (self.input_size_px, self.input_size_px)
        if images.shape[1:3] == size:
            return images
        return np.stack([np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8) for image in images])
