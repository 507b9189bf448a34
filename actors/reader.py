"""One camera's reader."""

import itertools
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import ray

from raycctv.clock import SystemClock
from raycctv.config import Camera, Config
from raycctv.types import CameraName

if TYPE_CHECKING:
    from actors.batching import Images
    from raycctv.live import Verdicts
    from raycctv.pipeline import Report

log = logging.getLogger(__name__)


@ray.remote
class Reader:
    """Runs :class:`raycctv.live.LiveReader` in a thread, with the detectors and the sink of the cluster.

    Args:
        detectors: asked in turn.
        sink: is given every new state of an event.
    """

    def __init__(
        self, name: CameraName, camera: Camera, config: Config, detectors: Sequence[Any], sink: Any, digest: str
    ) -> None:
        from raycctv.live import LiveReader

        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._digest = digest
        self._turn = itertools.cycle(detectors)
        self._sink = sink
        self._reader = LiveReader(name, camera, config, SystemClock(), self._ask, self._emit)
        sink.abandon.remote(name)
        self._thread = threading.Thread(target=self._reader.run, name=f"read {name}", daemon=True)
        self._thread.start()

    def digest(self) -> str:
        """Of what it was started with."""
        return self._digest

    def status(self) -> dict[str, Any]:
        """See :class:`raycctv.live.ReaderStats`."""
        if not self._thread.is_alive() and self._reader.stats.state != "ended":
            raise RuntimeError(f"{self._reader.stats.camera}: the reading thread has died; see this actor's log")
        return self._reader.stats.as_json()

    def stop(self) -> None:
        """Stop reading; returns at once."""
        self._reader.stop()

    def _ask(self, images: "Images") -> "Future[Verdicts]":
        future: Future[Verdicts] = next(self._turn).detect.remote(images).future()
        return future

    def _emit(self, report: "Report") -> None:
        self._sink.record.remote(report.event, report.snapshot_jpeg)
