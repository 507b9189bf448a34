"""What runs a network. They differ in speed, in what they need, and the last two of OpenVINO's a little in what they say."""

import importlib
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from raycctv.detection.backends.choice import choose
from raycctv.detection.models import INT8_FILE, ONNX_FILE, verify
from raycctv.errors import DetectorError
from raycctv.types import Detections

BackendName = Literal["auto", "openvino", "openvino-bf16", "openvino-int8", "onnxruntime", "torch", "torch-compiled"]

_CLASSES = {
    "torch": ("torch", "TorchBackend"),
    "torch-compiled": ("torch", "CompiledTorchBackend"),
    "openvino": ("openvino", "OpenVinoBackend"),
    "openvino-bf16": ("openvino", "OpenVinoBfloat16Backend"),
    "openvino-int8": ("openvino", "OpenVinoInt8Backend"),
    "onnxruntime": ("onnxruntime", "OnnxRuntimeBackend"),
}
BACKENDS = tuple(_CLASSES)

_FILES = {"openvino-int8": (INT8_FILE, "raycctv models quantise"), "onnxruntime": (ONNX_FILE, "raycctv models install --force")}
"""What not every installed model has, and the command that makes it."""

_NVIDIA_DEVICE = Path("/dev/nvidiactl")
"""There exactly where NVIDIA's driver is loaded. Asking torch takes 3 s and 510 MB, so it is asked only then."""


class Backend(Protocol):
    """A network that is ready to run. Not thread-safe: one call at a time.

    Attributes:
        model: its name.
        name: of the backend.
        device: ``cpu`` or ``cuda``.
        input_size_px: pictures of another size are scaled to this.
    """

    model: str
    name: str
    device: str
    input_size_px: int

    def infer(self, images: npt.NDArray[np.uint8]) -> list[Detections]:
        """What is on each of ``images`` (uint8 (N, S, S, 3) RGB), in their pixels, best score first.

        Raises:
            DetectorError: these are no such pictures, the network cannot run, or the backend is closed.
        """
        ...

    def close(self) -> None:
        """Free what it holds; it cannot infer any more. Idempotent."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_backend(
    model: str, backend: str = "auto", *, threads: int = 1, min_score: float = 0.3, models_dir: Path | None = None
) -> Backend:
    """The installed ``model`` on ``backend``; ``auto`` is the one that was measured to be the fastest on this machine.

    Reads every file once to see that none has changed (0.07 s): a flipped bit in a weight would not show otherwise.

    Args:
        threads: CPU threads of one call.
        min_score: verdicts below are left out.

    Raises:
        WeightsMissing, WeightsCorrupt: the model is not installed, or damaged.
        DetectorError: no such model or backend.
    """
    return load_backend(model, backend, verify(model, models_dir), threads=threads, min_score=min_score)


def load_backend(model: str, backend: str, place: Path, *, threads: int, min_score: float) -> Backend:
    """As :func:`open_backend`, for the model in the folder ``place``, whose files are taken as they are."""
    if backend == "auto":

        def opened(name: str) -> Backend:
            return load_backend(model, name, place, threads=threads, min_score=min_score)

        backend = choose(place, candidates(place), threads, opened)
    if backend not in _CLASSES:
        raise DetectorError(f"no backend is called {backend!r}; known are auto, {', '.join(BACKENDS)}")
    file, command = _FILES.get(backend, ("", ""))
    if not (place / file).exists():
        raise DetectorError(f"{backend} cannot run {model}: {place / file} is missing; make it with: {command}")
    module, name = _CLASSES[backend]
    loaded: Backend = getattr(importlib.import_module(f"raycctv.detection.backends.{module}"), name)(
        model, place, threads, min_score
    )
    return loaded


def candidates(place: Path, nvidia_device: Path = _NVIDIA_DEVICE) -> list[str]:
    """Backends that may be the fastest for the model in the folder ``place``.

    Torch on a CPU never is, and takes 3 s and 510 MB to try, so it is one only where it has a GPU.
    """
    from raycctv.detection.backends.openvino import has_bfloat16

    names = ["openvino"]
    names += ["openvino-bf16"] if has_bfloat16() else []
    names += [name for name, (file, _) in _FILES.items() if (place / file).exists()]
    if nvidia_device.exists():
        import torch

        names += ["torch"] if torch.cuda.is_available() else []
    return names
