"""Which verdicts of successive frames are the same object. Pure: no I/O, and time is the frames' own."""

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from raycctv.clock import NS_PER_S
from raycctv.types import Boxes

Box = tuple[float, float, float, float]

_GROUPS = (
    ("bicycle", "motorcycle"),
    ("car", "truck", "bus", "train"),
    ("cat", "dog", "horse", "sheep", "cow", "bear"),
)
"""Labels that the detector takes for one another from frame to frame; a change inside a group is the same object."""

_IOU_MIN = 0.15
"""Overlap of a verdict with where the object should be now. Low, because 5 frames a second leave gaps."""

_REACH = 0.9
"""Without overlap: distance of the centres over the larger of the heights within which it may be the same object, a
second after its last view; less sooner."""

_SPEED_SMOOTHING = 0.5

_MOVING_SHARE = 0.25
"""Share of its box that must lie in one moving region for an object to move in a view: its legs are enough."""

_STILL_VIEWS = 2

_STANDING_VIEWS = 5
"""Views in a row without motion after which an object stands: a second of them."""


@dataclass(frozen=True, slots=True)
class View:
    """One verdict in one frame.

    Attributes:
        moving: share of the box that lies inside moving regions, 0 to 1.
        crops: how many the detector was asked about in this frame.
        changed: share of the picture that had changed, 0 to 1.
    """

    at_ns: int
    label: str
    score: float
    box: Box
    moving: float
    crops: int = 0
    changed: float = 0.0


@dataclass
class Track:
    """One object, over all its views.

    Attributes:
        moving_run: views in which it moved since it last stood still.
        travelled: how far it has gone since then, over its own size.
        farthest: the same at its best.
        lowest: its worst score.
        crops: how many the detector was asked about for it, other objects' included.
        changed: largest share of the picture that had changed in one of its views.
        asked_ns: the last frame in which the detector was asked where it should be; 0 before that.
        disturbed: something has moved near it since its last view.
    """

    id: int
    first: View
    last: View
    best: View
    views: int = 1
    scores: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    votes: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    moving_views: int = 0
    moving_run: int = 0
    travelled: float = 0.0
    farthest: float = 0.0
    lowest: float = 1.0
    crops: int = 0
    changed: float = 0.0
    asked_ns: int = 0
    disturbed: bool = False
    _excused_ns: int = 0
    _stood: Box = (0.0, 0.0, 0.0, 0.0)
    _still_run: int = 0
    _velocity: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def begun(cls, track_id: int, view: View) -> "Track":
        track = cls(track_id, view, view, view, views=0, _stood=view.box)
        track._count(view)
        return track

    @property
    def label(self) -> str:
        """What it was called most, weighted with the scores."""
        return max(self.votes, key=lambda label: self.votes[label])

    @property
    def stands(self) -> bool:
        """Whether it has not moved for a while."""
        return self._still_run >= _STANDING_VIEWS

    def looked_ns(self, at_ns: int) -> int:
        """How long ago it was last seen, or asked about."""
        return at_ns - max(self.last.at_ns, self.asked_ns)

    def unseen_ns(self, at_ns: int) -> int:
        """How long it has not been seen although somebody looked."""
        return at_ns - self.last.at_ns - self._excused_ns

    def not_asked(self, at_ns: int) -> None:
        """Nothing has moved there since its last view: it is as it was, whoever looked or not."""
        self._excused_ns = at_ns - self.last.at_ns

    def excuse(self, ns: int) -> None:
        """Nobody looked for so long."""
        self._excused_ns += ns

    def predicted(self, at_ns: int) -> Box:
        """Where it should be, had it gone on as before; for a second at most."""
        dt_s = min((at_ns - self.last.at_ns) / NS_PER_S, 1.0)
        dx, dy = self._velocity[0] * dt_s, self._velocity[1] * dt_s
        x0, y0, x1, y1 = self.last.box
        return (x0 + dx, y0 + dy, x1 + dx, y1 + dy)

    def add(self, view: View) -> None:
        """One more view of it."""
        dt_s = max((view.at_ns - self.last.at_ns) / NS_PER_S, 1e-3)
        before, now = _center(self.last.box), _center(view.box)
        measured = ((now[0] - before[0]) / dt_s, (now[1] - before[1]) / dt_s)
        self._velocity = (
            self._velocity[0] + _SPEED_SMOOTHING * (measured[0] - self._velocity[0]),
            self._velocity[1] + _SPEED_SMOOTHING * (measured[1] - self._velocity[1]),
        )
        self.last = view
        self._excused_ns = 0
        self.disturbed = False
        if view.score > self.best.score:
            self.best = view
        self._count(view)

    def _count(self, view: View) -> None:
        self.views += 1
        self.crops += view.crops
        self.changed = max(self.changed, view.changed)
        self.lowest = min(self.lowest, view.score)
        self._follow_movement(view)
        self.votes[view.label] += view.score
        self.scores[view.label] = max(self.scores[view.label], view.score)

    def _follow_movement(self, view: View) -> None:
        """How far it has gone since it last stood still: two views in a row without motion are standing still."""
        if view.moving >= _MOVING_SHARE:
            self.moving_views += 1
            self.moving_run += 1
            self._still_run = 0
            self.travelled = max(self.travelled, displacement(self._stood, view.box))
            self.farthest = max(self.farthest, self.travelled)
            return
        self._still_run += 1
        if self._still_run >= _STILL_VIEWS:
            self._stood, self.moving_run, self.travelled = view.box, 0, 0.0


class Tracker:
    """Joins views to tracks, best pair first.

    Args:
        keep_s: how long a track without views is kept, so that an object that comes back is the same one.
    """

    def __init__(self, keep_s: float) -> None:
        self._keep_ns = round(keep_s * NS_PER_S)
        self._next_id = 0
        self.tracks: list[Track] = []

    def update(self, views: list[View], at_ns: int) -> list[Track]:
        """Take in all verdicts of one frame; returns the tracks that were seen in it."""
        seen: list[Track] = []
        free = list(views)
        for _, track, view in sorted(self._pairs(views, at_ns), key=lambda pair: -pair[0]):
            if view in free and track not in seen:
                free.remove(view)
                track.add(view)
                seen.append(track)
        for view in free:
            track = Track.begun(self._next_id, view)
            self._next_id += 1
            self.tracks.append(track)
            seen.append(track)
        return seen

    def expire(self, at_ns: int) -> list[Track]:
        """Drop and return the tracks that had no view for ``keep_s``."""
        gone = [track for track in self.tracks if track.unseen_ns(at_ns) >= self._keep_ns]
        self.tracks = [track for track in self.tracks if track not in gone]
        return gone

    def _pairs(self, views: list[View], at_ns: int) -> list[tuple[float, Track, View]]:
        return [
            (affinity, track, view)
            for track in self.tracks
            for view in views
            if _group(track.label) == _group(view.label) and (affinity := _affinity(track, view, at_ns)) > 0
        ]


def _affinity(track: Track, view: View, at_ns: int) -> float:
    """How likely the view is of the track, above 0 where it can be at all: overlap, or nearness at a similar size."""
    expected = track.predicted(at_ns)
    overlap = max(iou(expected, view.box), iou(track.last.box, view.box))
    if overlap >= _IOU_MIN:
        return 1.0 + overlap
    height = max(expected[3] - expected[1], view.box[3] - view.box[1], 1.0)
    if min(expected[3] - expected[1], view.box[3] - view.box[1]) < 0.5 * height:
        return 0.0
    since_s = (at_ns - track.last.at_ns) / NS_PER_S
    (x0, y0), (x1, y1) = _center(expected), _center(view.box)
    distance = float(np.hypot(x1 - x0, y1 - y0)) / height
    return max(0.0, 1.0 - distance / (_REACH * min(1.0, 0.3 + since_s)))


def moving_share(box: Box, moving_xyxy: Boxes) -> float:
    """Share of ``box`` that the largest overlap with any one of ``moving_xyxy`` (float32 (N, 4)) covers, 0 to 1."""
    if len(moving_xyxy) == 0:
        return 0.0
    width = np.minimum(box[2], moving_xyxy[:, 2]) - np.maximum(box[0], moving_xyxy[:, 0])
    height = np.minimum(box[3], moving_xyxy[:, 3]) - np.maximum(box[1], moving_xyxy[:, 1])
    area = max((box[2] - box[0]) * (box[3] - box[1]), 1.0)
    return float((np.clip(width, 0, None) * np.clip(height, 0, None)).max() / area)


def inside(a: Box, b: Box) -> float:
    """Share of ``a`` that lies in ``b``, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0) / _area(a)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    return inside / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside)


def _center(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def displacement(a: Box, b: Box) -> float:
    """How far an object went, over its own size: the least that opposite edges moved together, so that a box which only
    breathes with the detector's mood has gone nowhere."""
    size = max(a[2] - a[0], a[3] - a[1], 1.0)
    along_x = min(abs(b[0] - a[0]), abs(b[2] - a[2])) if (b[0] - a[0]) * (b[2] - a[2]) > 0 else 0.0
    along_y = min(abs(b[1] - a[1]), abs(b[3] - a[3])) if (b[1] - a[1]) * (b[3] - a[3]) > 0 else 0.0
    scale = np.sqrt(_area(b) / _area(a))
    grown = float(max(scale, 1 / scale) - 1.0)  # something that comes straight at the camera grows
    return max(along_x / size, along_y / size, grown / 2)


def _area(box: Box) -> float:
    return max((box[2] - box[0]) * (box[3] - box[1]), 1.0)


def _group(label: str) -> tuple[str, ...]:
    return next((group for group in _GROUPS if label in group), (label,))
