"""Questions of many cameras, answered together."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from raycctv.types import Detections
from raycctv.window import VERDICT_TIMEOUT_S

Images = npt.NDArray[np.uint8]


class Stale(Exception):
    """The question has waited so long that nobody waits for its answer."""


@dataclass
class BatchStats:
    """What a batcher has done.

    Attributes:
        busy_s: seconds in which a batch was being computed.
        stale: images that were not looked at, because nobody waited for the answer any more.
    """

    batches: int = 0
    images: int = 0
    busy_s: float = 0.0
    stale: int = 0


@dataclass
class _Request:
    images: Images
    asked_s: float
    answer: "asyncio.Future[list[Detections]]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Batcher:
    """Joins requests into batches: a batch goes when it is full, or when its first request has waited ``wait_s``.

    While one is being computed the next fills, so under load batches grow by themselves. A request is never split; one
    larger than ``size`` goes alone. An error of ``run`` reaches exactly the requests of its batch.

    Cameras take turns, a request each, oldest first: one that asks much makes itself wait, not the others. A request that has
    waited for ``stale_s``, or whose answer was cancelled, is not computed.

    Args:
        run: answers uint8 (N, S, S, 3) with N results; called in a thread of its own, one batch at a time.
    """

    def __init__(
        self, run: Callable[[Images], list[Detections]], size: int, wait_s: float, *, stale_s: float = VERDICT_TIMEOUT_S
    ) -> None:
        self.stats = BatchStats()
        self._run = run
        self._size = size
        self._wait_s = wait_s
        self._stale_s = stale_s
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="infer")
        self._waiting: dict[str, deque[_Request]] = {}
        self._came = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, images: Images, camera: str = "") -> list[Detections]:
        """The answers to one request, in its order.

        Raises:
            Stale: it waited for too long.
        """
        loop = asyncio.get_running_loop()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        request = _Request(images, loop.time())
        self._waiting.setdefault(camera, deque()).append(request)
        self._came.set()
        return await request.answer

    async def close(self) -> None:
        """Stop; requests that wait are cancelled. Idempotent."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
            self._worker = None
        for queue in self._waiting.values():
            for request in queue:
                request.answer.cancel()
        self._waiting.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        while True:
            await self._answer(await self._next_batch())

    async def _next_batch(self) -> list[_Request]:
        """Waits for one request, and then for others until the batch is full or its time is up."""
        loop = asyncio.get_running_loop()
        batch: list[_Request] = []
        count, deadline_s = 0, 0.0
        while True:
            self._came.clear()
            while (request := self._next(self._size - count if batch else None)) is not None:
                deadline_s = deadline_s if batch else loop.time() + self._wait_s
                batch.append(request)
                count += len(request.images)
                if count >= self._size:
                    return batch
            if batch and self._waiting:
                return batch  # the next one does not fit
            try:
                await asyncio.wait_for(self._came.wait(), deadline_s - loop.time() if batch else None)
            except TimeoutError:
                return batch

    def _next(self, room: int | None) -> _Request | None:
        """The oldest request of the camera whose turn it is, which is its last then; None where none waits or has room."""
        while self._waiting:
            camera, queue = next(iter(self._waiting.items()))
            request = queue[0]
            wanted = self._wanted(request)
            if wanted and room is not None and len(request.images) > room:
                return None
            queue.popleft()
            del self._waiting[camera]
            if queue:
                self._waiting[camera] = queue
            if wanted:
                return request
        return None

    def _wanted(self, request: _Request) -> bool:
        """Whether somebody waits for its answer; one that is stale is told so."""
        if not request.answer.done() and asyncio.get_running_loop().time() - request.asked_s >= self._stale_s:
            self.stats.stale += len(request.images)
            request.answer.set_exception(Stale(f"nobody waits for an answer for more than {self._stale_s:g} s"))
        return not request.answer.done()

    async def _answer(self, batch: list[_Request]) -> None:
        loop = asyncio.get_running_loop()
        images = batch[0].images if len(batch) == 1 else np.concatenate([request.images for request in batch])
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
