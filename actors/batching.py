"""Questions of many cameras, answered together: :class:`Turns` says who is next, :class:`Batcher` lets threads take turns."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from raycctv.types import Detections
from raycctv.window import VERDICT_TIMEOUT_S

Images = npt.NDArray[np.uint8]

_CLOSE_S = 10.0
"""Time that a batch under way is given when a batcher closes."""


class Stale(Exception):
    """The question has waited so long that nobody waits for its answer."""


class Closed(Exception):
    """Nothing is answered any more."""


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


@dataclass(eq=False)
class Request:
    """Images of a camera, and what becomes of them.

    Attributes:
        woken: set when it is answered, has failed, or is to lead a batch.
    """

    images: Images
    camera: str
    asked_s: float
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    answers: list[Detections] = field(default_factory=list)
    error: BaseException | None = None

    def fail(self, error: BaseException) -> None:
        """There will be no answer."""
        self.error = error
        self.woken.set()


class Turns:
    """Whose request is next: cameras take turns, a request each, oldest first. Pure.

    One that asks much makes itself wait, not the others.

    Args:
        stale_s: nobody waits for longer.
    """

    def __init__(self, stale_s: float) -> None:
        self._stale_s = stale_s
        self._waiting: dict[str, deque[Request]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, request: Request) -> None:
        """It waits from now on; a camera that had nothing waiting is the last."""
        self._waiting.setdefault(request.camera, deque()).append(request)

    def shed(self, now_s: float) -> list[Request]:
        """What has waited for too long, which waits no more."""
        stale = []
        for camera, queue in list(self._waiting.items()):
            while queue and now_s - queue[0].asked_s >= self._stale_s:
                stale.append(queue.popleft())
            if not queue:
                del self._waiting[camera]
        return stale

    def take(self, room: int | None = None) -> Request | None:
        """The oldest request of the camera whose turn it is, which is the last then.

        None where none waits, or the next one has more than ``room`` images.
        """
        if not self._waiting:
            return None
        camera, queue = next(iter(self._waiting.items()))
        if room is not None and len(queue[0].images) > room:
            return None
        request = queue.popleft()
        del self._waiting[camera]
        if queue:
            self._waiting[camera] = queue
        return request

    def clear(self) -> list[Request]:
        """All that wait, who wait no more."""
        waiting = [request for queue in self._waiting.values() for request in queue]
        self._waiting.clear()
        return waiting


class Batcher:
    """Joins requests into batches: a batch goes when it is full, or when its first request has waited ``wait_s``.

    The thread whose request is next leads: it waits for others to join it, computes the batch, wakes who joined and whose turn
    is next, and returns with its own answers. So a request that nobody joins never leaves its thread. While one batch is being
    computed the next gathers, so under load batches grow by themselves. A request is never split; one larger than ``size`` goes
    alone. An error of ``run`` reaches exactly the requests of its batch.

    Args:
        run: answers uint8 (N, S, S, 3) with N results; called by one thread at a time.
    """

    def __init__(
        self,
        run: Callable[[Images], list[Detections]],
        size: int,
        wait_s: float,
        *,
        stale_s: float = VERDICT_TIMEOUT_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = BatchStats()
        self._run = run
        self._size = size
        self._wait_s = wait_s
        self._stale_s = stale_s
        self._now_s = now_s
        self._turns = Turns(stale_s)
        self._state = threading.Condition()
        self._idle = True
        self._closed = False

    def submit(self, images: Images, camera: str = "") -> list[Detections]:
        """The answers to one request, in its order. Waits for its turn.

        Raises:
            Stale: it waited for too long.
            Closed: :meth:`close` came first.
        """
        request = Request(images, camera, self._now_s())
        with self._state:
            if self._closed:
                raise Closed("this detector has stopped")
            self._turns.add(request)
            if self._idle:
                self._hand_on()
            else:
                self._state.notify_all()  # who leads may be waiting for others
        request.woken.wait()
        if request.leads:
            self._lead(request)
        if request.error is not None:
            raise request.error
        return request.answers

    @property
    def waiting(self) -> int:
        """Requests whose turn has not come."""
        with self._state:
            return len(self._turns)

    def close(self) -> None:
        """Stop, when the batch under way is done; requests that wait fail. Idempotent."""
        with self._state:
            self._closed = True
            for request in self._turns.clear():
                request.fail(Closed("this detector has stopped"))
            self._state.notify_all()
            self._state.wait_for(lambda: self._idle, _CLOSE_S)

    def _hand_on(self) -> None:
        """The next request leads, if there is one. The caller holds the lock."""
        for request in self._turns.shed(self._now_s()):
            self.stats.stale += len(request.images)
            request.fail(Stale(f"nobody waits for an answer for more than {self._stale_s:g} s"))
        leader = self._turns.take()
        self._idle = leader is None
        if leader is None:
            self._state.notify_all()
        else:
            leader.leads = True
            leader.woken.set()

    def _lead(self, first: Request) -> None:
        """Compute the batch that begins with this request."""
        batch = self._gathered(first)
        images = first.images if len(batch) == 1 else np.concatenate([request.images for request in batch])
        began_s = self._now_s()
        answers: list[Detections] = []
        error: BaseException | None = None
        try:
            answers = self._run(images)
        except BaseException as raised:  # whatever a backend raises belongs to those who asked
            error = raised
        with self._state:
            if error is None:
                self.stats.batches += 1
                self.stats.images += len(images)
                self.stats.busy_s += self._now_s() - began_s
            self._hand_on()
        for request in batch:
            request.answers, answers = answers[: len(request.images)], answers[len(request.images) :]
            request.error = error
            request.woken.set()

    def _gathered(self, first: Request) -> list[Request]:
        """Waits for others until the batch is full, the next does not fit, or its time is up."""
        batch, room = [first], self._size - len(first.images)
        deadline_s = self._now_s() + self._wait_s
        with self._state:
            while room > 0:
                if (request := self._turns.take(room)) is not None:
                    batch.append(request)
                    room -= len(request.images)
                elif self._turns or self._closed or not self._state.wait(deadline_s - self._now_s()):
                    break
        return batch
