"""The network in 8-bit integers, calibrated on pictures of one's own: half the time where a CPU has VNNI.

Source: NNCF's post-training quantisation, preset "mixed" with the slower, exact bias correction: the faster one and the preset
"performance" lose up to 4 points of AP of vehicles and animals when calibrated on people alone. What it makes is kept only if
it sees what the float32 network sees.
"""

import contextlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raycctv.detection.boxes import iou
from raycctv.detection.models import INT8_FILE, OPENVINO_FILE
from raycctv.errors import WeightsError
from raycctv.types import Detections

Images = npt.NDArray[np.uint8]

INT8_FILES = (INT8_FILE, INT8_FILE.replace(".xml", ".bin"))

PICTURES_MIN, PICTURES_MAX = 40, 120
"""Pictures to calibrate and to compare on. 120 take 15 s on one core, and more were not better."""

_HELD_BACK = 4
"""Every fourth picture is not calibrated on, but compared on."""

_SURE, _SAME_IOU = 0.5, 0.5
_AGREEMENT_MIN = 0.9
"""Share of what either network is sure of that the other must see too, if only at half that score."""


def quantise(model: str, place: Path, pictures: Images) -> float:
    """Write the model in the folder ``place`` there as 8-bit integers, too; returns how far both agree, 0 to 1.

    Args:
        pictures: uint8 (N, S, S, 3) RGB, what the detector will be asked about.

    Raises:
        WeightsError: there are too few pictures, or the result does not see what it should; it is not kept then.
    """
    from raycctv.detection.backends.openvino import OpenVinoBackend, OpenVinoInt8Backend

    if len(pictures) < PICTURES_MIN:
        raise WeightsError(
            f"{len(pictures)} pictures are too few to calibrate on; {PICTURES_MIN} are needed: name more footage"
        )
    pictures = pictures[np.linspace(0, len(pictures) - 1, min(len(pictures), PICTURES_MAX)).astype(int)]
    held_back = np.arange(len(pictures)) % _HELD_BACK == 0
    _write(place, pictures[~held_back])
    with OpenVinoBackend(model, place, 1, _SURE / 2) as whole, OpenVinoInt8Backend(model, place, 1, _SURE / 2) as integers:
        agreed = agreement(whole.infer(pictures[held_back]), integers.infer(pictures[held_back]))
    if agreed < _AGREEMENT_MIN:
        for file in INT8_FILES:
            (place / file).unlink()
        raise WeightsError(
            f"{model} in 8-bit integers agrees with float32 on {agreed:.0%} of what they see, less than {_AGREEMENT_MIN:.0%}; "
            "it is not kept"
        )
    return agreed


def agreement(expected: list[Detections], found: list[Detections]) -> float:
    """Share of what either is sure of that the other sees too: same class, half of the union, at least half the score."""
    sure = seen = 0
    for a, b in zip(expected, found, strict=True):
        for one, other in ((a, b), (b, a)):
            certain = one.score >= _SURE
            same = (iou(one.xyxy, other.xyxy) >= _SAME_IOU) & (one.class_id[:, None] == other.class_id[None, :])
            sure += int(np.count_nonzero(certain))
            seen += int(np.count_nonzero(certain & same.any(axis=1)))
    return seen / sure if sure else 0.0


def _write(place: Path, pictures: Images) -> None:
    import nncf
    import openvino

    network = openvino.Core().read_model(place / OPENVINO_FILE)
    network.reshape([1, *pictures.shape[1:]])
    with contextlib.redirect_stdout(io.StringIO()):
        made = nncf.quantize(
            network,
            nncf.Dataset([picture[None] for picture in pictures]),
            preset=nncf.QuantizationPreset.MIXED,
            fast_bias_correction=False,
            subset_size=len(pictures),
        )
    openvino.save_model(made, place / INT8_FILE, compress_to_fp16=False)
