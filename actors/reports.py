"""What a reader tells sinks of one camera, again where the sink that was told is gone."""

import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from raycctv.types import CameraName, Event

if TYPE_CHECKING:
    from raycctv.pipeline import Report

_KEPT = 50
"""States that are kept until a sink has them. With a picture of 130 kB each they take 6.5 MB."""


@dataclass
class _Told:
    event: Event
    snapshot_jpeg: bytes | None
    reference: Any


class Reports:
    """Thread-safe. Until it knows a sink it keeps what it is told."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sinks: Sequence[Any] = ()
        self._owed: deque[_Told] = deque(maxlen=_KEPT)

    def go_to(self, sinks: Sequence[Any]) -> None:
        """Tell these from now on, and what no sink has confirmed yet again; the first one also tells servers."""
        with self._lock:
            before, self._sinks = [sink._actor_id for sink in self._sinks], tuple(sinks)
            if before != [sink._actor_id for sink in sinks]:
                self._prune()
                for told in self._owed:
                    told.reference = self._record(told.event, told.snapshot_jpeg)

    def tell(self, report: "Report") -> None:
        """A new state of an event."""
        with self._lock:
            self._prune()
            reference = self._record(report.event, report.snapshot_jpeg)
            self._owed.append(_Told(report.event, report.snapshot_jpeg, reference))

    def abandon(self, camera: CameraName) -> None:
        """The camera's reader starts anew: what its predecessor left open has ended."""
        with self._lock:
            for index, sink in enumerate(self._sinks):
                sink.abandon.remote(camera, index == 0)

    def settle(self, timeout_s: float) -> None:
        """Return when the sink has what it was told last, or after ``timeout_s``: calls are answered in turn."""
        with self._lock:
            last = self._owed[-1].reference if self._owed else None
        if last is not None:
            ray.wait([last], timeout=timeout_s)

    def _record(self, event: Event, snapshot_jpeg: bytes | None) -> Any:
        """The call of the first sink."""
        references = [sink.record.remote(event, snapshot_jpeg, index == 0) for index, sink in enumerate(self._sinks)]
        return references[0] if references else None

    def _prune(self) -> None:
        """Forget what the first sink has confirmed."""
        while self._owed and self._confirmed(self._owed[0].reference):
            self._owed.popleft()

    def _confirmed(self, reference: Any) -> bool:
        if reference is None or not ray.wait([reference], timeout=0)[0]:
            return False
        with suppress(RayError):
            ray.get(reference)
            return True
        return False
