"""One contract over every backend."""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
import torch

from raycctv.detection.backends import BACKENDS, Backend, candidates, load_backend, open_backend
from raycctv.detection.backends.choice import MEMORY, choose
from raycctv.detection.backends.torch import filled
from raycctv.detection.boxes import iou, letterbox
from raycctv.detection.labels import CLASS_IDS, LABELS
from raycctv.detection.models import ANCHORS_FILE, INT8_FILE, MANIFEST, ONNX_FILE, OPENVINO_FILE, TORCH_FILE
from raycctv.errors import DetectorError, WeightsCorrupt, WeightsMissing
from raycctv.types import Detections

MODEL = "ssdlite_mobilenet_v2"


QUICK = [name for name in BACKENDS if name != "torch-compiled"]
"""Compiling takes half a minute, so that one is slow."""


@pytest.fixture(scope="module", params=[*QUICK, pytest.param("torch-compiled", marks=pytest.mark.slow)])
def backend(request: pytest.FixtureRequest, weights: Path) -> Iterator[Backend]:
    if request.param == "openvino-int8" and not (weights / INT8_FILE).exists():
        pytest.skip("no 8-bit integers here; `raycctv models quantise` makes them")
    with open_backend(MODEL, request.param, threads=2) as opened:
        yield opened


def picture(name: str, size_px: int = 300) -> npt.NDArray[np.uint8]:
    square, _ = letterbox(np.ascontiguousarray(getattr(skimage.data, name)()[..., :3]), size_px)
    return square


@pytest.mark.parametrize(("name", "label"), [("astronaut", "person"), ("chelsea", "cat"), ("coffee", "cup")])
def test_backend_names_what_is_on_a_picture(backend: Backend, name: str, label: str) -> None:
    (found,) = backend.infer(picture(name)[None])
    assert LABELS[int(found.class_id[0])] == label
    assert found.score[0] > 0.5


def test_backend_answers_each_picture_of_a_batch_as_alone(backend: Backend) -> None:
    pictures = np.stack([picture(name) for name in ("astronaut", "chelsea", "coffee")])
    together = backend.infer(pictures)
    for alone, found in zip([backend.infer(one[None])[0] for one in pictures], together, strict=True):
        assert np.allclose(alone.xyxy, found.xyxy, atol=0.5)
        assert np.allclose(alone.score, found.score, atol=1e-3)


def test_backend_gives_boxes_in_the_pixels_of_the_picture_it_was_given(backend: Backend) -> None:
    small, large = backend.infer(picture("chelsea", 300)[None])[0], backend.infer(picture("chelsea", 450)[None])[0]
    assert iou(small.xyxy[:1] * 1.5, large.xyxy[:1])[0, 0] > 0.9


def test_backend_of_no_pictures_says_nothing(backend: Backend) -> None:
    assert backend.infer(np.zeros((0, 300, 300, 3), np.uint8)) == []


@pytest.mark.parametrize("shape", [(300, 300, 3), (1, 300, 200, 3), (1, 3, 300, 300)])
def test_backend_refuses_what_is_no_picture(backend: Backend, shape: tuple[int, ...]) -> None:
    with pytest.raises(DetectorError, match=r"expected square RGB pictures uint8 \(N, S, S, 3\)"):
        backend.infer(np.zeros(shape, np.uint8))


def test_backend_refuses_floats(backend: Backend) -> None:
    with pytest.raises(DetectorError, match="float64"):
        backend.infer(np.zeros((1, 300, 300, 3)))  # type: ignore[arg-type]  # what the test is about


@pytest.mark.parametrize("name", ["torch", "openvino", "onnxruntime"])
def test_backend_that_is_closed_says_so(name: str, weights: Path) -> None:
    opened = open_backend(MODEL, name)
    opened.close()
    opened.close()
    with pytest.raises(DetectorError, match=f"{MODEL} on {name} is closed"):
        opened.infer(np.zeros((1, 300, 300, 3), np.uint8))


@pytest.mark.parametrize("name", BACKENDS)
def test_backend_says_that_it_cannot_run_a_network(name: str, weights: Path, tmp_path: Path) -> None:
    (tmp_path / ANCHORS_FILE).write_bytes((weights / ANCHORS_FILE).read_bytes())
    for file in (OPENVINO_FILE, INT8_FILE, ONNX_FILE):
        (tmp_path / file).write_text("<net/>")
    torch.save({}, tmp_path / TORCH_FILE)
    with pytest.raises(DetectorError, match=f"^{name} cannot run {MODEL}: [^\n]+$"):
        load_backend(MODEL, name, tmp_path, threads=1, min_score=0.3)


def test_open_backend_sees_a_flipped_bit_in_a_weight(weights: Path, tmp_path: Path) -> None:
    place = tmp_path / MODEL
    shutil.copytree(weights, place)
    with (place / "openvino.bin").open("r+b") as file:
        file.seek(1_000_000)
        (byte,) = file.read(1)
        file.seek(1_000_000)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(WeightsCorrupt, match=r"openvino\.bin has changed"):
        open_backend(MODEL, "openvino", models_dir=tmp_path)


def test_candidates_are_what_the_model_and_the_machine_have(tmp_path: Path) -> None:
    assert candidates(tmp_path, nvidia_device=tmp_path / "absent")[0] == "openvino"
    assert not {"openvino-int8", "onnxruntime"} & set(candidates(tmp_path, nvidia_device=tmp_path / "absent"))
    (tmp_path / ONNX_FILE).touch()
    assert "onnxruntime" in candidates(tmp_path, nvidia_device=tmp_path / "absent")
    assert ("torch" in candidates(tmp_path, nvidia_device=tmp_path)) == torch.cuda.is_available()


class Paced:
    """A backend that takes so long for a batch, and counts how often it was asked to."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.asked = 0

    def infer(self, images: npt.NDArray[np.uint8]) -> list[Detections]:
        self.asked += 1
        time.sleep(self._seconds)
        return [Detections.empty()] * len(images)

    def __enter__(self) -> "Paced":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


def test_auto_is_the_fastest_as_measured_and_is_remembered(tmp_path: Path) -> None:
    place = tmp_path / MODEL
    place.mkdir()
    (place / MANIFEST).write_text("{}")
    paced = {"slow": Paced(0.1), "quick": Paced(0.001)}

    def opened(name: str) -> Paced:
        if name == "broken":
            raise DetectorError("not here")
        return paced[name]

    assert choose(place, ["slow", "quick", "broken"], 1, opened, cpu="a") == "quick"
    measured = paced["quick"].asked
    assert choose(place, ["slow", "quick", "broken"], 1, opened, cpu="a") == "quick"
    assert paced["quick"].asked == measured
    assert choose(place, ["slow", "quick", "broken"], 1, opened, cpu="another") == "quick"
    assert paced["quick"].asked == 2 * measured
    (tmp_path / MEMORY).write_text("{")
    assert choose(place, ["slow"], 1, opened, cpu="a") == "slow"
    with pytest.raises(DetectorError, match="none of the backends broken can run"):
        choose(place, ["broken"], 1, opened, cpu="a")


def test_gpu_batches_are_filled_up_to_the_next_size() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    assert filled(images, (1, 2, 4, 8)).shape == (4, 4, 4, 3)
    assert np.array_equal(filled(images, (1, 2, 4, 8))[:3], images)
    assert filled(images[:2], (1, 2, 4, 8)).shape == (2, 4, 4, 3)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", pytest.param("torch-compiled", marks=pytest.mark.slow)])
def test_backends_in_float32_agree(name: str, weights: Path) -> None:
    with open_backend(MODEL, "torch", threads=2) as one, open_backend(MODEL, name, threads=2) as other:
        for name in ("astronaut", "chelsea", "coffee", "rocket", "cat"):
            expected, found = one.infer(picture(name)[None])[0], other.infer(picture(name)[None])[0]
            assert found.class_id.tolist() == expected.class_id.tolist()
            assert np.allclose(found.xyxy, expected.xyxy, atol=0.5)
            assert np.allclose(found.score, expected.score, atol=2e-3)


def test_openvino_process_does_not_import_torch(weights: Path) -> None:
    backend = "openvino" if Path("/dev/nvidiactl").exists() else "auto"
    code = (
        "import sys, numpy as np; from raycctv.detection.backends import open_backend;"
        f"open_backend({MODEL!r}, {backend!r}).infer(np.zeros((1, 300, 300, 3), np.uint8));"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_open_backend_without_weights_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=f"raycctv models install {MODEL}"):
        open_backend(MODEL, "openvino", models_dir=tmp_path)


def test_open_backend_names_what_it_knows(weights: Path) -> None:
    with pytest.raises(DetectorError, match=r"no model is called 'yolo'.*ssdlite_mobilenet_v2"):
        open_backend("yolo")
    with pytest.raises(DetectorError, match=r"no backend is called 'tpu'.*openvino"):
        open_backend(MODEL, "tpu")


def test_labels_are_cocos() -> None:
    assert len(LABELS) == 80
    assert (CLASS_IDS["person"], CLASS_IDS["cat"], CLASS_IDS["toothbrush"]) == (1, 17, 90)


def test_openvino_tells_nobody_that_it_runs() -> None:
    code = "import raycctv.detection.backends.openvino, nncf, sys; print(sys.modules['openvino_telemetry'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
