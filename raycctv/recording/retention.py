"""What must go, and why: :func:`plan` decides and does nothing, :func:`sweep` does and decides nothing."""

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from raycctv.clock import NS_PER_S, iso
from raycctv.config import CameraRetention, Retention
from raycctv.errors import CatalogError, RaycctvError
from raycctv.recording.catalog import Catalog
from raycctv.recording.layout import remove_file
from raycctv.types import CameraName, Segment, Span, Value

log = logging.getLogger(__name__)

Remove = Callable[[Path, str], None]


class Footage(Protocol):
    """What there is, as :func:`plan` asks for it: :class:`.Catalog`."""

    def sizes(self) -> Mapping[CameraName, int]:
        """Bytes of each camera's segments."""
        ...

    def oldest(self, camera: CameraName, value: Value) -> Iterator[Segment]:
        """The camera's segments of that value, in the order of their ends and paths. No more are read than are asked for."""
        ...


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


def plan(footage: Footage, rules: Rules, free_bytes: int, disk_bytes: int, now_ns: int) -> list[Deletion]:
    """Which segments must go now: those past their age, then as many as byte budgets and the free space ask for.

    Age counts from a segment's end. For space the least valuable go first, of those the oldest, and no more than needed.
    What is protected never goes, and counts into every budget. Costs by what goes and what is protected, not by what there is.

    Args:
        free_bytes, disk_bytes: of the disk that the segments lie on.
    """
    sizes = dict(footage.sizes())
    planned = _Plan(footage, sizes, rules.protected)
    for camera in sorted(sizes):
        planned.expire(camera, rules.of(camera), now_ns)
    for camera, own in rules.cameras.items():
        if own.max_size is not None and camera in sizes:
            planned.shrink([camera], _budget(own.max_size, f"{camera}'s "))
    whole_bytes = sum(sizes.values())
    budget, floor_bytes = _budget(rules.keep.max_size), rules.keep.min_free.of(disk_bytes)

    def crowded(kept_bytes: int) -> str | None:
        free_then_bytes = free_bytes + whole_bytes - kept_bytes
        if free_then_bytes < floor_bytes:
            return f"{free_then_bytes} bytes free, min_free is {floor_bytes}"
        return budget(kept_bytes)

    planned.shrink(sorted(sizes), crowded)
    return list(planned.deletions.values())


class _Plan:
    """Deletions decided so far, by path.

    Args:
        sizes: bytes of each camera's segments; of those that stay, as deletions are decided.
    """

    def __init__(self, footage: Footage, sizes: Mapping[CameraName, int], protected: Sequence[Span]) -> None:
        self.deletions: dict[str, Deletion] = {}
        self._footage = footage
        self._kept_bytes = dict(sizes)
        self._protected = protected

    def expire(self, camera: CameraName, rules: Retention, now_ns: int) -> None:
        """Let go what is past its age."""
        for value in Value:
            for segment in self._footage.oldest(camera, value):
                reason = _expired(segment, value, rules, now_ns)
                if reason is None:
                    break
                self._delete(segment, reason)

    def shrink(self, cameras: Sequence[CameraName], excess: Callable[[int], str | None]) -> None:
        """Let the first ones of these cameras go until ``excess``, asked about the bytes that stay, gives no reason."""
        reason = excess(self._kept(cameras))
        for value in Value:
            if reason is None:
                return
            by_camera = [self._footage.oldest(camera, value) for camera in cameras]
            for segment in heapq.merge(*by_camera, key=lambda segment: (segment.ended_at_ns, segment.path)):
                if segment.path not in self.deletions:
                    self._delete(segment, f"{reason}; oldest of the {value.name.lower()} footage")
                    reason = excess(self._kept(cameras))
                    if reason is None:
                        return

    def _kept(self, cameras: Sequence[CameraName]) -> int:
        """Bytes of these cameras' segments that stay."""
        return sum(self._kept_bytes[camera] for camera in cameras)

    def _delete(self, segment: Segment, reason: str) -> None:
        """Let it go, if nobody protects it."""
        if not any(span.meets(segment) for span in self._protected):
            self.deletions[segment.path] = Deletion(segment, reason)
            self._kept_bytes[segment.camera] -= segment.size_bytes


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
