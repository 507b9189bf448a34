"""What flows between the parts of raycctv. Values only: no behaviour beyond what a value knows of itself.

Units are in the names: ``_ns`` UTC nanoseconds since 1970, ``_s`` seconds, ``_px`` pixels, ``_bytes``. Boxes are
``xyxy``: left, top, right, bottom; right and bottom are exclusive. A box in *source pixels* refers to the decoded
frame, whatever size anything was computed at.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any, Literal, NewType, Protocol, get_args

import numpy as np
import numpy.typing as npt

CameraName = NewType("CameraName", str)
Luma = npt.NDArray[np.uint8]
Rgb = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]

Watch = Callable[[str, float, float], None]
"""Is told what is under way, how much of it is done, and how much there is."""

NO_CAMERA = CameraName("*")
"""Stands for the camera in events that concern none; no camera can be named so."""

CAMERA_OFFLINE = "camera_offline"
RECORDING_GAP = "recording_gap"
DISK_LOW = "disk_low"
DETECTOR_OVERLOAD = "detector_overload"
SINK_BEHIND = "sink_behind"
HEALTH_KINDS = frozenset({CAMERA_OFFLINE, RECORDING_GAP, DISK_LOW, DETECTOR_OVERLOAD, SINK_BEHIND})
"""Kinds of events that say how raycctv and its cameras are, rather than what is seen."""

TEST = "test"
"""The kind of what ``raycctv notify test`` tells; no event is of it."""

Category = Literal["object", "motion", "health"]
CATEGORIES: tuple[Category, ...] = get_args(Category)


def category_of(kind: str) -> Category:
    """What the events of a kind are about: a label is an object's."""
    if kind in HEALTH_KINDS or kind == TEST:
        return "health"
    return "motion" if kind == "motion" else "object"


class Value(IntEnum):
    """What a segment is worth by the events that it shares time with, least first."""

    CONTINUOUS = 0
    MOTION = 1
    EVENT = 2


CROP_SIZE_PX = 300
"""Side of a detector crop: the input of SSDLite-MobileNetV2. Source: TF object detection zoo, ssdlite_mobilenet_v2_coco."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """When something came.

    Attributes:
        at_s: on the monotonic clock.
    """

    at_ns: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Packet:
    """One demuxed video packet.

    Attributes:
        seq: counts the packets of this connection from 0.
        pts: presentation time in units of ``time_base``, or None where the container gives none (AVI).
        dts: decoding time in the same units, or None.
        data: the coded bytes. Empty for the packet that flushes a decoder.
    """

    camera: CameraName
    seq: int
    pts: int | None
    dts: int | None
    time_base: Fraction
    is_keyframe: bool
    size_bytes: int
    received_at_ns: int
    data: bytes = field(repr=False)

    def seconds(self, ticks: int) -> float:
        """``ticks`` of the time base. As exact as a Fraction's, and a tenth of its cost, which counts once a packet."""
        return ticks * self.time_base.numerator / self.time_base.denominator


class ToRgb(Protocol):
    """Makes the uint8 (H, W, 3) RGB picture, or the part of it that is asked for: left, top, right, bottom in pixels.

    Costs a conversion at each call, the less the smaller what is made. With ``least_px`` the part may come halved, as often as
    its shorter side keeps so many pixels.
    """

    def __call__(self, part: tuple[int, int, int, int] | None = None, least_px: int | None = None) -> Rgb: ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture.

    Attributes:
        seq: counts the decoded frames of this connection from 0.
        captured_at_ns: when the camera took it, as well as the stream's own clock tells (see ``capture.timeline``).
        media_time_s: seconds from the first picture of the stream.
        luma: uint8 (H, W), full range 0 to 255 or video range 16 to 235 as the stream has it; a read-only view of
            the decoder's own plane where it can be.
        to_rgb: makes its RGB picture, or a part of it.
    """

    camera: CameraName
    seq: int
    captured_at_ns: int
    media_time_s: float
    luma: Luma = field(repr=False)
    to_rgb: ToRgb = field(repr=False)

    @property
    def width_px(self) -> int:
        return int(self.luma.shape[1])

    @property
    def height_px(self) -> int:
        return int(self.luma.shape[0])


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera shows, as a JPEG, and when it was taken."""

    jpeg: bytes = field(repr=False)
    captured_at_ns: int
    width_px: int
    height_px: int


@dataclass
class FrameCounts:
    """How many pictures a file held, how many of them were decoded, and how long they last up to the start of the last."""

    frames: int = 0
    decoded_frames: int = 0
    media_s: float = 0.0
    _first_s: float | None = None

    def take(self, packet: Packet) -> None:
        """Count one more packet."""
        self.frames += 1
        if packet.pts is not None:
            at_s = packet.seconds(packet.pts)
            self._first_s = at_s if self._first_s is None else self._first_s
            self.media_s = max(self.media_s, at_s - self._first_s)


class Stance(Enum):
    """How things stand in front of a camera, for whoever decides how much to decode.

    ``QUIET``: nothing moves. ``HELD``: what moves belongs to objects that are known and stand where they stood. ``FOLLOWED``:
    it belongs to known objects that go somewhere. ``UNCLEAR``: it may be the beginning of something.
    """

    QUIET = "quiet"
    HELD = "held"
    FOLLOWED = "followed"
    UNCLEAR = "unclear"


class Fallback(StrEnum):
    """Why every picture of a camera is decoded, whatever it shows.

    ``GOP``: its keyframes are too far apart. ``MISSES``: sizes of packets tell too little. ``LEARNING``: not known yet.
    """

    SETTINGS = "settings"
    CODEC = "codec"
    GOP = "gop"
    MISSES = "misses"
    LEARNING = "learning"


class Pressure(IntEnum):
    """How much time there is for decoding.

    ``BUSY``: the machine has better things to do than to decode everything. ``FULL``: it is about to have no time at all.
    ``BEHIND``: what is decoded is old already.
    """

    NONE = 0
    BUSY = 1
    FULL = 2
    BEHIND = 3


@dataclass(frozen=True, slots=True)
class MotionResult:
    """What moved in one frame.

    Attributes:
        score: changed fraction of the unmasked area, 0 to 1.
        boxes_xyxy: float32 (N, 4), source pixels; one box a moving region.
        lighting_change: the whole scene changed at once; ``boxes_xyxy`` is then empty.
    """

    score: float
    boxes_xyxy: Boxes
    lighting_change: bool


@dataclass(frozen=True, slots=True)
class CropTransform:
    """How a crop was cut: ``source = crop * scale + offset``, the same scale on both axes.

    Attributes:
        offset_x_px, offset_y_px: the crop's left upper corner in source pixels; negative where it hangs over the edge.
        scale: source pixels to one crop pixel.
    """

    offset_x_px: float
    offset_y_px: float
    scale: float

    def to_source(self, xyxy: Boxes) -> Boxes:
        """Boxes float32 (N, 4) in crop pixels, in source pixels."""
        offset = np.array([self.offset_x_px, self.offset_y_px] * 2, dtype=np.float32)
        return (xyxy * np.float32(self.scale) + offset).astype(np.float32, copy=False)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A square crop around something that moved, for the detector to name.

    Attributes:
        seq: the frame's ``seq``; the crops of one frame share it.
        image: uint8 (300, 300, 3) RGB.
    """

    camera: CameraName
    seq: int
    captured_at_ns: int
    image: Rgb = field(repr=False)
    transform: CropTransform


@dataclass(frozen=True, slots=True)
class Detections:
    """Named objects, best score first.

    Attributes:
        xyxy: float32 (N, 4), pixels of the picture that was asked about.
        score: float32 (N,), 0 to 1.
        class_id: int32 (N,), COCO category ids 1 to 90 (see ``detection.labels``).

    Raises:
        ValueError: the three do not agree in length or shape.
    """

    xyxy: Boxes
    score: npt.NDArray[np.float32]
    class_id: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        n = len(self.score)
        if self.xyxy.shape != (n, 4) or self.class_id.shape != (n,):
            raise ValueError(
                f"Detections: expected xyxy ({n}, 4) and class_id ({n},), got {self.xyxy.shape} and {self.class_id.shape}"
            )

    def __len__(self) -> int:
        return len(self.score)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as bytes: as three arrays an answer costs 0.15 ms more on its way through Ray. Unpickled it is read-only."""
        xyxy, score = np.asarray(self.xyxy, np.float32), np.asarray(self.score, np.float32)
        return _unpickled, (xyxy.tobytes(), score.tobytes(), np.asarray(self.class_id, np.int32).tobytes())

    @classmethod
    def empty(cls) -> "Detections":
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))


def _unpickled(xyxy: bytes, score: bytes, class_id: bytes) -> Detections:
    boxes = np.frombuffer(xyxy, np.float32).reshape(-1, 4)
    return Detections(boxes, np.frombuffer(score, np.float32), np.frombuffer(class_id, np.int32))


@dataclass(frozen=True, slots=True)
class Event:
    """One visit of one object, one stretch of motion that no object explains, or one time in which something was not well.

    Attributes:
        id: unique and sortable by time; the same in every later version of the event.
        camera: :data:`NO_CAMERA` where it concerns none.
        kind: the object's label (``person``, ``car``), ``motion``, or one of :data:`HEALTH_KINDS`; those have no labels, no
            box and no score.
        started_at_ns: when the object was first seen, which is before it was confirmed.
        ended_at_ns: None while it goes on.
        labels: best score of every label that the object was given.
        zones: zones of the camera that it was in, in order of entry.
        box: xyxy of the best view, source pixels.
        score: best score of ``kind``; for ``motion`` the largest changed fraction.
        model: the detector that named it, or None.
        snapshot: path of the JPEG relative to the log folder, or None.
        why: one line for a person: how many views, which scores, how much motion.
    """

    id: str
    camera: CameraName
    kind: str
    started_at_ns: int
    ended_at_ns: int | None
    labels: dict[str, float]
    zones: tuple[str, ...]
    box: tuple[int, int, int, int]
    score: float
    model: str | None
    snapshot: str | None
    why: str


SegmentState = Literal["closed", "deleting"]


@dataclass(frozen=True, slots=True)
class Segment:
    """One closed file of footage.

    Attributes:
        path: relative to the recording root, with ``/``: ``<camera>/<YYYY-MM-DD>/<camera>_<YYYYMMDDTHHMMSSZ>.mp4``.
        codec: as ffmpeg names it: ``h264``, ``hevc``.
    """

    camera: CameraName
    path: str
    started_at_ns: int
    duration_ns: int
    size_bytes: int
    codec: str
    width_px: int
    height_px: int

    @property
    def ended_at_ns(self) -> int:
        return self.started_at_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class Copy:
    """A second copy of a segment, which was read back and found whole.

    Attributes:
        path: of the segment, and of its copy below the target.
        sha256: of its bytes, in hexadecimal digits.
    """

    path: str
    size_bytes: int
    sha256: str
    copied_at_ns: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one camera's time, [from_ns, to_ns).

    Raises:
        ValueError: it is empty.
    """

    camera: CameraName
    from_ns: int
    to_ns: int

    def __post_init__(self) -> None:
        if self.to_ns <= self.from_ns:
            raise ValueError(f"a span must end after it begins, not {self.to_ns - self.from_ns} ns after")

    def meets(self, segment: Segment) -> bool:
        """Whether it shares time with a segment of its camera."""
        return self.camera == segment.camera and segment.started_at_ns < self.to_ns and segment.ended_at_ns > self.from_ns

    def within(self, other: "Span") -> bool:
        """Whether it lies in ``other``; the camera is not compared."""
        return other.from_ns <= self.from_ns and self.to_ns <= other.to_ns
