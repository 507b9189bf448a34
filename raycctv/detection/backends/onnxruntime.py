"""ONNX Runtime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from raycctv.detection.backends.base import Floats, Images, RawBackend, Run
from raycctv.detection.models import ONNX_FILE


class OnnxRuntimeBackend(RawBackend):
    """Runs the exported network one picture at a time."""

    name = "onnxruntime"

    def _load(self, place: Path, threads: int) -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(place / ONNX_FILE, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no other base
            raise RuntimeError(str(error)) from error
        (pictures,) = session.get_inputs()

        def run(images: Images) -> tuple[Floats, Floats]:
            encodings, scores = zip(*(session.run(None, {pictures.name: image[None]}) for image in images), strict=True)
            return np.concatenate(encodings), np.concatenate(scores)

        return run
