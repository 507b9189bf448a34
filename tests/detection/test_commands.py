"""``raycctv detect`` and ``raycctv models``."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from typer.testing import CliRunner, Result

from raycctv.cli.main import app
from raycctv.detection.models import INT8_FILE, TORCH_FILE, verify

MODEL = "ssdlite_mobilenet_v2"
RAYCCTV = (sys.executable, "-c", "from raycctv.cli.main import main; main()")


def run(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def astronaut(tmp_path: Path) -> Path:
    return save("astronaut", tmp_path / "astronaut.png")


def save(name: str, path: Path) -> Path:
    """One of scikit-image's pictures."""
    rgb = getattr(skimage.data, name)()
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), np.ascontiguousarray(rgb[..., ::-1]))
    return path


def test_detect_names_objects_in_the_pixels_of_the_picture(weights: Path, astronaut: Path) -> None:
    chelsea = save("chelsea", astronaut.with_name("chelsea.jpg"))
    result = run("detect", astronaut, chelsea, "--json")
    assert result.exit_code == 0
    person, cat = rows(result)
    assert (person["image"], person["width"], person["height"]) == (str(astronaut), 512, 512)
    assert person["detections"][0]["label"] == "person"
    assert (cat["width"], cat["height"], cat["detections"][0]["label"]) == (451, 300, "cat")
    for row in (person, cat):
        x0, y0, x1, y1 = row["detections"][0]["box"]
        assert 0 <= x0 < x1 <= row["width"]
        assert 0 <= y0 < y1 <= row["height"]


def test_detect_goes_on_after_what_is_no_picture(weights: Path, astronaut: Path) -> None:
    folder = astronaut.parent
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.jpg").touch()
    (folder / "folder.jpg").mkdir()
    bad = [folder / name for name in ("text.jpg", "empty.jpg", "folder.jpg", "absent.jpg")]
    result = run("detect", *bad, astronaut, "--json")
    assert result.exit_code == 1
    assert [row["image"] for row in rows(result)] == [str(astronaut)]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert all(str(path) in line for path, line in zip(bad, errors, strict=True))


def test_detect_draws_on_copies_and_leaves_the_pictures_alone(weights: Path, astronaut: Path) -> None:
    namesake = astronaut.with_name("astronaut_detected.jpg")
    shutil.copyfile(astronaut, namesake)
    other = save("astronaut", astronaut.parent / "other" / "astronaut.png")
    before = {path: path.read_bytes() for path in (astronaut, namesake, other)}
    assert run("detect", *before, "--out", astronaut.parent).exit_code == 0
    assert {path: path.read_bytes() for path in before} == before
    drawn = sorted(path.name for path in astronaut.parent.glob("*_detected*") if path != namesake)
    assert drawn == ["astronaut_detected_2.jpg", "astronaut_detected_3.jpg", "astronaut_detected_detected.jpg"]
    copy = cv2.imread(str(astronaut.parent / drawn[0]))
    assert copy is not None
    assert copy.shape == (512, 512, 3)


def test_detect_into_what_is_no_folder_is_a_wrong_use(weights: Path, astronaut: Path) -> None:
    assert run("detect", astronaut, "--out", astronaut).exit_code == 2


def test_detect_prints_a_name_with_brackets(weights: Path, astronaut: Path) -> None:
    odd = astronaut.rename(astronaut.with_name("gate[red].png"))
    result = run("detect", odd)
    assert result.exit_code == 0
    assert "gate[red].png: 512 x 512, " in result.stdout.replace("\n", "")


def test_detect_writes_json_to_a_file_while_a_bar_runs_on_the_terminal(weights: Path, astronaut: Path) -> None:
    terminal, stderr = pty.openpty()
    command = [*RAYCCTV, "detect", str(astronaut), str(astronaut), "--json"]
    with astronaut.with_name("out.jsonl").open("w+b") as out:
        done = subprocess.run(command, stdout=out, stderr=stderr, check=False, timeout=60, env={**os.environ, "TERM": "xterm"})
        os.close(stderr)
        out.seek(0)
        assert [json.loads(line)["width"] for line in out] == [512, 512]
    assert done.returncode == 0
    assert b"detecting" in os.read(terminal, 65536)
    os.close(terminal)


def test_detect_without_weights_names_the_command(astronaut: Path, tmp_path: Path) -> None:
    command = [*RAYCCTV, "detect", str(astronaut)]
    environment = {**os.environ, "RAYCCTV_MODELS": str(tmp_path / "none"), "COLUMNS": "40"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    expected = f"the weights of {MODEL} are not installed; install them with: raycctv models install {MODEL}"
    assert done.stderr.splitlines() == [f"error: {expected}"]


def test_models_list_tells_installed_from_not(weights: Path) -> None:
    result = run("models", "list", "--json", "--verify")
    assert result.exit_code == 0
    first, second = json.loads(result.stdout)
    assert (first["model"], first["state"], first["path"], first["licence"]) == (MODEL, "installed", str(weights), "Apache-2.0")
    assert first["size_bytes"] > 30_000_000
    assert second["model"] == "ssdlite320_mobilenet_v3_large"


def test_models_list_sees_damage(weights: Path, tmp_path: Path) -> None:
    shutil.copytree(weights, tmp_path / MODEL)
    (tmp_path / MODEL / TORCH_FILE).write_bytes(b"")
    result = run("models", "list", "--json", RAYCCTV_MODELS=str(tmp_path))
    assert result.exit_code == 1
    damaged = json.loads(result.stdout)[0]
    assert (damaged["state"], damaged["path"]) == ("damaged", str(tmp_path / MODEL))
    assert "cut short" in damaged["problem"]


def test_models_list_names_the_labels() -> None:
    labels = json.loads(run("models", "list", "--labels", "--json").stdout)
    assert len(labels) == 80
    assert {"person", "car", "dog"} <= set(labels)


def test_models_quantise_of_what_is_no_file_is_a_wrong_use(tmp_path: Path) -> None:
    result = run("models", "quantise", tmp_path / "absent.mp4")
    assert result.exit_code == 2


def test_models_quantise_does_nothing_where_there_are_integers(weights: Path, tmp_path: Path) -> None:
    shutil.copytree(weights, tmp_path / MODEL)
    (tmp_path / MODEL / INT8_FILE).touch()
    result = run("models", "quantise", RAYCCTV_MODELS=str(tmp_path))
    assert result.exit_code == 0
    assert "has its 8-bit integers" in result.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("pedestrians")
def test_models_quantise_makes_integers_from_footage(weights: Path, tmp_path: Path) -> None:
    shutil.copytree(weights, tmp_path / MODEL)
    result = run("models", "quantise", "--force", RAYCCTV_MODELS=str(tmp_path))
    assert result.exit_code == 0
    assert float(re.search(r"agree with float32 on ([\d.]+)%", result.stdout)[1]) >= 90  # type: ignore[index]
    assert verify(MODEL, tmp_path) == tmp_path / MODEL


def test_models_install_from_what_is_no_file_is_a_wrong_use(tmp_path: Path) -> None:
    assert run("models", "install", "--from", tmp_path / "absent.tgz").exit_code == 2
