"""Footage on this machine's disk."""

import logging
import threading
from typing import Any

import ray

from actors.logs import log_to_servers
from actors.metrics import Publisher, of_storage
from actors.revival import ask_again
from raycctv.clock import SystemClock
from raycctv.config import Camera, CameraRetention, Config
from raycctv.sealing import Sealed
from raycctv.types import CameraName, Event

Orders = tuple[dict[CameraName, Camera], dict[CameraName, CameraRetention]]
"""What to record, and what cameras that may be recorded elsewhere have otherwise than the rules."""

log = logging.getLogger(__name__)

_TICK_S = 0.25


@ray.remote
class Storage:
    """Runs :class:`raycctv.storage.Storage` in a thread. Recorders outlive this actor, and its next life adopts them.

    It is told what to record by :meth:`record`. One that Ray starts anew has forgotten, and asks to be told again.
    """

    def __init__(self, name: str, sealed: Sealed[Config], digest: str) -> None:
        from raycctv.load import go_first
        from raycctv.recording.layout import claim
        from raycctv.storage import Storage as LocalStorage

        go_first()
        config = sealed.open()
        loki = log_to_servers("storage", None, config, file=name.replace(":", "-"))
        self._digest = digest
        self._claim = claim(config.recording.root)
        self._sink: Any = None
        self._untold: list[Event] = []
        self._storage = LocalStorage(config, SystemClock(), self._emit)
        self._metrics = Publisher(lambda: of_storage(self._storage.status()), loki)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._thread.start()
        ask_again(name)

    def holds(self) -> tuple[str, list[CameraName]]:
        """Digest of what it was started with, and what it was told to record."""
        return self._digest, self._storage.cameras

    def record(self, sealed: "Sealed[Orders]", sink: Any) -> None:
        """Record these cameras and no others; see :meth:`raycctv.storage.Storage.record`.

        Args:
            sink: is given every new state of an event.
        """
        cameras, keep = sealed.open()
        self._sink = sink
        while self._untold:
            self._emit(self._untold.pop(0))
        self._storage.record(cameras, keep)

    def recording(self) -> list[CameraName]:
        """Cameras of which footage comes."""
        return self._storage.recording

    def status(self) -> dict[str, Any]:
        """See :meth:`raycctv.storage.Storage.status`."""
        return self._storage.status()

    def stop(self, keep_recording: bool) -> None:
        """Look after it no longer; end the recorders and relays, and file what they wrote, unless told to keep them."""
        self._stop.set()
        self._metrics.close()
        self._thread.join()
        self._storage.close(keep_recording=keep_recording)
        self._claim.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._storage.tick()
            except Exception:  # one bad second must not end the looking-after
                log.exception("storage: a look at the recorders failed; going on")
            self._stop.wait(_TICK_S)

    def _emit(self, event: Event) -> None:
        if self._sink is None:
            self._untold.append(event)
        else:
            self._sink.record.remote(event, None)
