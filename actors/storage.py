"""Footage on this machine's disk."""

import logging
import threading
from typing import Any

import ray
from ray.util.metrics import Gauge

from raycctv.clock import SystemClock
from raycctv.config import Config
from raycctv.types import CameraName, Event

log = logging.getLogger(__name__)

_TICK_S = 0.25


@ray.remote
class Storage:
    """Runs :class:`raycctv.storage.Storage` in a thread. Recorders outlive this actor, and its next life adopts them.

    Args:
        sink: is given every new state of an event.
    """

    def __init__(self, config: Config, sink: Any, digest: str) -> None:
        from raycctv.load import go_first
        from raycctv.storage import Storage as LocalStorage

        go_first()
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._digest = digest
        self._sink = sink
        self._coverage = Gauge(
            "raycctv_recording_coverage_ratio",
            description="Share of the last 24 hours in which a camera was sending and was recorded.",
            tag_keys=("camera",),
        )
        self._storage = LocalStorage(config, SystemClock(), self._emit)
        self._told: dict[CameraName, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._thread.start()

    def digest(self) -> str:
        """Of what it was started with."""
        return self._digest

    def status(self) -> dict[str, Any]:
        """See :meth:`raycctv.storage.Storage.status`."""
        return self._storage.status()

    def stop(self, keep_recording: bool) -> None:
        """Look after it no longer; end the recorders and relays, and file what they wrote, unless told to keep them."""
        self._stop.set()
        self._thread.join()
        self._storage.close(keep_recording=keep_recording)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._storage.tick()
                self._tell_coverage()
            except Exception:  # one bad second must not end the looking-after
                log.exception("storage: a look at the recorders failed; going on")
            self._stop.wait(_TICK_S)

    def _tell_coverage(self) -> None:
        """Only what has changed: it is measured once a minute."""
        for camera, share in self._storage.coverage.items():
            if share is not None and self._told.get(camera) != share:
                self._told[camera] = share
                self._coverage.set(share, tags={"camera": camera})

    def _emit(self, event: Event) -> None:
        self._sink.record.remote(event, None)
