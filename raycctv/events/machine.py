"""When what was seen is an event: one a visit, not one a frame. Pure: observations in, changes of events out.

An object is an event once it was named in several frames, scored well in the best of them, moved, and was in a zone that
counts. It began with its first view, and has ended when it was not seen for so long that it would not be taken for the
same one again; its end is its last view. Motion that lasts while nothing explains it is an event of kind ``motion``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from raycctv.clock import NS_PER_S, iso
from raycctv.config.schema import Events, ObjectRule
from raycctv.events.tracker import Box, Track, Tracker, View, displacement, inside
from raycctv.types import CameraName, Event, Stance

ZonesAt = Callable[[Box], tuple[str, ...]]

_TRAVEL_MIN = 0.2
"""Share of its own size that an object must have moved: detection boxes of a parked car wander less than a tenth."""

_PARKED_VIEWS, _PARKED_TRAVEL_MIN = 15, 0.6
"""The same for what was there in so many views and did not move in most of them: whoever passes in front of a parked car makes
its box shrink by up to half, and seem to move. Tuned on pets2001_cloud_lighting.mp4: 6 events of cars become 3."""

_MOVING_VIEWS_MIN = 2

_STANDING_S = 5.0
"""Time between two looks at an object that stands while nothing moves near it."""

_REST_S = 16.0
"""Time without a view after which it is an object like others: three looks have not found it."""

_PAUSE_S = 0.5
"""What lies between two frames with motion counts as motion up to this: leaves that move now and then are no event."""

_LARGE_SHARE, _ROAM_MIN = 0.01, 1.0
"""Motion that no object explains is an event when it fills this share of the picture, or when it has gone as far as this many
times its own size: a branch in the wind does neither."""

_SURE = 3.0
"""What does both is an event after so much shorter a time: a car crosses the picture in two seconds, whatever the network takes
it for."""

_PROMISING_S = 4.0
"""Age up to which something that moves may become an event soon; most do within one second, or never."""

_ACCOUNTED = 0.7
"""Share of a moving region that must lie around one known object for the region to be that object's."""

_MARGIN = 0.5
"""By how much of its size what moves around an object may stand out from its box."""


@dataclass(frozen=True, slots=True)
class Change:
    """An event began or ended; ``key`` stays the same over an event's life and is its track's, or None for motion."""

    event: Event
    key: int | None


@dataclass(frozen=True, slots=True)
class Observed:
    """What one frame's verdicts led to.

    Attributes:
        best: keys of the tracks of which this frame is the best view so far.
    """

    changes: list[Change]
    best: list[int]


@dataclass
class _Visit:
    """A track's life as an event: not yet one while ``event_id`` is None."""

    event_id: str | None = None
    zones: list[str] = field(default_factory=list)


@dataclass
class _Motion:
    """A stretch of motion.

    Attributes:
        unexplained_ns: how long something has moved that no object explains.
        began: where that was at first; None before it was seen.
        roamed: how far it has been from there, over its own size.
    """

    since_ns: int
    unexplained_since_ns: int
    last_ns: int
    unexplained_ns: int = 0
    began: Box | None = None
    roamed: float = 0.0
    event_id: str | None = None
    event_start_ns: int = 0
    peak: float = 0.0
    box: Box = (0.0, 0.0, 0.0, 0.0)

    def lasts(self, least_s: float) -> bool:
        """Whether it has gone on for long enough: what is large and goes somewhere need not be waited for as long.

        What is neither is a branch in the wind.
        """
        signs = (self.peak >= _LARGE_SHARE) + (self.roamed >= _ROAM_MIN)
        return signs > 0 and self.unexplained_ns >= least_s * NS_PER_S / (_SURE if signs == 2 else 1)

    def follow(self, at_ns: int, box: Box) -> None:
        """Something moves in ``box`` now."""
        self.unexplained_ns += min(at_ns - self.last_ns, round(_PAUSE_S * NS_PER_S))
        self.last_ns = at_ns
        self.began = self.began or box
        self.roamed = max(self.roamed, displacement(self.began, box))

    def explained(self, at_ns: int) -> None:
        """Until now an object was what moved."""
        self.unexplained_since_ns, self.unexplained_ns, self.began, self.roamed = at_ns, 0, None, 0.0


class EventMachine:
    """The events of one camera.

    Args:
        objects: which labels count, and when.
        zones_at: names of the zones that a box (source pixels) stands in.
        model: name of the detector, for the record.
    """

    def __init__(
        self, camera: CameraName, objects: Mapping[str, ObjectRule], settings: Events, zones_at: ZonesAt, model: str
    ) -> None:
        self._camera = camera
        self._objects = objects
        self._settings = settings
        self._zones_at = zones_at
        self._model = model
        self._tracker = Tracker(keep_s=settings.lost_s + settings.cool_down_s)
        self._visits: dict[int, _Visit] = {}
        self._motion: _Motion | None = None
        self._ids = 0

    def to_ask(self, at_ns: int, moving: Sequence[Box]) -> list[Box]:
        """Where the objects that were seen lately should be now: ask there, too, or one that stands still is lost.

        One that stands is asked about every five seconds, and at once where anything of ``moving`` comes near. Until then it
        counts as seen: what does not change has not left. Those that stand are asked about together, since they share crops.
        """
        lately = self._lately(at_ns)
        for track in lately:
            track.disturbed = track.disturbed or _near(track, moving)
        standing = [track for track in lately if _at_rest(track, at_ns)]
        due = any(track.looked_ns(at_ns) >= _STANDING_S * NS_PER_S for track in standing)
        waiting = [track for track in standing if not due or track.looked_ns(at_ns) < _STANDING_S / 2 * NS_PER_S]
        for track in standing:
            track.not_asked(at_ns)
        asked = [track for track in lately if track not in waiting]
        for track in asked:
            track.asked_ns = at_ns
        return [track.predicted(at_ns) for track in asked]

    def not_looked(self, ns: int) -> None:
        """Nobody looked for so long: what was not seen meanwhile has not left for that."""
        for track in self._tracker.tracks:
            track.excuse(ns)

    def stance(self, moving: Sequence[Box], at_ns: int) -> Stance:
        """How things stand where these regions move: whose they are, of the objects that were seen lately."""
        seen = self._lately(at_ns)
        if any(self._visits[track.id].event_id is None and _promising(track) for track in seen):
            return Stance.UNCLEAR
        known = [_around(track.predicted(at_ns), track.last.box) for track in seen]
        if any(max((inside(box, area) for area in known), default=0.0) < _ACCOUNTED for box in moving):
            return Stance.UNCLEAR
        return Stance.FOLLOWED if any(track.moving_run for track in seen) else Stance.HELD

    def keys(self) -> set[int]:
        """Keys of the tracks that are alive."""
        return {track.id for track in self._tracker.tracks}

    def best_view(self, key: int) -> View:
        """The best view so far of a track that is alive."""
        return next(track.best for track in self._tracker.tracks if track.id == key)

    def observe(self, at_ns: int, views: list[View]) -> Observed:
        """Take in one frame's verdicts. Labels without a rule are not looked at."""
        best = []
        changes = self.advance(at_ns)
        for track in self._tracker.update([view for view in views if view.label in self._objects], at_ns):
            visit = self._visits.setdefault(track.id, _Visit())
            visit.zones += [zone for zone in self._zones_at(track.last.box) if zone not in visit.zones]
            if track.best is track.last:
                best.append(track.id)
            if visit.event_id is None and self._confirmed(track, visit):
                visit.event_id = self._new_id(track.first.at_ns)
                changes += self._explained(at_ns)
                changes.append(self._object_change(track, visit, ended=False))
        return Observed(changes, best)

    def motion_began(self, at_ns: int) -> None:
        """The gate opened at ``at_ns``."""
        self._motion = _Motion(since_ns=at_ns, unexplained_since_ns=at_ns, last_ns=at_ns)

    def motion_seen(self, at_ns: int, score: float, box: Box) -> list[Change]:
        """A frame with motion while the gate is open: ``box`` holds all of it, ``score`` is its share of the picture."""
        motion = self._motion
        if motion is None:
            return []
        motion.follow(at_ns, box)
        if score > motion.peak:
            motion.peak, motion.box = score, box
        if motion.event_id is not None:
            return []
        if self._explaining(at_ns):
            motion.explained(at_ns)
        elif motion.lasts(self._settings.motion_min_s):
            motion.event_id = self._new_id(motion.unexplained_since_ns)
            motion.event_start_ns = motion.unexplained_since_ns
            return [self._motion_change(motion, ended_at_ns=None)]
        return []

    def motion_ended(self, at_ns: int) -> list[Change]:
        """The gate closed; ``at_ns`` is the last frame with motion."""
        motion, self._motion = self._motion, None
        if motion is None or motion.event_id is None:
            return []
        return [self._motion_change(motion, ended_at_ns=max(at_ns, motion.event_start_ns))]

    def advance(self, at_ns: int) -> list[Change]:
        """Let time pass without an observation: ends what was not seen for long enough."""
        return self._ended(self._tracker.expire(at_ns))

    def close(self) -> list[Change]:
        """The stream ended: so does everything that goes on, at its last view."""
        changes = self.motion_ended(self._motion.last_ns) if self._motion else []
        tracks, self._tracker.tracks = self._tracker.tracks, []
        return changes + self._ended(tracks)

    def _confirmed(self, track: Track, visit: _Visit) -> bool:
        rule = self._objects.get(track.label)
        return (
            rule is not None
            and track.views >= rule.min_views
            and track.scores[track.label] >= rule.min_score
            and track.moving_run >= _MOVING_VIEWS_MIN
            and track.travelled >= (_PARKED_TRAVEL_MIN if _parked(track) else _TRAVEL_MIN)
            and (not rule.zones or bool(set(rule.zones) & set(visit.zones)))
        )

    def _explaining(self, at_ns: int) -> bool:
        """Whether an object that was seen lately may be what moves."""
        return any(track.views > 1 for track in self._lately(at_ns))

    def _lately(self, at_ns: int) -> list[Track]:
        """Tracks that do not count as lost."""
        lost_ns = self._settings.lost_s * NS_PER_S
        return [track for track in self._tracker.tracks if track.unseen_ns(at_ns) < lost_ns]

    def _explained(self, at_ns: int) -> list[Change]:
        """An object was confirmed: what was unexplained motion until now is so no longer."""
        motion = self._motion
        if motion is None or motion.event_id is None:
            return []
        change = self._motion_change(motion, ended_at_ns=at_ns)
        motion.event_id = None
        motion.explained(at_ns)
        return [change]

    def _ended(self, tracks: list[Track]) -> list[Change]:
        visits = [(track, self._visits.pop(track.id)) for track in tracks]
        return [self._object_change(track, visit, ended=True) for track, visit in visits if visit.event_id is not None]

    def _new_id(self, at_ns: int) -> str:
        self._ids += 1
        return f"{iso(at_ns).replace('-', '').replace(':', '')}-{self._camera}-{self._ids}"

    def _object_change(self, track: Track, visit: _Visit, *, ended: bool) -> Change:
        assert visit.event_id is not None
        event = Event(
            id=visit.event_id,
            camera=self._camera,
            kind=track.label,
            started_at_ns=track.first.at_ns,
            ended_at_ns=track.last.at_ns if ended else None,
            labels={label: round(score, 3) for label, score in sorted(track.scores.items())},
            zones=tuple(visit.zones),
            box=_whole(track.best.box),
            score=round(track.scores[track.label], 3),
            model=self._model,
            snapshot=None,
            why=(
                f"{track.label} in {track.views} views over {(track.last.at_ns - track.first.at_ns) / NS_PER_S:.1f} s, "
                f"{track.moving_views} of them moving; scores {track.lowest:.2f} to {track.best.score:.2f}; "
                f"went {track.farthest:.1f} times its size; at most {track.changed:.1%} of the picture changed; "
                f"{track.crops} crops asked about"
            ),
        )
        return Change(event, track.id)

    def _motion_change(self, motion: _Motion, ended_at_ns: int | None) -> Change:
        assert motion.event_id is not None
        event = Event(
            id=motion.event_id,
            camera=self._camera,
            kind="motion",
            started_at_ns=motion.event_start_ns,
            ended_at_ns=ended_at_ns,
            labels={},
            zones=self._zones_at(motion.box),
            box=_whole(motion.box),
            score=round(motion.peak, 4),
            model=None,
            snapshot=None,
            why=(
                f"{(motion.last_ns - motion.event_start_ns) / NS_PER_S:.1f} s of motion that no object explains; "
                f"at most {motion.peak:.1%} of the picture changed"
            ),
        )
        return Change(event, None)


def _near(track: Track, moving: Sequence[Box]) -> bool:
    around = _around(track.last.box, track.last.box)
    return any(inside(box, around) > 0 for box in moving)


def _at_rest(track: Track, at_ns: int) -> bool:
    """Whether it stands where it was seen, as far as anybody can tell."""
    return track.stands and not track.disturbed and at_ns - track.last.at_ns < _REST_S * NS_PER_S


def _parked(track: Track) -> bool:
    """Whether it has been there for a while, and mostly stood."""
    return track.views >= _PARKED_VIEWS and track.moving_views < track.views / 2


def _promising(track: Track) -> bool:
    """Whether it moves and is so new that a few more views may make an event of it."""
    return track.moving_run > 0 and track.last.at_ns - track.first.at_ns < _PROMISING_S * NS_PER_S


def _around(expected: Box, last: Box) -> Box:
    """Where something moves that belongs to an object: its shadow and what it carries too."""
    x0, y0, x1, y1 = (
        min(expected[0], last[0]),
        min(expected[1], last[1]),
        max(expected[2], last[2]),
        max(expected[3], last[3]),
    )
    margin = _MARGIN * max(x1 - x0, y1 - y0)
    return (x0 - margin, y0 - margin, x1 + margin, y1 + margin)


def _whole(box: Box) -> tuple[int, int, int, int]:
    return round(box[0]), round(box[1]), round(box[2]), round(box[3])
