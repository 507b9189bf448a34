"""How well does raycctv see? Motion against pixel truth, objects against boxes, events against visits, on real footage.

The footage lies beside the repository (--data), with its labels. Half of it is for tuning and the other half is reported:

- motion: cdnet_highway, frames 470 to 1084 for tuning, 1085 to 1700 reported; wavingtrees reported; beside OpenCV's MOG2 and
  KNN on colour (plain, and after a median of 5 x 5) and two-frame differencing. Shadows do not count as moving. CPU time is
  that of one thread, without decoding.
- pictures: coco_train128, every other one for tuning, whole, letterboxed to 300 x 300; AP at IoU 0.5 is pycocotools', the mean
  over the classes of a group; recall and precision are of what scores 0.3.
- scores: the same of what scores more, on the tuning half: the curve that thresholds are chosen on.
- people: vtest's, every other labelled frame for tuning, once through the regions that the pipeline asks about and once in one
  pass over the whole frame; as it is, people being 1/4 to 1/9 of the height, and in the middle of a wider view of 1920 x 1440,
  where they are 1/10 to 1/23.
- events: one-by-one's visits 1 to 3, tree, issue53 and wavingtrees without the man for tuning; visits 4 to 6, car-detection
  and the man of wavingtrees reported. A visit is told by an event that has half of its time in it, and is of its kind or of
  kind motion, which is what a thing is called that the network has no right name for; it is named by one of its kind. An event
  of no visit is false. The delay is from the visit's beginning to when the event is told.
- quiet: three hours in which there is nobody (``made/quiet_hours.py``), coded as a camera would and decoded again: any event is
  false. An empty campus, trees and a verge for tuning; a corridor, a car park, and trees and verge at another time reported.
"""

import argparse
import contextlib
import csv
import io
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from made import quiet_hours
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.progress import Progress

from raycctv.clock import NS_PER_S
from raycctv.config import Camera, Config, Decode, Motion, StreamUrl
from raycctv.detection.backends import Backend, open_backend
from raycctv.detection.boxes import letterbox, merge
from raycctv.detection.labels import CLASS_IDS
from raycctv.motion.difference import MotionDetector
from raycctv.pipeline import Analysis, analyze_file
from raycctv.simulate.scenes import encode
from raycctv.types import CameraName, Detections, Event, Frame, ToRgb

Image = npt.NDArray[np.uint8]
NAME = CameraName("clip")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TUNING, REPORTED = "tuning", "reported"
MIN_SCORE = 0.3
PARTS = ("motion", "pictures", "scores", "people", "events", "quiet")
SCORES = (0.3, 0.4, 0.5, 0.6, 0.7)
VTEST_PX = (768, 576)
WIDE_PX = (1920, 1440)
QUICK_QUIET = {("car park", "lamps"), ("trees", "as it is")}
SLACK_S = 1.0
"""By how much a label and an event may differ in time."""

GROUPS = {
    "person": ("person",),
    "vehicles": ("bicycle", "car", "motorcycle", "bus", "train", "truck", "boat", "airplane"),
    "animals": ("bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
}
KINDS = {"person": {"person"}, "vehicle": {"car", "truck", "bus", "motorcycle", "bicycle"}, "object": None}
"""Kinds of events that a visit of that kind may be; None is any."""


@dataclass(frozen=True)
class Row:
    """One line of the table; None is what does not apply.

    Attributes:
        cpu_ms: a frame.
        named: share of the visits of which an event says what it is; ``recall`` is of those of which there is any.
        false_per_hour: false events in an hour of footage.
        hours: of footage.
        delay_s: median.
    """

    part: str
    what: str
    half: str
    method: str
    recall: float | None = None
    precision: float | None = None
    f1: float | None = None
    ap50: float | None = None
    cpu_ms: float | None = None
    named: float | None = None
    false_per_hour: float | None = None
    delay_s: float | None = None
    hours: float | None = None


# --- motion


class Ours:
    """raycctv's motion detector, on luma."""

    def __init__(self) -> None:
        self._detector = MotionDetector(Motion())
        self._seen = 0

    def prepared(self, bgr: Image) -> Image:
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)

    def moving(self, luma: Image, fps: float) -> Image:
        at_s = self._seen / fps
        self._detector.update(Frame(NAME, self._seen, round(at_s * NS_PER_S), at_s, luma, always(luma)))
        self._seen += 1
        mask = self._detector.mask
        if mask is None:
            return np.zeros_like(luma)
        size = (luma.shape[1], luma.shape[0])
        return (
            mask if mask.shape == luma.shape else np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        )


class Subtractor:
    """One of OpenCV's, with its defaults, on colour; its shadows do not move."""

    def __init__(self, make: Callable[[], Any], median_px: int = 0) -> None:
        self._subtractor = make()
        self._median_px = median_px

    def prepared(self, bgr: Image) -> Image:
        return bgr

    def moving(self, bgr: Image, fps: float) -> Image:  # noqa: ARG002 - they count frames
        _, mask = cv2.threshold(self._subtractor.apply(bgr), 254, 255, cv2.THRESH_BINARY)
        return np.asarray(cv2.medianBlur(mask, self._median_px) if self._median_px else mask, np.uint8)


class TwoFrames:
    """The blurred difference of each frame to the one before, above 15 grey levels."""

    def __init__(self) -> None:
        self._before: Image | None = None

    def prepared(self, bgr: Image) -> Image:
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)

    def moving(self, luma: Image, fps: float) -> Image:  # noqa: ARG002 - it counts frames
        blurred = np.asarray(cv2.GaussianBlur(luma, (5, 5), 0), np.uint8)
        before, self._before = self._before, blurred
        return np.zeros_like(luma) if before is None else _above(cv2.absdiff(blurred, before), 15)


def _above(difference: Any, levels: int) -> Image:
    return np.asarray(cv2.threshold(difference, levels, 255, cv2.THRESH_BINARY)[1], np.uint8)


METHODS: dict[str, Callable[[], Any]] = {
    "raycctv": Ours,
    "MOG2": lambda: Subtractor(cv2.createBackgroundSubtractorMOG2),
    "MOG2, median 5": lambda: Subtractor(cv2.createBackgroundSubtractorMOG2, 5),
    "KNN": lambda: Subtractor(cv2.createBackgroundSubtractorKNN),
    "KNN, median 5": lambda: Subtractor(cv2.createBackgroundSubtractorKNN, 5),
    "two frames": TwoFrames,
}


@dataclass
class Pixels:
    """Counts of pixels that move or do not, and were or were not said to."""

    hit: int = 0
    false: int = 0
    missed: int = 0

    def take(self, mask: Image, moves: npt.NDArray[np.bool_], still: npt.NDArray[np.bool_]) -> None:
        said = mask > 0
        self.hit += int(np.count_nonzero(said & moves))
        self.false += int(np.count_nonzero(said & still))
        self.missed += int(np.count_nonzero(~said & moves))

    def row(self, what: str, half: str, method: str, cpu_ms: float) -> Row:
        recall, precision = self.hit / max(1, self.hit + self.missed), self.hit / max(1, self.hit + self.false)
        return Row("motion", what, half, method, recall, precision, f1(recall, precision), cpu_ms=cpu_ms)


def f1(recall: float, precision: float) -> float:
    return 2 * recall * precision / max(1e-9, recall + precision)


def read(path: Path, flags: int = cv2.IMREAD_COLOR) -> Image:
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise FileNotFoundError(path)
    return np.asarray(picture, np.uint8)


def highway(data: Path, method: str, last: int) -> list[Row]:
    """The motorway's frames up to ``last``, scored from 470 on, in two halves."""
    detector = METHODS[method]()
    halves = {TUNING: Pixels(), REPORTED: Pixels()}
    spent_s = 0.0
    for number in range(1, last + 1):
        picture = detector.prepared(read(data / f"cdnet_highway/input/in{number:06d}.jpg"))
        began_s = time.process_time()
        mask = detector.moving(picture, 25)
        spent_s += time.process_time() - began_s
        if number >= 470:
            truth = read(data / f"cdnet_highway/groundtruth/gt{number:06d}.png", cv2.IMREAD_GRAYSCALE)
            halves[TUNING if number < 1085 else REPORTED].take(mask, truth == 255, (truth == 0) | (truth == 50))
    rows = [pixels.row("highway", half, method, 1000 * spent_s / last) for half, pixels in halves.items()]
    return rows if last > 1085 else rows[:1]


def waving_trees(data: Path, method: str) -> Row:
    """Trees that sway; a man at frame 247."""
    detector, pixels = METHODS[method](), Pixels()
    spent_s = 0.0
    for number in range(287):
        picture = detector.prepared(read(data / f"wavingtrees/b{number:05d}.png"))
        began_s = time.process_time()
        mask = detector.moving(picture, 15)
        spent_s += time.process_time() - began_s
        if number == 247:
            truth = read(data / "wavingtrees/gt_b00247.png", cv2.IMREAD_GRAYSCALE) > 127
            pixels.take(mask, truth, ~truth)
    return pixels.row("waving trees", REPORTED, method, 1000 * spent_s / 287)


def motion_rows(data: Path, quick: bool) -> Iterator[Row]:
    for method in ("raycctv", "KNN, median 5") if quick else METHODS:
        yield from highway(data, method, 560 if quick else 1700)
        if not quick:
            yield waving_trees(data, method)


# --- objects


def evaluated(
    truth: dict[str, Any], found: list[dict[str, Any]], categories: Sequence[int], least: float = MIN_SCORE
) -> tuple[float, float, float]:
    """AP at IoU 0.5, recall and precision of what scores ``least``, as pycocotools counts; AP is the mean over categories."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        if not found:
            return 0.0, 0.0, 0.0
        ap50 = _cocoeval(coco, found, categories).eval["precision"][0, :, :, 0, 2]
        good = [one for one in found if one["score"] >= least]
        images = _cocoeval(coco, good, categories).evalImgs if good else []
    hits = said = there = 0
    for image in images:
        if image is not None and image["aRng"][0] == 0 and image["aRng"][1] >= 1e9:
            hits += int(np.count_nonzero(image["dtMatches"][0] * ~image["dtIgnore"][0].astype(bool)))
            said += int(np.count_nonzero(~image["dtIgnore"][0].astype(bool)))
            there += int(np.count_nonzero(np.array(image["gtIgnore"]) == 0))
    known = ap50[:, (ap50 > -1).any(axis=0)]
    return float(known.mean()) if known.size else 0.0, hits / max(1, there), hits / max(1, said)


def _cocoeval(coco: Any, found: list[dict[str, Any]], categories: Sequence[int]) -> Any:
    evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
    evaluation.params.catIds = list(categories)
    evaluation.params.iouThrs = np.array([0.5])
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def as_found(image_id: int, found: Detections) -> list[dict[str, Any]]:
    """Detections in COCO's result format: left, top, width, height."""
    return [
        {
            "image_id": image_id,
            "category_id": int(class_id),
            "score": float(score),
            "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
        }
        for box, score, class_id in zip(found.xyxy, found.score, found.class_id, strict=True)
    ]


def whole(detector: Backend, rgb: Image) -> Detections:
    """One pass over a whole picture."""
    square, transform = letterbox(rgb, 300)
    found = detector.infer(square[None])[0]
    return replace(found, xyxy=transform.to_source(found.xyxy))


def picture_rows(data: Path, backend: str, quick: bool, parts: Sequence[str]) -> Iterator[Row]:
    """The labelled pictures: every other one for tuning, the others reported; and how scores do on the former."""
    instances = json.loads((data / "coco_train128/instances.json").read_text())
    images = sorted(instances["images"], key=lambda image: str(image["file_name"]))[:: 4 if quick else 1]
    with open_backend("ssdlite_mobilenet_v2", backend, threads=1, min_score=0.01) as detector:
        name = detector.name
        found = {
            image["id"]: as_found(
                image["id"], whole(detector, read(data / "coco_train128/images" / image["file_name"])[..., ::-1].copy())
            )
            for image in images
        }
    for half, part in ((TUNING, images[0::2]), (REPORTED, images[1::2])):
        ids = {image["id"] for image in part}
        truth = {
            "info": {},
            "images": part,
            "categories": instances["categories"],
            "annotations": [one for one in instances["annotations"] if one["image_id"] in ids],
        }
        dets = [one for image_id in ids for one in found[image_id]]
        names = {category["id"]: category["name"] for category in instances["categories"]}
        for group, labels in {**GROUPS, "all classes": tuple(names.values())}.items():
            categories = [category for category, label in names.items() if label in labels]
            if "pictures" in parts:
                ap50, recall, precision = evaluated(truth, dets, categories)
                yield Row("pictures", group, half, f"whole picture, {name}", recall, precision, f1(recall, precision), ap50)
            for least in SCORES if "scores" in parts and half == TUNING and group in GROUPS else ():
                _, recall, precision = evaluated(truth, dets, categories, least)
                yield Row("scores", group, half, f"at least {least:.1f}, {name}", recall, precision, f1(recall, precision))


def vtest_rows(data: Path, backend: str, clip: Path) -> Iterator[Row]:
    """People, of all sizes and small ones alone, in each half of the labelled frames."""
    with (data / "labels/vtest_person_boxes.csv").open() as file:
        boxes = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    numbers = sorted({int(box["frame"]) for box in boxes})
    left, top = WIDE_PX[0] // 2 - VTEST_PX[0] // 2, WIDE_PX[1] // 2 - VTEST_PX[1] // 2
    afar = [{**box, "left": box["left"] + left, "top": box["top"] + top} for box in boxes]
    with open_backend("ssdlite_mobilenet_v2", backend, threads=1, min_score=0.01) as detector:
        near = _looked_at(frames(clip), VTEST_PX, detector, set(numbers))
        wide = _looked_at(in_a_wide_view(clip), WIDE_PX, detector, set(numbers))
    for half, part in ((TUNING, numbers[0::2]), (REPORTED, numbers[1::2])):
        for what, there, found in (("people, vtest", boxes, near), ("people, vtest in a wide view", afar, wide)):
            truth = _vtest_truth(there, part)
            for method, seen in found.items():
                said = [one for number in part for one in as_found(number, seen[number])]
                ap50, recall, precision = evaluated(truth, said, [CLASS_IDS["person"]])
                yield Row("people", what, half, f"{method}, {detector.name}", recall, precision, f1(recall, precision), ap50)


def _vtest_truth(boxes: list[dict[str, float]], numbers: Sequence[int]) -> dict[str, Any]:
    """COCO's form."""
    annotations = [
        {
            "id": number,
            "image_id": int(box["frame"]),
            "category_id": CLASS_IDS["person"],
            "bbox": [box["left"], box["top"], box["width"], box["height"]],
            "area": box["width"] * box["height"],
            "iscrowd": 0,
        }
        for number, box in enumerate((box for box in boxes if int(box["frame"]) in numbers), 1)
    ]
    images = [{"id": number, "width": WIDE_PX[0], "height": WIDE_PX[1]} for number in numbers]
    return {"info": {}, "images": images, "categories": [{"id": 1, "name": "person"}], "annotations": annotations}


def _looked_at(
    seen: Iterator[Frame], frame_px: tuple[int, int], detector: Backend, numbers: set[int]
) -> dict[str, dict[int, Detections]]:
    """What is found in the frames with these numbers (from 1), by method."""
    camera = Camera(source=StreamUrl.parse("file:///clip"))
    config = Config(cameras={NAME: camera})
    often = config.model_copy(update={"detection": config.detection.model_copy(update={"fps": 10.0})})
    analysis = Analysis(NAME, camera, often, frame_px)
    found: dict[str, dict[int, Detections]] = {"regions": {}, "whole frame": {}}
    for frame in seen:
        ask = analysis.frame(frame)
        said = detector.infer(ask.images) if ask else []
        parts = [
            replace(one, xyxy=c.transform.to_source(one.xyxy))
            for c, one in zip(ask.candidates if ask else [], said, strict=True)
        ]
        if ask:
            analysis.verdicts(ask, [_scoring(one, MIN_SCORE) for one in said])
        if frame.seq + 1 in numbers:
            found["regions"][frame.seq + 1] = merge(parts)
            found["whole frame"][frame.seq + 1] = whole(detector, frame.to_rgb())
        if frame.seq + 1 >= max(numbers):
            break
    return found


def _scoring(found: Detections, least: float) -> Detections:
    good = found.score >= least
    return Detections(found.xyxy[good], found.score[good], found.class_id[good])


def in_a_wide_view(clip: Path) -> Iterator[Frame]:
    """vtest as a camera sees it that shows 2.5 times as much each way: around it lies its own empty place, mirrored."""
    some = np.stack([frame.to_rgb() for frame in itertools.islice(frames(clip), 0, None, 40)])
    empty = np.median(some, axis=0).astype(np.uint8)
    left, top = WIDE_PX[0] // 2 - VTEST_PX[0] // 2, WIDE_PX[1] // 2 - VTEST_PX[1] // 2
    around = np.asarray(cv2.copyMakeBorder(empty, top, top, left, left, cv2.BORDER_REFLECT), np.uint8)
    for frame in frames(clip):
        rgb = around.copy()
        rgb[top : top + VTEST_PX[1], left : left + VTEST_PX[0]] = frame.to_rgb()
        luma = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        yield replace(frame, luma=luma, to_rgb=always(rgb))


def always(rgb: Image) -> ToRgb:
    """What shows a picture that is there, or a part of it."""

    def to_rgb(part: tuple[int, int, int, int] | None = None, least_px: int | None = None) -> Image:  # noqa: ARG001 - nothing is gained by less
        return rgb if part is None else rgb[part[1] : part[3], part[0] : part[2]]

    return to_rgb


def frames(clip: Path) -> Iterator[Frame]:
    """The frames of a clip at its own rate."""
    video = cv2.VideoCapture(str(clip))
    fps = video.get(cv2.CAP_PROP_FPS)
    for seq in itertools.count():
        there, bgr = video.read()
        if not there:
            return
        luma = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        rgb = np.ascontiguousarray(bgr[..., ::-1], np.uint8)
        yield Frame(NAME, seq, round(seq / fps * NS_PER_S), seq / fps, luma, always(rgb))


# --- events


@dataclass(frozen=True)
class Visit:
    """What is to be seen in a clip, in seconds of it; kind ``ignore`` may or may not be told."""

    start_s: float
    end_s: float
    kind: str


@dataclass(frozen=True)
class Told:
    """An event, and when it was first told."""

    start_s: float
    end_s: float
    kind: str
    told_s: float


@dataclass(frozen=True)
class Stretch:
    """A part of a clip that belongs to one half."""

    clip: str
    half: str
    start_s: float
    end_s: float


STRETCHES = (
    Stretch("one-by-one-person-detection.mp4", TUNING, 0, 72),
    Stretch("one-by-one-person-detection.mp4", REPORTED, 72, 139.4),
    Stretch("tree.avi", TUNING, 0, 29.6),
    Stretch("issue53_brightness_change.avi", TUNING, 0, 4.9),
    Stretch("car-detection.mp4", REPORTED, 0, 30),
    Stretch("wavingtrees", TUNING, 0, 16),
    Stretch("wavingtrees", REPORTED, 16, 19.1),
)
THE_MAN = ("wavingtrees", Visit(242 / 15, 287 / 15, "person"))
"""From frame 242 to the end. Source: README of the footage."""


def told(clip: Path, backend: str) -> list[Told]:
    """The events of a clip, decoding everything, in seconds of it."""
    camera = Camera(source=StreamUrl.parse("file:///clip"))
    config = Config(cameras={NAME: camera}, decode=Decode.model_validate({"mode": "all"}))
    events: dict[str, Event] = {}
    at: dict[str, float] = {}
    now_s = 0.0

    def on_frame(frame: Frame, _: Analysis) -> None:
        nonlocal now_s
        now_s = frame.media_time_s

    with open_backend(config.detection.model, backend, threads=1, min_score=config.detection.min_score) as detector:
        for report in analyze_file(NAME, clip, camera, config, detector, on_frame=on_frame):
            events[report.event.id] = report.event
            at.setdefault(report.event.id, now_s)
    return [
        Told(event.started_at_ns / NS_PER_S, (event.ended_at_ns or event.started_at_ns) / NS_PER_S, event.kind, at[key])
        for key, event in events.items()
    ]


def explains(event: Told, visit: Visit, *, named: bool = False) -> bool:
    """Whether the event may be of that visit, and, if asked for, says what it is."""
    kinds = KINDS.get(visit.kind)
    if kinds is not None and not named:
        kinds = kinds | {"motion"}
    shared_s = min(event.end_s, visit.end_s + SLACK_S) - max(event.start_s, visit.start_s - SLACK_S)
    return shared_s >= (event.end_s - event.start_s) / 2 and shared_s > 0 and (kinds is None or event.kind in kinds)


def event_row(stretch: Stretch, visits: Sequence[Visit], events: Sequence[Told]) -> tuple[Row, "EventCounts"]:
    """How the events of one stretch fit its visits."""
    ours = [event for event in events if stretch.start_s <= event.start_s < stretch.end_s]
    real = [visit for visit in visits if visit.kind != "ignore" and stretch.start_s <= visit.start_s < stretch.end_s]
    first = [min((event.told_s for event in ours if explains(event, visit)), default=None) for visit in real]
    false = [event for event in ours if not any(explains(event, visit) for visit in visits)]
    delays = [told_s - visit.start_s for visit, told_s in zip(real, first, strict=True) if told_s is not None]
    named = sum(any(explains(event, visit, named=True) for event in ours) for visit in real)
    counts = EventCounts(len(real), len(delays), named, len(ours), len(false), stretch.end_s - stretch.start_s, delays)
    return counts.row(stretch.clip, stretch.half), counts


@dataclass(frozen=True)
class EventCounts:
    """Visits, how many were told and how many named; events and how many were false; seconds of footage; delays."""

    visits: int
    found: int
    named: int
    events: int
    false: int
    seconds: float
    delays: list[float]
    part: str = "events"

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(
            self.visits + other.visits,
            self.found + other.found,
            self.named + other.named,
            self.events + other.events,
            self.false + other.false,
            self.seconds + other.seconds,
            self.delays + other.delays,
            self.part,
        )

    def row(self, what: str, half: str) -> Row:
        recall = self.found / self.visits if self.visits else None
        precision = (self.events - self.false) / self.events if self.events else None
        both = f1(recall, precision) if recall is not None and precision is not None else None
        delay_s = float(np.median(self.delays)) if self.delays else None
        hourly = self.false * 3600 / self.seconds
        named = self.named / self.visits if self.visits else None
        return Row(
            self.part, what, half, "raycctv", recall, precision, both, named=named, false_per_hour=hourly, delay_s=delay_s,
            hours=self.seconds / 3600,
        )  # fmt: skip


def event_rows(data: Path, backend: str, quick: bool) -> Iterator[Row]:
    with (data / "labels/events.csv").open() as file:
        labelled = [
            (row["clip"], Visit(float(row["start_s"]), float(row["end_s"]), row["kind"])) for row in csv.DictReader(file)
        ]
    stretches = [one for one in STRETCHES if not quick or one.clip == "car-detection.mp4"]
    sums: dict[str, EventCounts] = {}
    labelled.append(THE_MAN)
    with tempfile.TemporaryDirectory() as folder:
        cache: dict[str, list[Told]] = {}
        for stretch in stretches:
            clip = _swaying(data, Path(folder)) if stretch.clip == "wavingtrees" else data / "clips" / stretch.clip
            events = cache.setdefault(stretch.clip, []) or told(clip, backend)
            cache[stretch.clip] = events
            visits = [visit for name, visit in labelled if name == stretch.clip and visit.kind != "quiet"]
            row, counts = event_row(stretch, visits, events)
            sums[stretch.half] = sums[stretch.half] + counts if stretch.half in sums else counts
            yield row
    for half, counts in sums.items():
        yield counts.row("all", half)


def quiet_rows(data: Path, backend: str, minutes: float, quick: bool) -> Iterator[Row]:
    """Clips in which nobody is; each is made, looked at and thrown away, as many at a time as there are cores."""
    sums: dict[str, EventCounts] = {}
    every = quiet_hours.clips(minutes)
    chosen = [one for one in every if (one.place, one.weather) in QUICK_QUIET] if quick else every
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        for one, events in zip(chosen, pool.map(partial(told_of_quiet, data, backend), chosen), strict=True):
            counts = EventCounts(0, 0, 0, len(events), len(events), one.seconds, [], "quiet")
            sums[one.half] = sums[one.half] + counts if one.half in sums else counts
            yield counts.row(one.name, one.half)
    for half, counts in sums.items():
        yield counts.row("all", half)


def told_of_quiet(data: Path, backend: str, one: quiet_hours.Quiet) -> list[Told]:
    """The events of a clip that is made for this."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quiet.mp4"
        encode(one.pictures(data), path, fps=quiet_hours.FPS, gop=2 * quiet_hours.FPS)
        return told(path, backend)


def _swaying(data: Path, folder: Path) -> Path:
    """The 287 frames of wavingtrees, as a clip of 15 frames a second."""
    path = folder / "wavingtrees.mp4"
    encode((read(data / f"wavingtrees/b{number:05d}.png") for number in range(287)), path, fps=15, gop=30)
    return path


def measure(data: Path, parts: Sequence[str], backend: str, quick: bool, minutes: float) -> Iterator[Row]:
    cv2.setNumThreads(1)
    if "motion" in parts:
        yield from motion_rows(data, quick)
    if "pictures" in parts or "scores" in parts:
        yield from picture_rows(data, backend, quick, parts)
    if "people" in parts and not quick:
        yield from vtest_rows(data, backend, data / "clips/vtest.avi")
    if "events" in parts:
        yield from event_rows(data, backend, quick)
    if "quiet" in parts:
        yield from quiet_rows(data, backend, 0.5 if quick else minutes, quick)


def line(row: Row) -> str:
    cells = [row.part, row.what, row.half, row.method]
    for value, places in (
        (row.recall, 3),
        (row.precision, 3),
        (row.f1, 3),
        (row.ap50, 3),
        (row.cpu_ms, 2),
        (row.named, 3),
        (row.false_per_hour, 1),
        (row.delay_s, 1),
        (row.hours, 3),
    ):
        cells.append("" if value is None else f"{value:.{places}f}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the labelled footage")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be given several times")
    parser.add_argument("--backend", default="openvino", help="what runs the detector")
    parser.add_argument("--quick", action="store_true", help="a few frames, pictures and visits: what the tests look at")
    parser.add_argument("--minutes", type=float, default=3.5, help="of each clip of the quiet part")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        looking = measure(options.data, options.only or PARTS, options.backend, options.quick, options.minutes)
        rows = list(bar.track(looking, description="looking"))
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print("| part | what | half | method | recall | precision | F1 | AP50 | CPU ms | named | false/h | delay s | hours |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(line(row))


if __name__ == "__main__":
    main()
