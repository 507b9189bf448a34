"""Footage on this machine's disk."""

import logging
import threading
from typing import Any

import ray

from actors.logs import log_to_servers
from actors.metrics import Publisher, of_storage
from raycctv.clock import SystemClock
from raycctv.config import Config
from raycctv.types import Event

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
        loki = log_to_servers("storage", None, config)
        self._digest = digest
        self._sink = sink
        self._storage = LocalStorage(config, SystemClock(), self._emit)
        self._metrics = Publisher(lambda: of_storage(self._storage.status()), loki)
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
        self._metrics.close()
        self._thread.join()
        self._storage.close(keep_recording=keep_recording)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._storage.tick()
            except Exception:  # one bad second must not end the looking-after
                log.exception("storage: a look at the recorders failed; going on")
            self._stop.wait(_TICK_S)

    def _emit(self, event: Event) -> None:
        self._sink.record.remote(event, None)
