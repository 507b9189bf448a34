"""How much of what a camera has sent was recorded, and why the rest was not. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from raycctv.clock import NS_PER_S
from raycctv.types import CameraName

GAP_S = 1.0
"""Time without footage from which on it counts as missing. Instants are as exact as the arrival of packets."""

Cause = Literal["camera_offline", "not_recorded"]
Stretch = tuple[int, int]
"""[from_ns, to_ns)."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without footage, because the camera was away or because we did not record."""

    from_ns: int
    to_ns: int
    cause: Cause

    @property
    def duration_ns(self) -> int:
        return self.to_ns - self.from_ns


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a camera's time was recorded.

    Attributes:
        share: recorded time over the time in which the camera was sending, 0 to 1; 1 where it was away all the time.
        gaps: what is missing, oldest first.
    """

    camera: CameraName
    from_ns: int
    to_ns: int
    share: float
    gaps: list[Gap]


def coverage(camera: CameraName, recorded: Sequence[Stretch], offline: Sequence[Stretch], from_ns: int, to_ns: int) -> Coverage:
    """Of the time [from_ns, to_ns).

    Args:
        recorded: of its segments.
        offline: when the camera was away; what was recorded meanwhile all the same counts.
    """
    gaps = [piece for gap in missing(recorded, from_ns, to_ns) for piece in _split(gap, offline)]
    missed_ns, away_ns = (
        sum(gap.duration_ns for gap in gaps if gap.cause == cause) for cause in ("not_recorded", "camera_offline")
    )
    sent_ns = to_ns - from_ns - away_ns
    return Coverage(camera, from_ns, to_ns, 1 - missed_ns / sent_ns if sent_ns > 0 else 1.0, gaps)


def missing(recorded: Sequence[Stretch], from_ns: int, to_ns: int) -> Iterator[Stretch]:
    """The gaps in [from_ns, to_ns), oldest first."""
    reached_ns = from_ns
    for start_ns, end_ns in [*sorted(recorded), (to_ns, to_ns)]:
        if min(start_ns, to_ns) - reached_ns > GAP_S * NS_PER_S:
            yield reached_ns, min(start_ns, to_ns)
        reached_ns = max(reached_ns, end_ns)


def _split(gap: Stretch, offline: Sequence[Stretch]) -> list[Gap]:
    """The gap in pieces of one cause each. A piece that is too short to be a gap goes with its longer neighbour."""
    reached_ns, to_ns = gap
    pieces: list[Gap] = []
    for start_ns, end_ns in sorted(offline):
        start_ns, end_ns = max(start_ns, reached_ns), min(end_ns, to_ns)
        if end_ns > start_ns:
            pieces += [Gap(reached_ns, start_ns, "not_recorded"), Gap(start_ns, end_ns, "camera_offline")]
            reached_ns = end_ns
    joined: list[Gap] = []
    for piece in [*pieces, Gap(reached_ns, to_ns, "not_recorded")]:
        last = joined[-1] if joined else piece
        if joined and (last.cause == piece.cause or min(last.duration_ns, piece.duration_ns) <= GAP_S * NS_PER_S):
            longer = max(last, piece, key=lambda one: one.duration_ns)
            joined[-1] = Gap(last.from_ns, piece.to_ns, longer.cause)
        else:
            joined.append(piece)
    return joined
