"""Who watches what :mod:`raycctv.events.health` decides about: a reader its camera, the storage actor footage and disk, the
sink the detectors and the servers that it tells.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from raycctv.clock import NS_PER_S, Clock
from raycctv.events.health import Fault, FootageFault
from raycctv.recording.catalog import Catalog
from raycctv.recording.recorder import Recorder
from raycctv.types import (
    CAMERA_OFFLINE,
    DETECTOR_OVERLOAD,
    DISK_LOW,
    NO_CAMERA,
    RECORDING_GAP,
    SINK_BEHIND,
    Arrival,
    CameraName,
    Event,
    Span,
)

AWAY_S = 3.0
"""Time for which a camera must have been away."""


class Presence:
    """Follows one live stream. A reader waits inside its connection for a camera that is away, so a timer looks meanwhile.

    The event begins with the last packet, or with the first :meth:`lost` where none had come, and ends with the next packet.

    Args:
        emit: takes each state of the event, from the caller's thread or the timer's.
    """

    def __init__(self, camera: CameraName, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._clock = clock
        self._emit = emit
        self._fault = Fault(camera, CAMERA_OFFLINE, AWAY_S)
        self._lock = threading.Lock()
        self._seen: Arrival | None = None
        self._why = ""
        self._timer: threading.Timer | None = None
        self._closed = False

    def seen(self, at_ns: int) -> None:
        """A packet came."""
        with self._lock:
            self._seen = Arrival(at_ns, self._clock.monotonic_s())
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
                self._tell(self._fault.right(at_ns))

    def lost(self, why: str) -> None:
        """There is no connection, or none yet. It may be said again and again."""
        with self._lock:
            self._why = why
            if self._timer is None and not self._closed:
                self._seen = self._seen or Arrival(self._clock.now_ns(), self._clock.monotonic_s())
                self._arm()

    def close(self) -> None:
        """Nobody follows it any more. Idempotent."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._tell(self._fault.right(self._clock.now_ns()))

    def _look(self) -> None:
        with self._lock:
            if self._timer is None or self._seen is None:
                return
            lasted_s = self._clock.monotonic_s() - self._seen.at_s
            if lasted_s < AWAY_S:
                self._arm()
            self._tell(self._fault.wrong(self._seen.at_ns, lasted_s, self._why))

    def _arm(self) -> None:
        assert self._seen is not None
        away_s = self._clock.monotonic_s() - self._seen.at_s
        self._timer = threading.Timer(max(AWAY_S - away_s, 0), self._look)
        self._timer.daemon = True
        self._timer.start()

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._emit(event)


class StorageHealth:
    """The events ``recording_gap`` of every recorder, and ``disk_low``. Those of an earlier life that are open are continued.

    Call :meth:`follow` before the first look.

    Args:
        emit: takes each state of an event.

    Raises (every method):
        CatalogError: the catalog cannot be read.
    """

    def __init__(self, catalog: Catalog, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._catalog = catalog
        self._recorders: dict[CameraName, Recorder] = {}
        self._clock = clock
        self._emit = emit
        self._gaps: dict[CameraName, FootageFault] = {}
        self._disk = Fault(NO_CAMERA, DISK_LOW, 0.0, next(iter(catalog.open_events(DISK_LOW)), None))

    def follow(self, recorders: Mapping[CameraName, Recorder]) -> None:
        """Look after these and no others; what is open of others has ended."""
        for camera in [camera for camera, recorder in self._recorders.items() if recorders.get(camera) is not recorder]:
            self._tell(self._gaps.pop(camera).close(self._clock.now_ns()))
        self._recorders = dict(recorders)
        going_on = {event.camera: event for event in self._catalog.open_events(RECORDING_GAP)}
        for camera in recorders.keys() - self._gaps.keys():
            self._gaps[camera] = self._gap(camera, going_on.get(camera))
        for camera in going_on.keys() - recorders.keys():
            left = going_on[camera]
            self._tell(replace(left, ended_at_ns=max(self._clock.now_ns(), left.started_at_ns)))

    def look_at_footage(self) -> None:
        """About once a second."""
        now = Arrival(self._clock.now_ns(), self._clock.monotonic_s())
        offline = {event.camera: event.started_at_ns for event in self._catalog.open_events(CAMERA_OFFLINE)}
        for camera, gap in self._gaps.items():
            recorder = self._recorders[camera]
            self._tell(gap.look(now, recorder.footage, offline.get(camera), recorder.last_error))

    def disk_is_low(self, why: str) -> None:
        """It may be said again and again."""
        self._tell(self._disk.wrong(self._clock.now_ns(), 0.0, why))

    def disk_is_well(self) -> None:
        """It may be said again and again."""
        self._tell(self._disk.right(self._clock.now_ns()))

    def close(self) -> None:
        """Nobody looks any more: all has ended."""
        now_ns = self._clock.now_ns()
        for gap in self._gaps.values():
            self._tell(gap.close(now_ns))
        self._tell(self._disk.right(now_ns))

    def _gap(self, camera: CameraName, going_on: Event | None) -> FootageFault:
        """A gap begins with the last footage, or where the last gap that was told ended."""
        now_ns = self._clock.now_ns()
        last, _ = self._catalog.around(Span(camera, now_ns, now_ns + 1))
        ends_ns = [event.ended_at_ns or now_ns for event in self._catalog.events(camera, RECORDING_GAP, limit=1)]
        ends_ns += [] if last is None else [last.ended_at_ns]
        return FootageFault(camera, max(ends_ns, default=now_ns), self._clock.monotonic_s(), going_on)

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._emit(event)


BUSY_SHARE = 0.95
"""Share of the time in which a detector computes, above which what comes more is dropped."""

OVERLOAD_S = 60.0
BEHIND_S = 120.0
"""Age of the oldest thing that a server has not confirmed; a restart of one takes less."""


class SinkHealth:
    """The events ``detector_overload`` and ``sink_behind``. Those of an earlier life that are open are continued.

    Args:
        emit: takes each state of an event.
    """

    def __init__(self, catalog: Catalog, clock: Clock, emit: Callable[[Event], None]) -> None:
        self._clock = clock
        self._emit = emit
        self._busy_since: dict[str, Arrival] = {}
        going_on = {kind: next(iter(catalog.open_events(kind)), None) for kind in (DETECTOR_OVERLOAD, SINK_BEHIND)}
        self._overload = Fault(NO_CAMERA, DETECTOR_OVERLOAD, OVERLOAD_S, going_on[DETECTOR_OVERLOAD])
        self._behind = Fault(NO_CAMERA, SINK_BEHIND, BEHIND_S, going_on[SINK_BEHIND])

    def detector_is_busy(self, name: str, share: float) -> None:
        """A detector has computed for this share of the last seconds."""
        now = Arrival(self._clock.now_ns(), self._clock.monotonic_s())
        if share < BUSY_SHARE:
            self._busy_since.pop(name, None)
        else:
            self._busy_since.setdefault(name, now)
        if not self._busy_since:
            self._tell(self._overload.right(now.at_ns))
            return
        since = min(self._busy_since.values(), key=lambda arrival: arrival.at_s)
        why = f"{', '.join(sorted(self._busy_since))} computed for {share:.0%} of the time; crops are dropped"
        self._tell(self._overload.wrong(since.at_ns, now.at_s - since.at_s, why))

    def servers_are_owed(self, oldest_ns: Mapping[str, int]) -> None:
        """By server that is owed something: since when. Ask for it every few seconds."""
        now_ns = self._clock.now_ns()
        if not oldest_ns:
            self._tell(self._behind.right(now_ns))
            return
        name = min(oldest_ns, key=oldest_ns.__getitem__)
        age_s = (now_ns - oldest_ns[name]) / NS_PER_S
        if age_s < BEHIND_S:
            self._tell(self._behind.right(now_ns))
        else:
            why = f"{name} has not confirmed what it is owed for {age_s:.0f} s; it waits in the outbox"
            self._tell(self._behind.wrong(oldest_ns[name], age_s, why))

    def _tell(self, event: Event | None) -> None:
        if event is not None:
            self._emit(event)
