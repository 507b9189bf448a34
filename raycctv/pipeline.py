"""One camera from frames to events, without Ray: what the actors run, and the oracle that they are tested against.

:class:`Analysis` holds every decision and does no I/O. It says what the detector should be asked (:class:`Ask`) and takes
the verdicts when they come, so that the same code runs with a detector at hand (:func:`analyze_file`) and with one that
answers from another process.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import numpy.typing as npt

from raycctv.capture.adaptive import open_decoder
from raycctv.capture.packets import Stream, StreamInfo
from raycctv.capture.timeline import FileTimeline
from raycctv.clock import NS_PER_S, SystemClock
from raycctv.config import Camera, Config, Decode, StreamUrl
from raycctv.detection.boxes import merge
from raycctv.detection.labels import LABELS
from raycctv.detection.regions import Square, cut, plan_regions
from raycctv.events.machine import Change, EventMachine
from raycctv.events.tracker import Box, View, moving_share
from raycctv.motion.difference import MotionDetector
from raycctv.motion.gate import Gate, MotionEnded, MotionStarted
from raycctv.motion.zones import unmasked, zones_at
from raycctv.types import Boxes, CameraName, Candidate, Detections, Event, Frame, FrameCounts, MotionResult, Pressure, Stance

_HOLD_S = 1.0
"""Time between two looks at an object that is there while nothing moves."""

_MASK_HEIGHT_PX = 360


@dataclass(frozen=True, slots=True)
class Ask:
    """What the detector should say about one frame. Give it back with the verdicts.

    Attributes:
        moving_share: of the picture, 0 to 1.
    """

    frame: Frame
    candidates: list[Candidate]
    moving_xyxy: Boxes
    moving_share: float

    @property
    def images(self) -> npt.NDArray[np.uint8]:
        """uint8 (N, 300, 300, 3) RGB: the crops as one array, which is what travels."""
        return np.stack([candidate.image for candidate in self.candidates])


@dataclass(frozen=True, slots=True)
class Report:
    """An event's new state, with its best picture so far."""

    event: Event
    snapshot_jpeg: bytes | None


class _Snapshot:
    """The best view of an object so far. It is coded when it is asked for: views get better many times."""

    def __init__(self, frame: Frame, view: View) -> None:
        self.score = view.score
        self._frame: Frame | None = frame
        self._view = view
        self._jpeg = b""

    def jpeg(self) -> bytes:
        if self._frame is not None:
            self._jpeg = snapshot_jpeg(self._frame, self._view.box, f"{self._view.label} {self._view.score:.2f}")
            self._frame = None  # it holds a decoder's picture
        return self._jpeg


class Analysis:
    """Frames and verdicts in, questions and events out, for one connection of one camera.

    Verdicts must be given in the order of the asks. Not thread-safe.

    Args:
        frame_px: (width, height) of the frames, for masks and zones.
    """

    def __init__(self, name: CameraName, camera: Camera, config: Config, frame_px: tuple[int, int]) -> None:
        width, height = self._frame_px = frame_px
        self._config = config
        self._camera = camera
        mask_px = (max(1, round(width * _MASK_HEIGHT_PX / height)), _MASK_HEIGHT_PX)
        motion = config.motion.of(camera.motion)
        self.motion = MotionDetector(motion, unmasked(camera.masks.values(), *mask_px))
        self._gate = Gate(name, motion.start_frames, motion.stop_s)
        self._events = EventMachine(name, camera.objects, config.events, self._zones_at, config.detection.model)
        self._snapshots: dict[int, _Snapshot] = {}
        self._reports: list[Report] = []
        self._asked_ns: int | None = None
        self._seen_ns = 0
        self._moving_xyxy: Boxes = np.zeros((0, 4), np.float32)

    def frame(self, frame: Frame) -> Ask | None:
        """Look at one frame; returns what the detector should be asked about it, if anything."""
        self._pass_time(frame.captured_at_ns)
        motion = self.motion.update(frame)
        self._report(self._events.advance(self._seen_ns))
        self._follow_motion(motion, frame)
        if not self._due(frame.captured_at_ns):
            return None
        regions = self._regions(motion, frame)
        if not regions:
            return None
        self._asked_ns = frame.captured_at_ns
        return Ask(frame, cut(frame, regions), motion.boxes_xyxy, motion.score)

    def verdicts(self, ask: Ask, crops: Sequence[Detections]) -> None:
        """Take in what the detector said: one :class:`Detections` a crop, in crop pixels."""
        parts = [
            replace(found, xyxy=candidate.transform.to_source(found.xyxy))
            for candidate, found in zip(ask.candidates, crops, strict=True)
        ]
        found = merge(parts)
        found = replace(found, xyxy=np.clip(found.xyxy, 0, np.array(self._frame_px * 2, np.float32)))
        at_ns = ask.frame.captured_at_ns
        views = [self._view(at_ns, ask, found, i) for i in range(len(found))]
        observed = self._events.observe(at_ns, views)
        for key in observed.best:
            self._keep_snapshot(key, ask.frame, views)
        self._report(observed.changes)

    @property
    def frame_px(self) -> tuple[int, int]:
        """(width, height) of the frames."""
        return self._frame_px

    @property
    def stance(self) -> Stance:
        """How things stand after the frames and verdicts given so far."""
        if not self._gate.open and not self._gate.suspicious:
            return Stance.QUIET
        return self._events.stance(_boxes(self._moving_xyxy), self._seen_ns)

    def differs(self, frame: Frame) -> bool:
        """Whether anything moves in ``frame``, which was not given yet, that belongs to no known object.

        Another light counts too: it hides what moves, and only frame by frame can it be told from something large.
        """
        motion = self.motion.look(frame)
        if len(motion.boxes_xyxy) == 0:
            return motion.lighting_change
        return self._events.stance(_boxes(motion.boxes_xyxy), frame.captured_at_ns) is Stance.UNCLEAR

    def close(self) -> None:
        """The stream ended: so do motion and all events."""
        self._report(self._events.close())

    def reports(self) -> list[Report]:
        """What has happened since the last call, in order."""
        reports, self._reports = self._reports, []
        return reports

    def _pass_time(self, at_ns: int) -> None:
        unseen_ns = at_ns - self._seen_ns - round(_HOLD_S * NS_PER_S)
        if self._seen_ns and unseen_ns > 0:
            self._events.not_looked(unseen_ns)
        self._seen_ns = max(self._seen_ns, at_ns)

    def _follow_motion(self, motion: MotionResult, frame: Frame) -> None:
        boxes = self._moving_xyxy = motion.boxes_xyxy
        change = self._gate.update(len(boxes) > 0, frame.captured_at_ns)
        if isinstance(change, MotionStarted):
            self._events.motion_began(change.at_ns)
        elif isinstance(change, MotionEnded):
            self._report(self._events.motion_ended(change.at_ns))
        if self._gate.open and len(boxes):
            around = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
            self._report(self._events.motion_seen(frame.captured_at_ns, motion.score, around), frame)

    def _due(self, at_ns: int) -> bool:
        interval_s = 1.0 / self._config.detection.fps if self._gate.open else _HOLD_S
        return self._asked_ns is None or at_ns - self._asked_ns >= (interval_s - 1e-3) * NS_PER_S

    def _regions(self, motion: MotionResult, frame: Frame) -> list[Square]:
        moving = motion.boxes_xyxy if self._gate.open else motion.boxes_xyxy[:0]
        held = np.array(self._events.to_ask(frame.captured_at_ns, _boxes(motion.boxes_xyxy)), np.float32).reshape(-1, 4)
        boxes = np.concatenate([moving, self._inside(held)])
        return plan_regions(boxes, frame.width_px, frame.height_px, self._config.detection.crops_per_frame)

    def _inside(self, boxes: Boxes) -> Boxes:
        """The parts of ``boxes`` that lie in the picture; those that have left it fall out."""
        limit = np.array(self._frame_px * 2, np.float32)
        clipped = np.clip(boxes, 0, limit)
        return clipped[(clipped[:, 2] - clipped[:, 0] > 1) & (clipped[:, 3] - clipped[:, 1] > 1)]

    def _view(self, at_ns: int, ask: Ask, found: Detections, i: int) -> View:
        x0, y0, x1, y1 = (float(value) for value in found.xyxy[i])
        box = (x0, y0, x1, y1)
        moving = moving_share(box, ask.moving_xyxy)
        label, score = LABELS[int(found.class_id[i])], float(found.score[i])
        return View(at_ns, label, score, box, moving, len(ask.candidates), ask.moving_share)

    def _zones_at(self, box: Box) -> tuple[str, ...]:
        """An object stands where the middle of its lower edge is."""
        width, height = self._frame_px
        return zones_at(self._camera.zones, (box[0] + box[2]) / 2 / width, box[3] / height)

    def _keep_snapshot(self, key: int, frame: Frame, views: list[View]) -> None:
        if not self._config.events.snapshots:
            return
        view = self._events.best_view(key)
        kept = self._snapshots.get(key)
        if view in views and (kept is None or view.score > kept.score):
            self._snapshots[key] = _Snapshot(frame, view)

    def _report(self, changes: Sequence[Change], frame: Frame | None = None) -> None:
        for change in changes:
            jpeg = None
            if change.key is not None:
                kept = self._snapshots.get(change.key)
                jpeg = kept.jpeg() if kept else None
            elif frame is not None and self._config.events.snapshots:
                jpeg = snapshot_jpeg(frame, change.event.box, "motion")
            self._reports.append(Report(change.event, jpeg))
        for key in self._snapshots.keys() - self._events.keys():
            del self._snapshots[key]


def _boxes(xyxy: Boxes) -> list[Box]:
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in xyxy.tolist()]


def snapshot_jpeg(frame: Frame, box: tuple[float, float, float, float], caption: str) -> bytes:
    """The whole frame as a JPEG with ``box`` (xyxy, source pixels) and ``caption`` drawn on it."""
    picture = cv2.cvtColor(frame.to_rgb(), cv2.COLOR_RGB2BGR)
    x0, y0, x1, y1 = (round(value) for value in box)
    cv2.rectangle(picture, (x0, y0), (x1, y1), (40, 220, 255), 2)
    cv2.putText(picture, caption, (x0, max(14, y0 - 6)), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (40, 220, 255), 2, cv2.LINE_AA)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(jpeg)


class Detector(Protocol):
    """What :func:`analyze_file` needs of a backend."""

    def infer(self, images: npt.NDArray[np.uint8]) -> list[Detections]: ...


FrameObserver = Callable[[Frame, Analysis], None]


@dataclass(frozen=True, slots=True)
class Footage:
    """A video file, and the instant that its first frame is taken to have been captured at."""

    path: Path
    epoch_ns: int = 0


def analyze_file(
    name: CameraName,
    path: Path,
    camera: Camera,
    config: Config,
    detector: Detector,
    *,
    epoch_ns: int = 0,
    on_frame: FrameObserver | None = None,
    counts: FrameCounts | None = None,
) -> Iterator[Report]:
    """The events of a video file, as they come; every question is answered at once.

    Args:
        epoch_ns: the instant that the first frame is taken to have been captured at.
        on_frame: is shown every frame that was decoded, after it was analysed.
        counts: is kept up to date.

    Raises:
        StreamUnreachable, StreamUnreadable: no file, or no video in it.
        StreamEnded: it breaks off; the events until then have been yielded.
    """
    return analyze_footage(name, [Footage(path, epoch_ns)], camera, config, detector, on_frame=on_frame, counts=counts)


def analyze_footage(
    name: CameraName,
    footage: Iterable[Footage],
    camera: Camera,
    config: Config,
    detector: Detector,
    *,
    on_frame: FrameObserver | None = None,
    counts: FrameCounts | None = None,
) -> Iterator[Report]:
    """As :func:`analyze_file`, of files that follow one another: what goes on at the end of one goes on in the next.

    Where the size of the picture changes everything ends, as it does on a live camera.
    """
    counts = counts or FrameCounts()
    analysis: Analysis | None = None
    for file in footage:
        with Stream(name, StreamUrl.parse(f"file://{file.path.resolve()}"), SystemClock(), timeout_s=None) as stream:
            frame_px = stream.info.width_px, stream.info.height_px
            if analysis is None or analysis.frame_px != frame_px:
                yield from _closed(analysis)
                analysis = Analysis(name, camera, config, frame_px)
            for frame in _file_frames(name, stream, file.epoch_ns, analysis, config.decode, counts):
                ask = analysis.frame(frame)
                if ask is not None:
                    analysis.verdicts(ask, detector.infer(ask.images))
                if on_frame is not None:
                    on_frame(frame, analysis)
                yield from analysis.reports()
    yield from _closed(analysis)


def _closed(analysis: Analysis | None) -> Iterator[Report]:
    if analysis is not None:
        analysis.close()
        yield from analysis.reports()


def _file_frames(
    name: CameraName, stream: Stream, epoch_ns: int, analysis: Analysis, decode: Decode, counts: FrameCounts
) -> Iterator[Frame]:
    decoder = open_decoder(name, stream.info, FileTimeline(epoch_ns), analysis, decode, pressed=lambda: Pressure.NONE)
    before = counts.decoded_frames
    for packet in stream.packets():
        counts.take(packet)
        yield from decoder.decode(packet)
        counts.decoded_frames = before + decoder.decoded
    yield from decoder.flush()
    counts.decoded_frames = before + decoder.decoded


def probe(name: CameraName, url: StreamUrl, timeout_s: float = 10.0) -> StreamInfo:
    """What the stream at ``url`` holds.

    Raises:
        StreamUnreachable, StreamUnreadable: it cannot be used; says why.
    """
    with Stream(name, url, SystemClock(), timeout_s) as stream:
        return stream.info
