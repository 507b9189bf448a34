"""What must go, and why: :func:`plan` decides and does nothing, :func:`sweep` does and decides nothing."""

import bisect
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from raycctv.clock import NS_PER_S, iso
from raycctv.config import Retention
from raycctv.recording.catalog import Catalog, remove_file
from raycctv.types import CameraName, Event, Segment

log = logging.getLogger(__name__)


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
    ages_s = {Value.CONTINUOUS: rules.continuous, Value.MOTION: rules.motion, Value.EVENT: rules.event}
    deletions, kept = [], []
    for segment in segments:
        value = values[segment.path]
        if now_ns - segment.ended_at_ns > ages_s[value] * NS_PER_S:
            deletions.append(Deletion(segment, f"{value.name.lower()} footage older than {ages_s[value] / 86400:g} days"))
            free_bytes += segment.size_bytes
        else:
            kept.append(segment)
    kept.sort(key=lambda segment: (values[segment.path], segment.ended_at_ns, segment.path))
    floor_bytes = rules.min_free.of(disk_bytes)
    total_bytes = sum(segment.size_bytes for segment in kept)
    for segment in kept:
        if rules.max_size is not None and total_bytes > rules.max_size:
            reason = f"all footage exceeds {rules.max_size} bytes"
        elif free_bytes < floor_bytes:
            reason = f"less than {floor_bytes} bytes are free"
        else:
            break
        deletions.append(Deletion(segment, reason))
        total_bytes -= segment.size_bytes
        free_bytes += segment.size_bytes
    return deletions


def sweep(catalog: Catalog, root: Path, deletions: Sequence[Deletion]) -> None:
    """Delete, in an order that a crash at any point does no harm to: mark rows, unlink files, drop rows.

    Raises:
        CatalogError, RecordingError: catalog or disk do not let it; what was not done is done at the next start or sweep.
    """
    if not deletions:
        return
    catalog.mark_deleting(deletion.segment.path for deletion in deletions)
    for deletion in deletions:
        remove_file(root, deletion.segment.path)
        catalog.drop([deletion.segment.path])
        log.info("deleted %s (%s): %s", deletion.segment.path, iso(deletion.segment.started_at_ns), deletion.reason)


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
