"""MobileNet for all cameras: one actor of the shared pool."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray

from actors.batching import Batcher, Images
from actors.logs import log_to_servers
from actors.metrics import Publisher, Sample, of_detector
from raycctv.config import Config, Detection
from raycctv.types import Detections


@ray.remote
class Detector:
    """Answers crops with what is on them, in batches across cameras.

    Args:
        config: says where this process logs; without it only to standard error.
        sink: is told how busy this is.
    """

    def __init__(
        self,
        settings: Detection,
        digest: str,
        models_dir: Path | None = None,
        name: str = "",
        config: Config | None = None,
        sink: Any = None,
    ) -> None:
        from raycctv.detection.backends import open_backend
        from raycctv.load import give_way

        give_way()
        if config is not None:
            log_to_servers(name.replace(":", "-"), None, config)
        self._digest = digest
        self._backend = open_backend(
            settings.model, settings.backend, threads=settings.threads, min_score=settings.min_score, models_dir=models_dir
        )
        self._batcher = Batcher(self._backend.infer, settings.batch_size, settings.batch_wait_s)
        self._name, self._sink = name, sink
        self._seen = (time.monotonic(), 0.0)
        self._metrics = Publisher(self._samples)

    async def detect(self, images: Images) -> list[Detections]:
        """What is on each of ``images`` (uint8 (N, 300, 300, 3) RGB), in their pixels."""
        return await self._batcher.submit(images)

    def _samples(self) -> Iterator[Sample]:
        """Of the last seconds; the sink is told how busy they were."""
        stats = self._batcher.stats
        (since_s, busy_s), self._seen = self._seen, (time.monotonic(), stats.busy_s)
        if self._sink is not None:
            self._sink.detector_is_busy.remote(self._name, (self._seen[1] - busy_s) / (self._seen[0] - since_s))
        yield from of_detector(self._name, stats)

    async def digest(self) -> str:
        """Of what it was started with."""
        return self._digest

    async def stop(self) -> None:
        """Answer no more."""
        self._metrics.close()
        await self._batcher.close()
        self._backend.close()

    async def status(self) -> dict[str, Any]:
        """Model, backend and counts since the start of this process."""
        backend = self._backend
        return {
            "pid": os.getpid(), "model": backend.model, "backend": backend.name, "device": backend.device,
            **asdict(self._batcher.stats),
        }  # fmt: skip
