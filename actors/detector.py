"""MobileNet for all cameras: one actor of the shared pool."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray

from actors.batching import Batcher, Images
from raycctv.config import Detection
from raycctv.types import CameraName, Detections


def batching(settings: Detection, device: str) -> tuple[int, float]:
    """Crops in one batch at most, and seconds to wait for them: on a CPU larger batches are no faster, so none waits."""
    return (settings.batch_size, settings.batch_wait_s) if device == "cuda" else (1, 0.0)


@ray.remote
class Detector:
    """Answers crops with what is on them, in batches across cameras."""

    def __init__(self, settings: Detection, digest: str, models_dir: Path | None = None) -> None:
        from raycctv.detection.backends import open_backend
        from raycctv.load import DETECTING, give_way

        give_way(DETECTING)
        self._digest = digest
        self._backend = open_backend(
            settings.model, settings.backend, threads=settings.threads, min_score=settings.min_score, models_dir=models_dir
        )
        size, wait_s = batching(settings, self._backend.device)
        self._batcher = Batcher(self._backend.infer, size, wait_s)

    async def detect(self, images: Images, camera: CameraName) -> list[Detections]:
        """What is on each of ``images`` (uint8 (N, 300, 300, 3) RGB), in their pixels. Cameras take turns."""
        return await self._batcher.submit(images, camera)

    async def digest(self) -> str:
        """Of what it was started with."""
        return self._digest

    async def stop(self) -> None:
        """Answer no more."""
        await self._batcher.close()
        self._backend.close()

    async def status(self) -> dict[str, Any]:
        """Model, backend and counts since the start of this process."""
        backend = self._backend
        return {
            "pid": os.getpid(), "model": backend.model, "backend": backend.name, "device": backend.device,
            **asdict(self._batcher.stats),
        }  # fmt: skip
