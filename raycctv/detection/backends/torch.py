"""torch, on the CPU or on an NVIDIA GPU."""

from pathlib import Path

import numpy as np
import torch

from raycctv.detection.backends.base import Floats, Images, RawBackend
from raycctv.detection.models import TORCH_FILE
from raycctv.detection.ssdlite import SsdLite


class TorchBackend(RawBackend):
    """Runs the torch network; in half precision on a GPU."""

    name = "torch"

    def __init__(self, model: str, place: Path, threads: int, min_score: float) -> None:
        super().__init__(model, place, min_score)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cpu":
            torch.set_num_threads(threads)
        network = _network(model)
        network.load_state_dict(torch.load(place / TORCH_FILE, map_location="cpu", weights_only=True))
        precision = torch.float16 if self.device == "cuda" else torch.float32
        self._network = network.eval().to(device=self.device, dtype=precision).to(memory_format=torch.channels_last)

    def _run(self, images: Images) -> tuple[Floats, Floats]:
        with torch.inference_mode():
            encodings, scores = self._network(torch.from_numpy(np.ascontiguousarray(images)).to(self.device))
        return encodings.cpu().numpy(), scores.cpu().numpy()


def _network(model: str) -> torch.nn.Module:
    if model == "ssdlite_mobilenet_v2":
        return SsdLite()
    from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite

    return TorchvisionSsdLite()
