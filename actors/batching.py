"""Questions of many cameras, answered together."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from raycctv.types import Detections

Images = npt.NDArray[np.uint8]


@dataclass
class BatchStats:
    """What a batcher has done.

    Attributes:
        busy_s: seconds in which a batch was being computed.
    """

    batches: int = 0
    images: int = 0
    busy_s: float = 0.0


@dataclass
class _Request:
    images: Images
    answer: "asyncio.Future[list[Detections]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher:
    """Joins requests into batches: a batch goes when it is full, or when its first request has waited ``wait_s``.

    While one is being computed the next fills, so under load batches grow by themselves. A request is never split; one
    larger than ``size`` goes alone. An error of ``run`` reaches exactly the requests of its batch.

    Args:
        run: answers uint8 (N, S, S, 3) with N results; called in a thread of its own, one batch at a time.
    """

    def __init__(self, run: Callable[[Images], list[Detections]], size: int, wait_s: float) -> None:
        self.stats = BatchStats()
        self._run = run
        self._size = size
        self._wait_s = wait_s
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="infer")
        self._requests: asyncio.Queue[_Request] = asyncio.Queue()
        self._held: _Request | None = None
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, images: Images) -> list[Detections]:
        """The answers to one request, in its order."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        request = _Request(images)
        await self._requests.put(request)
        return await request.answer

    async def close(self) -> None:
        """Stop; requests that wait are cancelled. Idempotent."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
            self._worker = None
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        while True:
            batch = await self._next_batch()
            await self._answer([request for request in batch if not request.answer.cancelled()])

    async def _next_batch(self) -> list[_Request]:
        first = self._held or await self._requests.get()
        self._held = None
        batch, count = [first], len(first.images)
        deadline = asyncio.get_running_loop().time() + self._wait_s
        while count < self._size:
            left_s = deadline - asyncio.get_running_loop().time()
            try:
                request = self._requests.get_nowait() if left_s <= 0 else await asyncio.wait_for(self._requests.get(), left_s)
            except (TimeoutError, asyncio.QueueEmpty):
                break
            if count + len(request.images) > self._size:
                self._held = request
                break
            batch.append(request)
            count += len(request.images)
        return batch

    async def _answer(self, batch: list[_Request]) -> None:
        if not batch:
            return
        loop = asyncio.get_running_loop()
        images = np.concatenate([request.images for request in batch])
        began_s = loop.time()
        try:
            answers = await loop.run_in_executor(self._executor, self._run, images)
        except Exception as error:  # whatever a backend raises belongs to those who asked
            for request in batch:
                if not request.answer.done():
                    request.answer.set_exception(error)
            return
        self.stats.batches += 1
        self.stats.images += len(images)
        self.stats.busy_s += loop.time() - began_s
        start = 0
        for request in batch:
            if not request.answer.done():
                request.answer.set_result(answers[start : start + len(request.images)])
            start += len(request.images)
