"""One camera's reader."""

import itertools
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import ray

from actors.logs import log_to_servers
from actors.metrics import Publisher, of_reader
from raycctv.clock import SystemClock
from raycctv.config import Camera, Config
from raycctv.types import CameraName

if TYPE_CHECKING:
    from actors.batching import Images
    from raycctv.live import LiveReader, Verdicts
    from raycctv.pipeline import Report

log = logging.getLogger(__name__)

_PAUSE_S = 1.0


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
        from raycctv.load import give_way

        give_way()
        loki = log_to_servers("reader", name, config)
        self._name, self._camera, self._config = name, camera, config
        self._digest = digest
        self._turn = itertools.cycle(detectors)
        self._sink = sink
        self._stopped = threading.Event()
        self._failures = 0
        self._reader = self._new_reader()
        self._metrics = Publisher(lambda: of_reader(self._reader.stats), loki)
        self._thread = threading.Thread(target=self._run, name=f"read {name}", daemon=True)
        self._thread.start()

    def digest(self) -> str:
        """Of what it was started with."""
        return self._digest

    def status(self) -> dict[str, Any]:
        """See :class:`raycctv.live.ReaderStats`; ``failures`` counts how often a fault of ours made reading start anew."""
        return {**self._reader.stats.as_json(), "failures": self._failures}

    def sample(self) -> dict[str, Any]:
        """``lags_s`` of the frames since the last call, which are forgotten here, and ``dropped`` as in the status.

        For a trial, which takes percentiles of its own over times of its own.
        """
        stats = self._reader.stats
        return {"lags_s": [stats.lags_s.popleft() for _ in range(len(stats.lags_s))], "dropped": dict(stats.dropped)}

    def stop(self) -> None:
        """Stop reading; returns at once."""
        self._stopped.set()
        self._metrics.close()
        self._reader.stop()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._reader.run()
                return
            except Exception:  # a fault of ours must not blind a camera for ever
                log.exception("%s: reading failed; it starts anew in %g s", self._name, _PAUSE_S)
                self._reader.stop()
                self._failures += 1
                self._stopped.wait(_PAUSE_S)
                self._reader = self._new_reader()

    def _new_reader(self) -> "LiveReader":
        from raycctv.live import LiveReader

        self._sink.abandon.remote(self._name)
        return LiveReader(self._name, self._camera, self._config, SystemClock(), self._ask, self._emit)

    def _ask(self, images: "Images") -> "Future[Verdicts]":
        future: Future[Verdicts] = next(self._turn).detect.remote(images).future()
        return future

    def _emit(self, report: "Report") -> None:
        self._sink.record.remote(report.event, report.snapshot_jpeg)
