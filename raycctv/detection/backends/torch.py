"""torch, on the CPU or on an NVIDIA GPU."""

from pathlib import Path

import numpy as np
import torch

from raycctv.detection.backends.base import Floats, Images, RawBackend, Run
from raycctv.detection.models import TORCH_FILE
from raycctv.detection.ssdlite import SsdLite

GPU_BATCHES = (1, 2, 4, 8, 16, 32)
"""Sizes that a GPU is given: each is compiled, and its CUDA graph recorded, once. Others are filled up with grey pictures."""


class TorchBackend(RawBackend):
    """Runs the torch network: on a GPU in half precision and whole batches, on a CPU one picture at a time.

    Measured on one core: batches of 8 take longer a picture than one at a time.
    """

    name = "torch"
    _compiled = False

    def _load(self, place: Path, threads: int) -> Run:
        self.device = device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            torch.set_num_threads(threads)
        network = _network(self.model)
        network.load_state_dict(torch.load(place / TORCH_FILE, map_location="cpu", weights_only=True))
        precision = torch.float16 if device == "cuda" else torch.float32
        network.eval().to(device=device, dtype=precision).to(memory_format=torch.channels_last)
        if self._compiled:
            network.compile(mode="reduce-overhead" if device == "cuda" else "default")
        sizes = GPU_BATCHES if device == "cuda" else (1,)

        def run(images: Images) -> tuple[Floats, Floats]:
            encodings, scores = [], []
            with torch.inference_mode():
                for first in range(0, len(images), sizes[-1]):
                    part = images[first : first + sizes[-1]]
                    found = network(torch.from_numpy(filled(part, sizes)).to(device, non_blocking=True))
                    encodings.append(found[0][: len(part)].cpu().numpy())
                    scores.append(found[1][: len(part)].cpu().numpy())
            return np.concatenate(encodings), np.concatenate(scores)

        return run


class CompiledTorchBackend(TorchBackend):
    """As :class:`TorchBackend`, compiled by ``torch.compile`` at the first of each batch size; on a GPU with CUDA graphs.

    Compiling takes half a minute on a CPU and needs a C++ compiler.
    """

    name = "torch-compiled"
    _compiled = True


def filled(images: Images, sizes: tuple[int, ...]) -> Images:
    """``images``, at most the largest of ``sizes``, filled up with grey pictures to the smallest of them that holds all."""
    size = next(size for size in sizes if size >= len(images))
    grey = np.full((size - len(images), *images.shape[1:]), 128, np.uint8)
    return np.concatenate([images, grey]) if len(grey) else np.ascontiguousarray(images)


def _network(model: str) -> torch.nn.Module:
    if model == "ssdlite_mobilenet_v2":
        return SsdLite()
    from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite

    return TorchvisionSsdLite()
