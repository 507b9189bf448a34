"""What must go, and why: :func:`plan` decides and does nothing, :func:`sweep` does and decides nothing."""

import bisect
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from raycctv.clock import NS_PER_S, iso
from raycctv.config import CameraRetention, Retention
from raycctv.errors import CatalogError, RaycctvError
from raycctv.recording.catalog import Catalog
from raycctv.recording.layout import remove_file
from raycctv.types import HEALTH_KINDS, CameraName, Event, Segment, Span

log = logging.getLogger(__name__)

Remove = Callable[[Path, str], None]


class Value(IntEnum):
    """What a segment is worth, least first."""

    CONTINUOUS = 0
    MOTION = 1
    EVENT = 2


@dataclass(frozen=True, slots=True)
class Deletion:
    """A segment that must go."""

    segment: Segment
    reason: str


@dataclass(frozen=True)
class Rules:
    """What is kept.

    Attributes:
        keep: for all cameras.
        cameras: what single cameras have otherwise.
        protected: no rule deletes what shares time with one of these.
    """

    keep: Retention
    cameras: Mapping[CameraName, CameraRetention] = field(default_factory=dict)
    protected: Sequence[Span] = ()

    def of(self, camera: CameraName) -> Retention:
        """The ages of one camera's footage."""
        return self.keep.of(self.cameras[camera]) if camera in self.cameras else self.keep


def plan(
    segments: Sequence[Segment], events: Iterable[Event], rules: Rules, free_bytes: int, disk_bytes: int, now_ns: int
) -> list[Deletion]:
    """Which segments must go now: those past their age, then as many as byte budgets and the free space ask for.

    Age counts from a segment's end. For space the least valuable go first, of those the oldest, and no more than needed.
    What is protected never goes, and counts into every budget.

    Args:
        free_bytes, disk_bytes: of the disk that the segments lie on.
    """
    values = _values(segments, events)
    ranked = sorted(segments, key=lambda segment: (values[segment.path], segment.ended_at_ns, segment.path))
    planned = _Plan(values, rules.protected)
    for segment in ranked:
        planned.delete(segment, _expired(segment, values[segment.path], rules.of(segment.camera), now_ns))
    for camera, own in rules.cameras.items():
        if own.max_size is not None:
            planned.shrink([segment for segment in ranked if segment.camera == camera], _budget(own.max_size, f"{camera}'s "))
    whole_bytes = sum(segment.size_bytes for segment in segments)
    budget, floor_bytes = _budget(rules.keep.max_size), rules.keep.min_free.of(disk_bytes)

    def crowded(kept_bytes: int) -> str | None:
        free_then_bytes = free_bytes + whole_bytes - kept_bytes
        if free_then_bytes < floor_bytes:
            return f"{free_then_bytes} bytes free, min_free is {floor_bytes}"
        return budget(kept_bytes)

    planned.shrink(ranked, crowded)
    return list(planned.deletions.values())


class _Plan:
    """Deletions decided so far, by path."""

    def __init__(self, values: Mapping[str, Value], protected: Sequence[Span]) -> None:
        self.deletions: dict[str, Deletion] = {}
        self._values = values
        self._protected = protected

    def delete(self, segment: Segment, reason: str | None) -> None:
        """Let it go, if there is a reason, and nobody protects it."""
        if reason is not None and not any(span.meets(segment) for span in self._protected):
            self.deletions[segment.path] = Deletion(segment, reason)

    def shrink(self, ranked: Sequence[Segment], excess: Callable[[int], str | None]) -> None:
        """Let the first ones go until ``excess``, asked about the bytes that stay, gives no reason any more."""
        staying = [segment for segment in ranked if segment.path not in self.deletions]
        kept_bytes = sum(segment.size_bytes for segment in staying)
        for segment in staying:
            reason = excess(kept_bytes)
            if reason is None:
                return
            self.delete(segment, f"{reason}; oldest of the {self._values[segment.path].name.lower()} footage")
            if segment.path in self.deletions:
                kept_bytes -= segment.size_bytes


def _budget(max_bytes: int | None, whose: str = "") -> Callable[[int], str | None]:
    """Why so many bytes are too many, or None."""

    def excess(kept_bytes: int) -> str | None:
        over = max_bytes is not None and kept_bytes > max_bytes
        return f"{kept_bytes} bytes of {whose}footage, max_size is {max_bytes}" if over else None

    return excess


def sweep(catalog: Catalog, root: Path, deletions: Sequence[Deletion], remove: Remove = remove_file) -> None:
    """Delete, in an order that a crash at any point does no harm to: mark rows, unlink files, drop rows.

    Also finishes what an earlier sweep had marked and could not unlink. On a disk that is so full that rows cannot be marked
    the files go all the same; :meth:`Catalog.reconcile` drops a row without a file.

    Args:
        remove: unlinks a path below the root, on disk when it returns.

    Raises:
        CatalogError, RecordingError: catalog or disk do not let it, of which the first is raised when all else is done.
    """
    reasons = {deletion.segment.path: deletion.reason for deletion in deletions}
    marked = _marked(catalog, reasons)
    refused: list[RaycctvError] = []
    for path in dict.fromkeys([*reasons, *marked]):
        try:
            remove(root, path)
            log.info("deleted %s: %s", path, reasons.get(path, "begun earlier"))
            catalog.drop([path])
        except RaycctvError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _marked(catalog: Catalog, paths: Iterable[str]) -> list[str]:
    """Mark ``paths``; returns all that are marked."""
    try:
        catalog.mark_deleting(paths)
    except CatalogError as error:
        log.warning("deleting without marking first: %s", error)
    return catalog.deleting()


def _expired(segment: Segment, value: Value, rules: Retention, now_ns: int) -> str | None:
    age_s = {Value.CONTINUOUS: rules.continuous, Value.MOTION: rules.motion, Value.EVENT: rules.event}[value]
    old = now_ns - segment.ended_at_ns > age_s * NS_PER_S
    return (
        f"{value.name.lower()} footage is kept for {age_s / 86400:.3g} d; this ended {iso(segment.ended_at_ns)}"
        if old
        else None
    )


def _values(segments: Sequence[Segment], events: Iterable[Event]) -> dict[str, Value]:
    """Each segment's value by the events that overlap it."""
    by_camera: dict[CameraName, list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda segment: segment.started_at_ns):
        by_camera[segment.camera].append(segment)
    starts = {camera: [segment.started_at_ns for segment in own] for camera, own in by_camera.items()}
    longest = {camera: max(segment.duration_ns for segment in own) for camera, own in by_camera.items()}
    values = dict.fromkeys((segment.path for segment in segments), Value.CONTINUOUS)
    for event in events:
        if event.camera not in by_camera or event.kind in HEALTH_KINDS:
            continue
        value = Value.MOTION if event.kind == "motion" else Value.EVENT
        own, own_starts = by_camera[event.camera], starts[event.camera]
        first = bisect.bisect_left(own_starts, event.started_at_ns - longest[event.camera])
        last = len(own) if event.ended_at_ns is None else bisect.bisect_right(own_starts, event.ended_at_ns)
        for segment in own[first:last]:
            if segment.ended_at_ns > event.started_at_ns:
                values[segment.path] = max(values[segment.path], value)
    return values
