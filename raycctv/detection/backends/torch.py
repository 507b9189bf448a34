"""torch, on the CPU or on an NVIDIA GPU."""

from pathlib import Path

import numpy as np
import torch

from raycctv.detection.backends.base import Floats, Images, RawBackend, Run
from raycctv.detection.models import TORCH_FILE
from raycctv.detection.ssdlite import SsdLite


class TorchBackend(RawBackend):
    """Runs the torch network; in half precision on a GPU."""

    name = "torch"

    def _load(self, place: Path, threads: int) -> Run:
        self.device = device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            torch.set_num_threads(threads)
        network = _network(self.model)
        network.load_state_dict(torch.load(place / TORCH_FILE, map_location="cpu", weights_only=True))
        precision = torch.float16 if device == "cuda" else torch.float32
        network.eval().to(device=device, dtype=precision).to(memory_format=torch.channels_last)

        def run(images: Images) -> tuple[Floats, Floats]:
            with torch.inference_mode():
                encodings, scores = network(torch.from_numpy(np.ascontiguousarray(images)).to(device))
            return encodings.cpu().numpy(), scores.cpu().numpy()

        return run


def _network(model: str) -> torch.nn.Module:
    if model == "ssdlite_mobilenet_v2":
        return SsdLite()
    from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite

    return TorchvisionSsdLite()
