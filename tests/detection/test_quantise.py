"""8-bit integers: made from pictures, compared with float32, kept only if they agree."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from raycctv.detection.models import INT8_FILE, MANIFEST, verify
from raycctv.detection.quantise import INT8_FILES, PICTURES_MIN, agreement
from raycctv.detection.weights import add_int8
from raycctv.errors import WeightsError
from raycctv.types import Boxes, Detections

MODEL = "ssdlite_mobilenet_v2"


def seen(*scores: float, at: float = 0.0, class_id: int = 1) -> Detections:
    """Boxes of 10 x 10 px side by side, ``at`` px from where others are."""
    boxes: Boxes = np.array([[20 * i + at, 0, 20 * i + at + 10, 10] for i in range(len(scores))], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(scores, np.float32), np.full(len(scores), class_id, np.int32))


def without_integers(weights: Path, folder: Path) -> Path:
    """The installed model, elsewhere, as it was before it had any."""
    place = folder / MODEL
    shutil.copytree(weights, place, ignore=shutil.ignore_patterns(*INT8_FILES))
    facts = json.loads((place / MANIFEST).read_text())
    facts["files"] = {name: entry for name, entry in facts["files"].items() if name not in INT8_FILES}
    (place / MANIFEST).write_text(json.dumps(facts))
    return place


def test_agreement_is_the_share_of_what_either_is_sure_of_that_both_see() -> None:
    assert agreement([seen(0.9, 0.8)], [seen(0.7, 0.3)]) == 1.0
    assert agreement([seen(0.9, 0.8)], [seen(0.9)]) == pytest.approx(2 / 3)
    assert agreement([seen(0.9)], [seen(0.9, at=8)]) == 0.0
    assert agreement([seen(0.9)], [seen(0.9, class_id=2)]) == 0.0
    assert agreement([seen(0.3)], [seen()]) == 0.0


def test_too_few_pictures_to_calibrate_on_are_an_error_and_change_nothing(weights: Path, tmp_path: Path) -> None:
    place = without_integers(weights, tmp_path)
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with pytest.raises(WeightsError, match=f"3 pictures are too few to calibrate on; {PICTURES_MIN} are needed"):
        add_int8(MODEL, np.zeros((3, 300, 300, 3), np.uint8), tmp_path, say=lambda _: None)
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before


@pytest.mark.slow
def test_integers_that_do_not_agree_are_not_kept(weights: Path, tmp_path: Path) -> None:
    """On grey pictures neither sees anything, so nothing shows that they agree."""
    place = without_integers(weights, tmp_path)
    with pytest.raises(WeightsError, match="agrees with float32 on 0%"):
        add_int8(MODEL, np.full((PICTURES_MIN, 300, 300, 3), 128, np.uint8), tmp_path, say=lambda _: None)
    assert not (place / INT8_FILE).exists()
    assert verify(MODEL, tmp_path) == place
