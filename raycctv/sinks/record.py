"""Recording an event: its picture, its line in the log, its row in the catalog."""

import logging
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from raycctv.clock import Clock
from raycctv.errors import RecordingError
from raycctv.sinks.event_log import EventLog, to_json, write_snapshot
from raycctv.types import NO_CAMERA, RECORDING_GAP, CameraName, Event, Segment

log = logging.getLogger(__name__)

_OWED_MAX = 200
"""States kept while nothing can be written. With a picture of 130 kB each they take 26 MB."""


class EventCatalog(Protocol):
    """What is needed of a catalog; see :class:`raycctv.recording.catalog.Catalog`."""

    def put_event(self, event: Event) -> None: ...

    def event(self, event_id: str) -> Event | None: ...

    def unended_events(self, camera: CameraName) -> list[Event]: ...

    def open_events(self, kind: str | None = None) -> list[Event]: ...

    def segments_of(self, event: Event) -> list[Segment]: ...

    def close(self) -> None: ...


class EventRecorder:
    """Records each state of an event once, however often it is given.

    The line is written first: an event that is in the catalog is in the log, and was posted. A crash between any two of the
    three writes and posts the line again when the state is given again; the id tells.

    Args:
        post: puts a state, and its line, into the outbox.
    """

    def __init__(
        self,
        folder: Path,
        event_log: EventLog,
        catalog: EventCatalog,
        clock: Clock,
        post: Callable[[Event, dict[str, Any]], None] = lambda *_: None,
    ) -> None:
        self.lost = 0
        self._post = post
        self._folder = folder
        self._log = event_log
        self._catalog = catalog
        self._clock = clock
        self._owed: deque[tuple[Event, bytes | None, bool]] = deque()

    @property
    def owed(self) -> int:
        """States that could not be written yet."""
        return len(self._owed)

    def record(self, event: Event, snapshot_jpeg: bytes | None, *, post: bool = True) -> None:
        """Record a state of an event, and post it unless told not to. Without a picture it keeps the one that it has.

        What cannot be written now is kept in memory and written, in order, before what comes next; of more than 200 states
        the oldest is given up and counted as ``lost``.

        Raises:
            RecordingError: the log cannot be written; the state is kept.
            CatalogError: the catalog cannot; the line stands in the log, and the state is kept.
        """
        self._owed.append((event, snapshot_jpeg, post))
        if len(self._owed) > _OWED_MAX:
            lost, *_ = self._owed.popleft()
            self.lost += 1
            log.error("%s: event %s is lost: too many wait for a disk that cannot be written", lost.camera, lost.id)
        self.settle()

    def settle(self) -> None:
        """Write what is owed.

        Raises:
            RecordingError, CatalogError: as for :meth:`record`.
        """
        while self._owed:
            self._write(*self._owed[0])
            self._owed.popleft()

    def _write(self, event: Event, snapshot_jpeg: bytes | None, post: bool) -> None:
        known = self._catalog.event(event.id)
        if known is not None and (known.ended_at_ns is not None or event.ended_at_ns is None):
            return
        if known is not None:
            event = replace(event, snapshot=known.snapshot)
        event = replace(event, snapshot=self._snapshot(event, snapshot_jpeg))
        line = to_json(event, [segment.path for segment in self._catalog.segments_of(event)])
        self._log.write(line)
        if post:
            self._post(event, line)
        self._catalog.put_event(event)

    def abandon(self, camera: CameraName, *, post: bool = True) -> None:
        """Nobody follows what the camera's reader left open: it has ended, now at the latest. A gap is not a reader's."""
        for event in self._catalog.unended_events(camera):
            if event.kind == RECORDING_GAP:
                continue
            why = f"{event.why}; ended because the camera's reader started anew"
            self.record(replace(event, ended_at_ns=max(self._clock.now_ns(), event.started_at_ns), why=why), None, post=post)

    def release(self, kept: Collection[CameraName]) -> None:
        """Nobody tells this one any more what becomes of other cameras: what is open of them has ended here. Servers are not
        told: who is told instead knows better.
        """
        for event in self._catalog.open_events():
            if event.camera not in kept and event.camera != NO_CAMERA and event.kind != RECORDING_GAP:
                why = f"{event.why}; ended here because another node keeps the camera's events"
                ended_at_ns = max(self._clock.now_ns(), event.started_at_ns)
                self.record(replace(event, ended_at_ns=ended_at_ns, why=why), None, post=False)

    def close(self) -> None:
        """Idempotent."""
        self._log.close()
        self._catalog.close()

    def _snapshot(self, event: Event, jpeg: bytes | None) -> str | None:
        if jpeg is None:
            return event.snapshot
        try:
            return write_snapshot(self._folder, event, jpeg)
        except RecordingError as error:  # an event without its picture is better than none
            log.warning("%s", error)
            return event.snapshot
