"""OpenVINO on the CPU: two to five times as fast as torch there, in a process a third the size (170 to 200 MB)."""

from pathlib import Path

import numpy as np
import openvino

from raycctv.detection.backends.base import Floats, Images, RawBackend, Run
from raycctv.detection.models import INT8_FILE, OPENVINO_FILE


class OpenVinoBackend(RawBackend):
    """Runs the converted network one picture at a time: measured, batches are no faster on a CPU.

    In float32, so that every machine says the same: where a CPU has bfloat16 OpenVINO would take that by itself.
    """

    name = "openvino"
    _file = OPENVINO_FILE
    _precision = "f32"

    def _load(self, place: Path, threads: int) -> Run:
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": self._precision,
        }
        core = openvino.Core()
        network = core.read_model(place / self._file)
        network.reshape([1, self.input_size_px, self.input_size_px, 3])
        request = core.compile_model(network, "CPU", settings).create_infer_request()

        def run(images: Images) -> tuple[Floats, Floats]:
            outputs = [[np.array(output) for output in request.infer([image[None]]).values()] for image in images]
            encodings, scores = zip(*outputs, strict=True)
            return np.concatenate(encodings), np.concatenate(scores)

        return run


class OpenVinoBfloat16Backend(OpenVinoBackend):
    """In bfloat16, which the CPU should have: scores differ by up to 0.08."""

    name = "openvino-bf16"
    _precision = "bf16"


class OpenVinoInt8Backend(OpenVinoBackend):
    """The network that :mod:`raycctv.detection.quantise` made: 8-bit integers, which pay where the CPU has VNNI."""

    name = "openvino-int8"
    _file = INT8_FILE


def has_bfloat16() -> bool:
    """Whether this CPU computes in bfloat16."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
