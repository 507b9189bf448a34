"""MobileNet for all cameras: one actor of the shared pool."""

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import ray

from actors.batching import Batcher, Images
from actors.logs import log_to_servers
from actors.metrics import Publisher, Sample, of_detector
from actors.revival import ask_again
from raycctv.config import Config, Detection
from raycctv.sealing import Sealed
from raycctv.types import CameraName, Detections


def batching(settings: Detection, device: str) -> tuple[int, float]:
    """Crops in one batch at most, and seconds to wait for them: on a CPU larger batches are no faster, so none waits."""
    return (settings.batch_size, settings.batch_wait_s) if device == "cuda" else (1, 0.0)


_LOOKS = 7
"""Of 5 s each: a batch that takes longer than one is counted when it is done."""


_ANSWERING = 64
"""Threads that wait for their turn. Of what is asked beyond that Ray takes the oldest first, whoever asks; readers ask two
questions a camera at a time."""


@ray.remote(concurrency_groups={"answering": _ANSWERING})  # type: ignore[call-overload]  # unknown to its stubs
class Detector:
    """Answers crops with what is on them, in batches across cameras.

    Each question has a thread of its own, which computes the answer itself when its turn comes: an event loop between Ray and
    the network costs 0.2 to 0.4 ms more a call. Source: ``benchmarks/README.md``.
    """

    def __init__(self, name: str, sealed: Sealed[Config], its_digest: str) -> None:
        from raycctv.detection.backends import open_backend
        from raycctv.load import DETECTING, give_way, keep_memory

        give_way(DETECTING)
        keep_memory()
        config = sealed.open()
        loki = log_to_servers(name.replace(":", "-"), None, config)
        self._name, self._digest = name, its_digest
        self._sink: Any = None
        settings = config.detection
        self._backend = open_backend(settings.model, settings.backend, threads=settings.threads, min_score=settings.min_score)
        size, wait_s = batching(settings, self._backend.device)
        self._batcher = Batcher(self._backend.infer, size, wait_s)
        self._busy = deque([(time.monotonic(), 0.0)], maxlen=_LOOKS)
        self._metrics = Publisher(self._samples, loki)
        ask_again(name)

    def report_to(self, sink: Any) -> None:
        """Tell this sink from now on how busy this is."""
        self._sink = sink

    @ray.method(concurrency_group="answering")
    def detect(self, images: Images, camera: CameraName) -> list[Detections]:
        """What is on each of ``images`` (uint8 (N, 300, 300, 3) RGB), in their pixels. Cameras take turns."""
        return self._batcher.submit(images, camera)

    def _samples(self) -> Iterator[Sample]:
        """The sink is told, too, how busy the last half minute was."""
        stats = self._batcher.stats
        self._busy.append((time.monotonic(), stats.busy_s))
        (since_s, before_s), (now_s, busy_s) = self._busy[0], self._busy[-1]
        if self._sink is not None:
            self._sink.detector_is_busy.remote(self._name, (busy_s - before_s) / (now_s - since_s))
        yield from of_detector(self._name, stats)

    def holds(self) -> tuple[str, list[CameraName]]:
        """Digest of what it was started with, and no cameras: it serves all."""
        return self._digest, []

    def stop(self) -> None:
        """Answer no more."""
        self._metrics.close()
        self._batcher.close()
        self._backend.close()

    def status(self) -> dict[str, Any]:
        """Model, backend and counts since the start of this process."""
        backend = self._backend
        return {
            "pid": os.getpid(), "model": backend.model, "backend": backend.name, "device": backend.device,
            "waiting": self._batcher.waiting, **asdict(self._batcher.stats),
        }  # fmt: skip
