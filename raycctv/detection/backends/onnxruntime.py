"""ONNX Runtime on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
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
        with _its_errors():
            session = onnxruntime.InferenceSession(place / ONNX_FILE, options, providers=["CPUExecutionProvider"])
        (pictures,) = session.get_inputs()

        def run(images: Images) -> tuple[Floats, Floats]:
            with _its_errors():
                said = [session.run(None, {pictures.name: image[None]}) for image in images]
            encodings, scores = zip(*said, strict=True)
            return np.concatenate(encodings), np.concatenate(scores)

        return run


@contextmanager
def _its_errors() -> Iterator[None]:
    """ONNX Runtime's errors share no base but Exception; here they become RuntimeError."""
    try:
        yield
    except Exception as error:
        raise RuntimeError(str(error)) from error
