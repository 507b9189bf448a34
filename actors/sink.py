"""Events into the local log and the catalog, and from there to servers."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import ray

from actors.logs import log_to_servers
from actors.metrics import Publisher, Sample, of_sink
from raycctv.clock import SystemClock
from raycctv.config import Config
from raycctv.errors import RaycctvError
from raycctv.sealing import Sealed
from raycctv.types import CameraName, Event

log = logging.getLogger(__name__)

_EVENTS, _HEALTH = "events", "health"
"""What may go wrong."""


@ray.remote
class Sink:
    """Records each state of an event once, however often it is told: Ray repeats calls that a dead sink left unanswered."""

    def __init__(self, name: str, sealed: Sealed[Config], digest: str) -> None:
        from raycctv.health import SinkHealth
        from raycctv.recording.catalog import CATALOG_NAME, Catalog
        from raycctv.recording.recorder import make_writable
        from raycctv.sinks.event_log import EventLog
        from raycctv.sinks.post import Post
        from raycctv.sinks.record import EventRecorder

        config = sealed.open()
        loki = log_to_servers("sink", None, config, file=name.replace(":", "-"))
        logs, root = config.logs, config.recording.root
        make_writable(root)
        event_log = EventLog(logs.dir, logs.max_size, logs.backups)
        self._digest = digest
        clock = SystemClock()
        self._post = Post(config, clock, loki)
        catalog = Catalog(root / CATALOG_NAME)
        self._recorder = EventRecorder(logs.dir, event_log, catalog, clock, self._post.put)
        self._health = SinkHealth(catalog, clock, lambda event: self.record(event, None))
        self._recorded: Counter[str] = Counter()
        self._errors: dict[str, str] = {}
        self._me = ray.get_runtime_context().current_actor
        self._metrics = Publisher(self._samples, loki)

    def record(self, event: Event, snapshot_jpeg: bytes | None, post: bool = True) -> None:
        """Write down a new state of an event.

        Args:
            post: tell servers, too; another sink does where this one keeps a replica.
        """
        self._recorded[event.kind] += 1
        self._guarded(_EVENTS, partial(self._recorder.record, event, snapshot_jpeg, post=post))

    def abandon(self, camera: CameraName, post: bool = True) -> None:
        """The camera's reader started anew: what its predecessor left open has ended."""
        self._guarded(_EVENTS, partial(self._recorder.abandon, camera, post=post))

    def serve(self, cameras: Sequence[CameraName]) -> None:
        """Whose events this one is told; what is open of others has ended here."""
        self._guarded(_EVENTS, partial(self._recorder.release, cameras))

    def detector_is_busy(self, name: str, share: float) -> None:
        """A detector has computed for this share of the last seconds."""
        self._guarded(_HEALTH, partial(self._health.detector_is_busy, name, share))

    def look_at_servers(self) -> None:
        """Whether one is behind; every few seconds."""
        self._guarded(_HEALTH, lambda: self._health.servers_are_owed(self._post.oldest_ns()))

    def _guarded(self, what: str, action: Callable[[], None]) -> None:
        """Nobody waits for an answer, so what goes wrong is logged here, once, and kept for the status."""
        try:
            action()
            self._errors.pop(what, None)
        except RaycctvError as error:
            if self._errors.get(what) != str(error):
                log.error("%s: %s", what, error)
            self._errors[what] = str(error)

    def holds(self) -> tuple[str, list[CameraName]]:
        """Digest of what it was started with, and no cameras: it takes what it is told."""
        return self._digest, []

    def stop(self) -> None:
        """Record no more; everything told so far is on disk, and what servers are owed stays in the outbox."""
        self._guarded(_EVENTS, self._recorder.settle)
        self._metrics.close()
        self._recorder.close()
        self._post.close()

    def status(self) -> dict[str, Any]:
        """Counts since the start of this process: told by kind, owed to a disk that cannot be written, lost; by server, see
        :meth:`raycctv.sinks.delivery.Delivery.status`.
        """
        self._guarded(_EVENTS, self._recorder.settle)
        counts = self._counts()
        return counts if not self._errors else {**counts, "last_error": "; ".join(self._errors.values())}

    def _samples(self) -> Iterator[Sample]:
        self._me.look_at_servers.remote()  # in turn with all other calls: events are recorded by one thread
        yield from of_sink(self._counts())

    def _counts(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "recorded": dict(self._recorded),
            "owed": self._recorder.owed,
            "lost": self._recorder.lost,
            "servers": self._post.status(),
        }
