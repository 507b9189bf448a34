"""Events into the local log and the catalog."""

import os
from collections import Counter
from typing import Any

import ray

from raycctv.clock import SystemClock
from raycctv.config import Config
from raycctv.types import CameraName, Event


@ray.remote
class Sink:
    """Records each state of an event once, however often it is told: Ray repeats calls that a dead sink left unanswered."""

    def __init__(self, config: Config, digest: str) -> None:
        from raycctv.recording.catalog import CATALOG_NAME, Catalog
        from raycctv.recording.recorder import make_writable
        from raycctv.sinks.event_log import EventLog
        from raycctv.sinks.record import EventRecorder

        logs, root = config.logs, config.recording.root
        make_writable(root)
        event_log = EventLog(logs.dir, logs.max_size, logs.backups)
        self._digest = digest
        self._recorder = EventRecorder(logs.dir, event_log, Catalog(root / CATALOG_NAME), SystemClock())
        self._recorded: Counter[str] = Counter()

    def record(self, event: Event, snapshot_jpeg: bytes | None) -> None:
        """Write down a new state of an event."""
        self._recorder.record(event, snapshot_jpeg)
        self._recorded[event.kind] += 1

    def abandon(self, camera: CameraName) -> None:
        """The camera's reader started anew: what its predecessor left open has ended."""
        self._recorder.abandon(camera)

    def digest(self) -> str:
        """Of what it was started with."""
        return self._digest

    def stop(self) -> None:
        """Record no more; everything told so far is on disk."""
        self._recorder.close()

    def status(self) -> dict[str, Any]:
        """Counts since the start of this process."""
        return {"pid": os.getpid(), "recorded": dict(self._recorded)}
