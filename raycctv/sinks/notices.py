"""Which events somebody is told of. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from raycctv.types import CameraName, Event, category_of


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody has been told of an event.

    Attributes:
        ended: of its end, too.
    """

    id: str
    camera: CameraName
    kind: str
    started_at_ns: int
    ended: bool


def asked_for(event: Event, kinds: Collection[str]) -> bool:
    """Whether its kind, or the category of that, is among ``kinds``."""
    return event.kind in kinds or category_of(event.kind) in kinds


def worth_telling(event: Event, told: Iterable[Told], quiet_ns: int) -> bool:
    """Whether to tell of this state of an event.

    Each state is told once. A fault that comes and goes again and again is told once in a while: an event that begins within
    ``quiet_ns`` of the beginning of the last one that was told is left out, with its end.

    Args:
        told: of the same camera and kind: what goes on, and the last.
    """
    told = list(told)
    known = next((one for one in told if one.id == event.id), None)
    if known is not None:
        return event.ended_at_ns is not None and not known.ended
    last_ns = max((one.started_at_ns for one in told), default=None)
    return last_ns is None or event.started_at_ns - last_ns >= quiet_ns


def told_now(event: Event) -> Told:
    """What somebody has been told who is told of this state."""
    return Told(event.id, event.camera, event.kind, event.started_at_ns, ended=event.ended_at_ns is not None)
