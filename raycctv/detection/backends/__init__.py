"""What runs a network. Every backend gives the same boxes; they differ in speed and in what they need."""

from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from raycctv.detection.models import verify
from raycctv.errors import DetectorError
from raycctv.types import Detections

BackendName = Literal["auto", "openvino", "torch"]
BACKENDS = ("torch", "openvino")

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
    """The installed ``model`` on ``backend``; ``auto`` is torch where it has an NVIDIA GPU, else OpenVINO.

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
    chosen = fastest() if backend == "auto" else backend
    if chosen == "openvino":
        from raycctv.detection.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(model, place, threads, min_score)
    if chosen == "torch":
        from raycctv.detection.backends.torch import TorchBackend

        return TorchBackend(model, place, threads, min_score)
    raise DetectorError(f"no backend is called {backend!r}; known are auto, {', '.join(BACKENDS)}")


def fastest(nvidia_device: Path = _NVIDIA_DEVICE) -> str:
    """The backend for this process. Torch is imported only where the device file of NVIDIA's driver exists."""
    if not nvidia_device.exists():
        return "openvino"
    import torch

    return "torch" if torch.cuda.is_available() else "openvino"
