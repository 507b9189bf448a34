"""What must go, and why: :func:`plan` decides and does nothing, :func:`sweep` does and decides nothing."""

import bisect
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from raycctv.clock import NS_PER_S, iso
from raycctv.config import Retention
from raycctv.errors import CatalogError, RaycctvError
from raycctv.recording.catalog import Catalog
from raycctv.recording.layout import remove_file
from raycctv.types import CameraName, Event, Segment

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


def plan(
    segments: Sequence[Segment], events: Iterable[Event], rules: Retention, free_bytes: int, disk_bytes: int, now_ns: int
) -> list[Deletion]:
    """Which segments must go now: those past their age, then as many as the byte budget and the free space ask for.

    Age counts from a segment's end. For space the least valuable go first, of those the oldest, and no more than needed.

    Args:
        free_bytes, disk_bytes: of the disk that the segments lie on.
    """
    values = _values(segments, events)
    ranked = sorted(segments, key=lambda segment: (values[segment.path], segment.ended_at_ns, segment.path))
    expired = {segment.path: reason for segment in ranked if (reason := _expired(segment, values[segment.path], rules, now_ns))}
    deletions = [Deletion(segment, expired[segment.path]) for segment in ranked if segment.path in expired]
    kept = [segment for segment in ranked if segment.path not in expired]
    free_bytes += sum(deletion.segment.size_bytes for deletion in deletions)
    total_bytes = sum(segment.size_bytes for segment in kept)
    for segment in kept:
        reason = _crowded(total_bytes, free_bytes, disk_bytes, rules)
        if reason is None:
            break
        deletions.append(Deletion(segment, f"{reason}; oldest of the {values[segment.path].name.lower()} footage"))
        total_bytes -= segment.size_bytes
        free_bytes += segment.size_bytes
    return deletions


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


def _crowded(total_bytes: int, free_bytes: int, disk_bytes: int, rules: Retention) -> str | None:
    """Why something must go for space, or None."""
    if rules.max_size is not None and total_bytes > rules.max_size:
        return f"{total_bytes} bytes of footage, max_size is {rules.max_size}"
    floor_bytes = rules.min_free.of(disk_bytes)
    return f"{free_bytes} bytes free, min_free is {floor_bytes}" if free_bytes < floor_bytes else None


def _values(segments: Sequence[Segment], events: Iterable[Event]) -> dict[str, Value]:
    """Each segment's value by the events that overlap it."""
    by_camera: dict[CameraName, list[Segment]] = defaultdict(list)
    for segment in sorted(segments, key=lambda segment: segment.started_at_ns):
        by_camera[segment.camera].append(segment)
    starts = {camera: [segment.started_at_ns for segment in own] for camera, own in by_camera.items()}
    longest = {camera: max(segment.duration_ns for segment in own) for camera, own in by_camera.items()}
    values = dict.fromkeys((segment.path for segment in segments), Value.CONTINUOUS)
    for event in events:
        if event.camera not in by_camera:
            continue
        value = Value.MOTION if event.kind == "motion" else Value.EVENT
        own, own_starts = by_camera[event.camera], starts[event.camera]
        first = bisect.bisect_left(own_starts, event.started_at_ns - longest[event.camera])
        last = len(own) if event.ended_at_ns is None else bisect.bisect_right(own_starts, event.ended_at_ns)
        for segment in own[first:last]:
            if segment.ended_at_ns > event.started_at_ns:
                values[segment.path] = max(values[segment.path], value)
    return values
