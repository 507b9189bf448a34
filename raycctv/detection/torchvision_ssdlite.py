"""torchvision's SSDLite320-MobileNetV3-Large, saying what it sees in the same form as the other network."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchvision
from torch import Tensor, nn

from raycctv.detection.models import file_sha256
from raycctv.errors import WeightsCorrupt, WeightsError

INPUT_SIZE_PX = 320

_PUBLISHED = torchvision.models.detection.SSDLite320_MobileNet_V3_Large_Weights.COCO_V1


def _sha256_prefix(url: str) -> str:
    """What a file's sha256 begins with, by its name. Source: ``torch.hub``: ``<name>-<prefix>.pth``."""
    return url.rpartition("-")[2].removesuffix(".pth")


class TorchvisionSsdLite(nn.Module):
    """torchvision's network without its post-processing.

    Args:
        state: its weights; None leaves them random, for tests of the code around them.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        super().__init__()
        ssd = torchvision.models.detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91)
        if state is not None:
            ssd.load_state_dict(state)
        self.backbone, self.head, self._anchor_generator = ssd.backbone, ssd.head, ssd.anchor_generator

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """From uint8 (N, 320, 320, 3) RGB to encodings float32 (N, A, 4) (ty, tx, th, tw) and scores (N, A, 91)."""
        x = pictures.permute(0, 3, 1, 2).to(next(self.parameters()).dtype) * (2 / 255) - 1
        heads = self.head(list(self.backbone(x).values()))
        tx, ty, tw, th = heads["bbox_regression"].float().unbind(-1)
        return torch.stack([ty, tx, th, tw], -1), torch.softmax(heads["cls_logits"].float(), -1)

    def anchors(self) -> npt.NDArray[np.float32]:
        """float32 (A, 4): y and x of the centre, height, width; 0 to 1."""
        picture = torch.zeros(1, 3, INPUT_SIZE_PX, INPUT_SIZE_PX)
        images = torchvision.models.detection.image_list.ImageList(picture, [(INPUT_SIZE_PX, INPUT_SIZE_PX)])
        with torch.inference_mode():
            boxes = self._anchor_generator(images, list(self.eval().backbone(picture).values()))[0].numpy() / INPUT_SIZE_PX
        low, high = boxes[:, :2], boxes[:, 2:]
        center, size = (low + high) / 2, high - low
        return np.ascontiguousarray(np.stack([center[:, 1], center[:, 0], size[:, 1], size[:, 0]], axis=1), np.float32)


def fetch_weights() -> dict[str, Any]:
    """The weights, from where torchvision publishes them.

    Raises:
        WeightsError: they cannot be fetched.
    """
    try:
        state: dict[str, Any] = _PUBLISHED.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        advice = f"fetch {_PUBLISHED.url} elsewhere and pass it with --from FILE"
        raise WeightsError(f"torchvision cannot fetch its weights ({' '.join(str(error).split())}); {advice}") from error
    return state


def read_weights(file: Path, sha256_prefix: str = _sha256_prefix(_PUBLISHED.url)) -> dict[str, Any]:
    """The weights, from a file that was fetched by other means.

    Raises:
        WeightsCorrupt: it is not the file whose sha256 begins with ``sha256_prefix``.
        OSError: it cannot be read.
    """
    digest = file_sha256(file)
    if not digest.startswith(sha256_prefix):
        begins = digest[: len(sha256_prefix)]
        raise WeightsCorrupt(f"{file} is not {_PUBLISHED.url}: its sha256 begins with {begins}, expected {sha256_prefix}")
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state
