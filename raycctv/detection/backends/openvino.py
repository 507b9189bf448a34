"""OpenVINO on the CPU: four times as fast as torch there, in a process a quarter the size."""

from pathlib import Path

import numpy as np
import openvino

from raycctv.detection.backends.base import Floats, Images, RawBackend
from raycctv.detection.models import OPENVINO_FILE
from raycctv.errors import DetectorError


class OpenVinoBackend(RawBackend):
    """Runs the converted network one picture at a time: measured, batches are no faster on a CPU."""

    name = "openvino"

    def __init__(self, model: str, place: Path, threads: int, min_score: float) -> None:
        super().__init__(model, place, min_score)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        size = self.input_size_px
        try:
            core = openvino.Core()
            network = core.read_model(place / OPENVINO_FILE)
            network.reshape([1, size, size, 3])
            self._request = core.compile_model(network, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            raise DetectorError(f"OpenVINO cannot run {model}: {str(error).splitlines()[0]}") from error

    def _run(self, images: Images) -> tuple[Floats, Floats]:
        outputs = []
        for image in images:
            result = self._request.infer([image[None]])
            outputs.append((np.array(result[0]), np.array(result[1])))
        encodings, scores = zip(*outputs, strict=True)
        return np.concatenate(encodings), np.concatenate(scores)
