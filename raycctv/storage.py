"""The disk side of one machine: recorders and relays kept running, segments filed, old footage rotated out.

:class:`Storage` is what a storage actor runs. Recorders and relays are processes of their own; when this is gone they go
on, and the next one adopts them.
"""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from raycctv.capture.relay import relay
from raycctv.clock import NS_PER_S, CautiousClock, Clock
from raycctv.config import Camera, CameraRetention, Config, Recording
from raycctv.errors import RaycctvError
from raycctv.health import StorageHealth
from raycctv.process import DetachedProcess, KeptProcess, stop_all
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.copier import Copier
from raycctv.recording.coverage import coverage
from raycctv.recording.filing import file_closed
from raycctv.recording.layout import INCOMING
from raycctv.recording.recorder import RUN_DIR, Recorder, make_writable
from raycctv.recording.retention import Deletion, Rules, plan, sweep
from raycctv.recording.schema import DamagedCatalog
from raycctv.types import CameraName, Event, Segment, Span

log = logging.getLogger(__name__)


_DAY_NS = 86400 * NS_PER_S
_COVERAGE_S = 75.0
"""Longest time between two measurements. One also follows each segment, since what is written then is short and soon read."""

_LOOK_S = 1.0
"""Time between two looks at files and disk. Processes are looked at more often: a recorder that starts a quarter of a second
after its camera has dropped is there when it returns."""

_STOPS = 16
"""Recorders that are ended at once; each finishes its file."""


class Storage:
    """Call :meth:`tick` about four times a second.

    Args:
        config: of its cameras those that are recorded at once. One without any is told by :meth:`record`.
        emit: takes each state of an event about footage or disk.

    Attributes:
        coverage: share of the last 24 hours in which a camera was sending and was recorded, by camera; None before its
            first footage. Measured when a segment is filed, and at least every 75 s.

    Raises:
        RecordingError: the recording folder cannot be written.
        CatalogError: the catalog cannot be used.
    """

    def __init__(self, config: Config, clock: Clock, emit: Callable[[Event], None] = lambda _: None) -> None:
        self._recording = config.recording
        self._clock = clock
        self._lock = threading.Lock()
        self._keep = {name: camera.keep for name, camera in config.cameras.items()}
        self._wanted = dict(config.cameras)
        self._admitted: dict[CameraName, tuple[object, ...]] = {}
        self._recorders: dict[CameraName, Recorder] = {}
        self._relays: dict[CameraName, KeptProcess] = {}
        self.coverage: dict[CameraName, float | None] = {}
        self._coverage_due_s: dict[CameraName, float] = {}
        root = config.recording.root
        make_writable(root)
        for name in self._wanted:
            self._admit(name)
        self._catalog = Catalog(root / CATALOG_NAME)
        self._catalog.reconcile(root)
        self._ages = CautiousClock(clock, self._catalog.last_end_ns())
        self._health = StorageHealth(self._catalog, clock, emit)
        if config.cameras:
            self._health.follow(self._recorders)
        self._look_due_s = self._sweep_due_s = self._floor_due_s = clock.monotonic_s()
        self._exhausted = self._no_space = False
        self._errors: dict[str, str] = {}
        self._filed = self._filed_bytes = 0
        self._deleted = 0
        copies = config.recording.copy_events
        self._copier = None if copies is None else Copier(config.recording, copies, clock)

    def record(self, cameras: Mapping[CameraName, Camera], keep: Mapping[CameraName, CameraRetention] | None = None) -> None:
        """Record these and no others; one that is recorded as wanted is not touched.

        Recorders and relays that somebody has left here for other cameras are ended too, and what they wrote is filed.

        Args:
            keep: what cameras have otherwise of which there may be footage here, though they are recorded elsewhere.
        """
        with self._lock:
            self._keep = {name: camera.keep for name, camera in cameras.items()} | dict(keep or {})
            self._wanted = dict(cameras)
            wanted = {name: _as_recorded(camera) for name, camera in cameras.items()}
            self._retire([name for name, running in self._admitted.items() if wanted.get(name) != running])
            self._admit_missing()
            self._end_strangers()
            self._health.follow(self._recorders)

    @property
    def cameras(self) -> list[CameraName]:
        """What it was told to record."""
        return list(self._wanted)

    @property
    def recording(self) -> list[CameraName]:
        """Cameras of which footage comes: frames, and not only the beginning of a file."""
        with self._lock:
            return [name for name, recorder in self._recorders.items() if recorder.recording and recorder.footage is not None]

    def tick(self) -> None:
        """One look at everything: processes that have ended at every call, all else about once a second.

        What goes wrong with one camera is logged, kept for the status, and hinders no other.
        """
        with self._lock:
            now_s = self._clock.monotonic_s()
            if now_s >= self._look_due_s:
                self._look_due_s = now_s + _LOOK_S
                self._admit_missing()
                self._guarded("catalog", self._mend_catalog)
                for name, recorder in self._recorders.items():
                    self._guarded(f"segments of {name}", partial(self._file, recorder))
                self._guarded("coverage", partial(self._measure, now_s))  # what is written now follows what was filed
                for name, recorder in self._recorders.items():
                    self._guarded(f"recorder of {name}", recorder.watch)
                self._guarded("footage events", self._health.look_at_footage)
                self._rotate(now_s)
            for name, relayed in self._relays.items():
                self._guarded(f"relay of {name}", relayed.check)
            self._start_recorders()

    def _start_recorders(self) -> None:
        started = 0
        for name, recorder in self._recorders.items():
            if started < self._recording.start_batch:
                before = recorder.starts
                self._guarded(f"start of the recorder of {name}", recorder.check)
                started += recorder.starts - before

    def status(self) -> dict[str, Any]:
        """Recorders and relays by camera, totals of the catalog, and what has last gone wrong."""
        with self._lock:
            disk = shutil.disk_usage(self._recording.root)
            errors, copied = dict(self._errors), {}
            if self._copier is not None:
                copied = {"segments_copied": self._copier.copied, "copies_owed": len(self._copier.owed)}
                errors |= {"second copy": self._copier.error} if self._copier.error else {}
            return {
                "pid": os.getpid(),
                "root": str(self._recording.root),
                "recorders": {name: self._recorder_status(name) for name in self._recorders},
                "relays": {name: _process_status(relayed) for name, relayed in self._relays.items()},
                "segments_filed": self._filed,
                "filed_bytes": self._filed_bytes,
                "segments_deleted": self._deleted,
                "free_bytes": disk.free,
                "disk_bytes": disk.total,
                **copied,
                "errors": errors,
            }

    def close(self, *, keep_recording: bool) -> None:
        """End the processes and file what they wrote, or leave them running; then close the catalog."""
        with self._lock:
            if not keep_recording:
                for recorder in self._recorders.values():
                    self._guarded("stopping a recorder", recorder.stop)
                for relayed in self._relays.values():
                    self._guarded("stopping a relay", relayed.stop)
                self._health.close()
            for name, recorder in self._recorders.items():
                self._guarded(f"segments of {name}", partial(self._file, recorder))
            if self._copier is not None:
                self._copier.close()
            self._catalog.close()

    def _admit(self, name: CameraName) -> None:
        camera = self._wanted[name]
        if camera.recorded:
            self._recorders[name] = Recorder(name, camera.source, self._recording, self._clock)
            self.coverage[name] = None
            self._coverage_due_s[name] = self._clock.monotonic_s()
        if camera.pull is not None:
            self._relays[name] = relay(name, camera.pull, camera.source, self._recording.root / RUN_DIR, self._clock)
        self._admitted[name] = _as_recorded(camera)

    def _admit_missing(self) -> None:
        """Those whose folder could not be written are tried again at the next look."""
        for name in self._wanted.keys() - self._admitted.keys():
            self._guarded(f"folder of {name}", partial(self._admit, name))

    def _retire(self, cameras: Sequence[CameraName]) -> None:
        """End their processes, all at once, and file what they wrote."""
        recorders = [recorder for name in cameras if (recorder := self._recorders.pop(name, None)) is not None]
        relays = [relayed for name in cameras if (relayed := self._relays.pop(name, None)) is not None]
        with ThreadPoolExecutor(_STOPS) as pool:
            list(pool.map(partial(self._guarded, "stopping a relay"), [relayed.stop for relayed in relays]))
            list(pool.map(partial(self._guarded, "stopping a recorder"), [recorder.stop for recorder in recorders]))
        for recorder in recorders:
            self._guarded(f"segments of {recorder.camera}", partial(self._file, recorder))
        for name in cameras:
            self._admitted.pop(name)
            self.coverage.pop(name, None)
            self._coverage_due_s.pop(name, None)
            for what in [what for what in self._errors if what.endswith(f" of {name}")]:
                del self._errors[what]

    def _end_strangers(self) -> None:
        """What a life before left running, for cameras that are recorded elsewhere by now or no more, and what it wrote."""
        root, run_dir = self._recording.root, self._recording.root / RUN_DIR
        known = {f"recorder-{name}" for name in self._recorders} | {f"relay-{name}" for name in self._relays}
        left = [DetachedProcess.adopt(file.stem, run_dir) for file in run_dir.glob("*.pid") if file.stem not in known]
        self._guarded("stopping what was left", lambda: stop_all([process for process in left if process is not None]))
        for folder in root.glob(f"*/{INCOMING}"):
            camera = CameraName(folder.parent.name)
            if camera not in self._wanted:
                self._guarded(f"segments of {camera}", partial(self._add, file_closed(root, camera, None)))

    def _mend_catalog(self) -> None:
        """Somebody has deleted the catalog, or its disk has damaged it: make it anew from the files."""
        try:
            self._catalog.deleting()
        except DamagedCatalog:
            self._catalog.reconcile(self._recording.root)
        if self._catalog.renewed:
            self._catalog.reconcile(self._recording.root)

    def _recorder_status(self, name: CameraName) -> dict[str, Any]:
        recorder = self._recorders[name]
        return {
            "pid": recorder.pid,
            "starts": recorder.starts,
            "recording": recorder.recording,
            "coverage_24h": self.coverage[name],
            "last_error": recorder.last_error,
        }

    def _measure(self, now_s: float) -> None:
        """The coverage of the camera that is due first; of one only, so that many do not hold up a look."""
        name = min(self._coverage_due_s, key=self._coverage_due_s.__getitem__, default=None)
        if name is not None and now_s >= self._coverage_due_s[name]:
            share = coverage_now(self._catalog, self._recorders[name], self._clock.now_ns())
            self.coverage[name] = share
            self._coverage_due_s[name] = now_s if share is None else now_s + _COVERAGE_S

    def _file(self, recorder: Recorder) -> None:
        self._add(recorder.collect())

    def _add(self, segments: Iterable[Segment]) -> None:
        for segment in segments:
            self._catalog.add_segment(segment)
            self._filed += 1
            self._filed_bytes += segment.size_bytes
            if segment.camera in self._coverage_due_s:
                self._coverage_due_s[segment.camera] = 0.0  # at once, in this look

    def _rotate(self, now_s: float) -> None:
        """Sweep when it is due, and at once when the disk is too full; not again and again when that frees nothing."""
        low = self._below_floor()
        full = low and now_s >= self._floor_due_s
        if full or now_s >= self._sweep_due_s:
            self._sweep_due_s = now_s + self._recording.sweep_s
            before = self._deleted
            self._guarded("rotation", self._sweep)
            self._exhausted = low and self._deleted == before
            if self._exhausted:
                self._floor_due_s = self._sweep_due_s
        if self._no_space or (low and self._exhausted):
            self._health.disk_is_low(self._low())
        elif not low:
            self._exhausted = False
            self._health.disk_is_well()
        self._no_space = False

    def _below_floor(self) -> bool:
        """Whether the disk is fuller than it may be: asked at every look, since a disk can fill in seconds."""
        disk = shutil.disk_usage(self._recording.root)
        return disk.free < self._recording.keep.min_free.of(disk.total)

    def _low(self) -> str:
        disk = shutil.disk_usage(self._recording.root)
        floor_bytes = self._recording.keep.min_free.of(disk.total)
        what = "the disk takes no more" if self._no_space else "rotation finds no more to delete"
        return f"{disk.free} bytes free, min_free is {floor_bytes}; {what}"

    def _sweep(self) -> None:
        root = self._recording.root
        deletions = planned_now(self._catalog, self._recording, self._keep, self._ages.now_ns())
        owed = frozenset() if self._copier is None else self._copier.owed
        for deletion in deletions:
            if deletion.segment.path in owed:
                log.warning("%s goes without a second copy: %s", deletion.segment.path, deletion.reason)
        sweep(self._catalog, root, deletions)
        self._deleted += len(deletions)

    def _guarded(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
            self._errors.pop(what, None)
        except RaycctvError as error:
            self._no_space |= _is_full(error)
            if self._errors.get(what) != str(error):
                log.error("%s: %s", what, error)
            self._errors[what] = str(error)


def _as_recorded(camera: Camera) -> tuple[object, ...]:
    """What of a camera its recorder and its relay depend on."""
    return camera.source, camera.pull, camera.recorded


def coverage_now(catalog: Catalog, recorder: Recorder, now_ns: int) -> float | None:
    """Of the last 24 hours, or since the camera's first footage, what is being written included; None without any."""
    from_ns = now_ns - _DAY_NS
    recorded = catalog.recorded(recorder.camera, from_ns)
    if recorder.footage is not None and recorder.writing_since_ns is not None:
        recorded.append((recorder.writing_since_ns, recorder.footage.at_ns))
    earlier, _ = catalog.around(Span(recorder.camera, from_ns, now_ns))
    if not recorded and earlier is None:
        return None
    if earlier is None:
        from_ns = max(from_ns, min(start_ns for start_ns, _ in recorded))
    to_ns = recorder.footage.at_ns if recorder.recording and recorder.footage is not None else now_ns
    return coverage(recorder.camera, recorded, catalog.offline(recorder.camera, from_ns), from_ns, to_ns).share


def planned_now(
    catalog: Catalog, recording: Recording, keep: Mapping[CameraName, CameraRetention], now_ns: int
) -> list[Deletion]:
    """What the rules would delete at this moment, with the reasons; deletes nothing.

    Args:
        keep: what cameras have otherwise than ``recording.keep``.
    """
    disk = shutil.disk_usage(recording.root)
    rules = Rules(recording.keep, dict(keep), catalog.protected())
    return plan(catalog, rules, disk.free, disk.total, now_ns)


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is the cause."""
    while error is not None and not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
        error = error.__cause__
    return error is not None


def _process_status(kept: KeptProcess) -> dict[str, Any]:
    return {"pid": kept.process.pid if kept.process else None, "starts": kept.starts, "last_error": kept.last_error}
