"""Readers: one camera each, or several where there are more cameras than a machine has room for processes."""

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

import ray

from actors.logs import log_to_servers
from actors.metrics import Publisher, Sample, of_reader
from actors.reconcile import reconcile
from actors.reports import Reports
from actors.revival import ask_again
from raycctv.clock import SystemClock
from raycctv.config import Camera, CameraRetention, Config, digest
from raycctv.errors import ClusterError
from raycctv.sealing import Sealed
from raycctv.types import CameraName, Picture

if TYPE_CHECKING:
    from actors.batching import Images
    from raycctv.live import LiveReader, ReaderStats, Verdicts

log = logging.getLogger(__name__)

_PAUSE_S = 1.0

_END_S = 8.0
"""Time in which the end of every open event is told, before the supervisor's patience ends."""


@ray.remote
class Reader:
    """Runs a :class:`raycctv.live.LiveReader` for each of its cameras, with the detectors and the sinks that it is told.

    It is told what to read by :meth:`read`. One that Ray starts anew has forgotten, and asks the supervisor to say it again.
    """

    def __init__(self, name: str, sealed: Sealed[Config], its_digest: str) -> None:
        import cv2

        from raycctv.load import READING, give_way

        give_way(READING)
        config = sealed.open()
        loki = log_to_servers("reader", None, config, file=name.replace(":", "-"))
        cv2.setNumThreads(1)  # cameras are what runs side by side
        self._name, self._config, self._digest = name, config, its_digest
        self._turn: Iterator[Any] = iter(())
        self._lock = threading.Lock()
        self._readings: dict[CameraName, _Reading] = {}
        self._reports: dict[CameraName, Reports] = {}
        self._metrics = Publisher(self._samples, loki)
        ask_again(name)

    def holds(self) -> tuple[str, list[CameraName]]:
        """Digest of what it was started with, and what it reads."""
        return self._digest, list(self._readings)

    def read(
        self, sealed: Sealed[dict[CameraName, Camera]], detectors: Sequence[Any], sinks: Mapping[CameraName, Sequence[Any]]
    ) -> None:
        """Read these cameras and no others; what is already read as wanted is not touched.

        Args:
            detectors: asked in turn.
            sinks: by camera those that are given every new state of an event; the first one tells servers.
        """
        cameras = sealed.open()
        wanted = {name: digest(_as_read(camera)) for name, camera in cameras.items()}
        with self._lock:
            self._turn = itertools.cycle(detectors)
            for name in cameras:
                self._reports.setdefault(name, Reports()).go_to(sinks.get(name, ()))
            actions = reconcile(wanted, {name: reading.digest for name, reading in self._readings.items()})
            for name in actions.stop:
                self._readings.pop(name).stop()
            for name in actions.start:
                self._readings[name] = _Reading(name, cameras[name], wanted[name], self._new_reader)

    def status(self) -> dict[CameraName, dict[str, Any]]:
        """By camera; see :class:`raycctv.live.ReaderStats`.

        ``failures`` counts how often a fault of ours made reading start anew, ``actor`` and ``pid`` say where it is read.
        """
        here = {"actor": self._name, "pid": os.getpid()}
        return {name: {**reading.status(), **here} for name, reading in self._readings.copy().items()}

    def picture(self, camera: CameraName, width_px: int) -> Picture | None:
        """What the camera shows, as a JPEG; None where it shows nothing, or is not read here. See :mod:`raycctv.picture`."""
        reading = self._readings.get(camera)
        return None if reading is None else reading.picture(width_px)

    def sample(self) -> dict[CameraName, dict[str, Any]]:
        """By camera: ``lags_s`` of the frames since the last call, which are forgotten here, and ``dropped`` as in the status.

        For a trial, which takes percentiles of its own over times of its own.
        """
        return {name: reading.sample() for name, reading in self._readings.copy().items()}

    def stop(self) -> None:
        """Stop reading, and return when the sinks have been told how each open event ended, or after a few seconds."""
        deadline_s = time.monotonic() + _END_S
        self._metrics.close()
        with self._lock:
            readings = list(self._readings.values())
            self._readings.clear()
        for reading in readings:
            reading.stop()
        for reading in readings:
            reading.settle(max(deadline_s - time.monotonic(), 0))
        for reports in list(self._reports.values()):
            reports.settle(max(deadline_s - time.monotonic(), 0))

    def _samples(self) -> Iterator[Sample]:
        for reading in self._readings.copy().values():
            yield from of_reader(reading.stats)

    def _new_reader(self, name: CameraName, camera: Camera) -> "LiveReader":
        from raycctv.live import LiveReader

        reports = self._reports[name]
        reports.abandon(name)
        return LiveReader(name, camera, self._config, SystemClock(), partial(self._ask, name), reports.tell)

    def _ask(self, camera: CameraName, images: "Images") -> "Future[Verdicts]":
        detector = next(self._turn, None)
        future: Future[Verdicts] = Future() if detector is None else detector.detect.remote(images, camera).future()
        if detector is None:
            future.set_exception(ClusterError("no detector runs"))
        return future


class _Reading:
    """One camera, read in a thread until :meth:`stop`.

    Args:
        new_reader: makes what reads it; again whenever it fails.
    """

    def __init__(
        self, name: CameraName, camera: Camera, its_digest: str, new_reader: "Callable[[CameraName, Camera], LiveReader]"
    ) -> None:
        self.digest = its_digest
        self._name, self._camera, self._new_reader = name, camera, new_reader
        self._stopped = threading.Event()
        self._failures = 0
        self._reader = new_reader(name, camera)
        threading.Thread(target=self._run, name=f"read {name}", daemon=True).start()

    @property
    def stats(self) -> "ReaderStats":
        return self._reader.stats

    def picture(self, width_px: int) -> Picture | None:
        return self._reader.picture(width_px)

    def status(self) -> dict[str, Any]:
        return {**self._reader.stats.as_json(), "failures": self._failures}

    def sample(self) -> dict[str, Any]:
        stats = self._reader.stats
        return {"lags_s": [stats.lags_s.popleft() for _ in range(len(stats.lags_s))], "dropped": dict(stats.dropped)}

    def stop(self) -> None:
        self._stopped.set()
        self._reader.stop()

    def settle(self, timeout_s: float) -> None:
        """Return when all that it began to tell is told, or after ``timeout_s``."""
        self._reader.settled.wait(timeout_s)

    def _run(self) -> None:
        from raycctv.sinks.component_log import CAMERA

        CAMERA.set(self._name)
        while not self._stopped.is_set():
            try:
                self._reader.run()
                return
            except Exception:  # a fault of ours must not blind a camera for ever
                log.exception("%s: reading failed; it starts anew in %g s", self._name, _PAUSE_S)
                self._reader.stop()
                self._failures += 1
                self._stopped.wait(_PAUSE_S)
                if not self._stopped.is_set():
                    self._reader = self._new_reader(self._name, self._camera)


def _as_read(camera: Camera) -> Camera:
    """A camera without what its reader does not care for."""
    return camera.model_copy(update={"keep": CameraRetention()})
