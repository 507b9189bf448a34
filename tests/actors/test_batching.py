"""Batches across cameras: by size, by deadline, and what an error does."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.batching import Batcher, Images, Stale
from raycctv.types import Detections


def marked(*marks: int) -> Images:
    """Tiny pictures, each full of its mark."""
    return np.stack([np.full((2, 2, 3), mark, np.uint8) for mark in marks])


class Network:
    """Says of a picture its mark, and remembers its batches; answers when it may."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self, images: Images) -> list[Detections]:
        self.may_answer.wait(10)
        marks = [int(image[0, 0, 0]) for image in images]
        self.batches.append(marks)
        if 255 in marks:
            raise ValueError("this picture breaks it")
        return marks  # type: ignore[return-value]


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


def test_requests_that_wait_together_go_together() -> None:
    async def test() -> None:
        network = Network()
        batcher = Batcher(network, size=4, wait_s=5)
        answers: list[Any] = await asyncio.gather(*(batcher.submit(marked(n)) for n in range(4)))
        assert answers == [[0], [1], [2], [3]]
        assert network.batches == [[0, 1, 2, 3]]  # full, so it did not wait for its deadline
        assert (batcher.stats.batches, batcher.stats.images) == (1, 4)
        await batcher.close()

    run(test)


def test_batch_that_does_not_fill_goes_at_its_deadline() -> None:
    async def test() -> None:
        network = Network()
        batcher = Batcher(network, size=100, wait_s=0.02)
        answer: Any = await batcher.submit(marked(7, 8))
        assert answer == [7, 8]
        await batcher.close()

    run(test)


def test_request_is_never_split_and_a_large_one_goes_alone() -> None:
    async def test() -> None:
        network = Network()
        batcher = Batcher(network, size=4, wait_s=0.2)
        answers: Any = await asyncio.gather(
            batcher.submit(marked(1, 2, 3)), batcher.submit(marked(4, 5)), batcher.submit(marked(*range(10, 16)))
        )
        assert list(answers) == [[1, 2, 3], [4, 5], list(range(10, 16))]
        assert network.batches == [[1, 2, 3], [4, 5], list(range(10, 16))]
        await batcher.close()

    run(test)


def test_next_batch_fills_while_one_is_computed() -> None:
    async def test() -> None:
        network = Network()
        network.may_answer.clear()
        batcher = Batcher(network, size=8, wait_s=0)
        first = asyncio.create_task(batcher.submit(marked(0)))
        await asyncio.sleep(0)
        later = [asyncio.create_task(batcher.submit(marked(n))) for n in range(1, 6)]
        await asyncio.sleep(0)
        network.may_answer.set()
        await asyncio.gather(first, *later)
        assert len(network.batches) < 6
        assert sorted(mark for batch in network.batches for mark in batch) == list(range(6))
        await batcher.close()

    run(test)


def test_error_reaches_those_of_its_batch_and_the_next_goes_well() -> None:
    async def test() -> None:
        batcher = Batcher(Network(), size=2, wait_s=0.5)
        failed = await asyncio.gather(batcher.submit(marked(255)), batcher.submit(marked(1)), return_exceptions=True)
        assert [str(error) for error in failed] == ["this picture breaks it"] * 2
        answer: Any = await batcher.submit(marked(3))
        assert answer == [3]
        await batcher.close()

    run(test)


def test_close_cancels_who_waits_and_is_idempotent() -> None:
    async def test() -> None:
        batcher = Batcher(Network(), size=8, wait_s=60)
        waiting = asyncio.create_task(batcher.submit(marked(1)))
        await asyncio.sleep(0.01)
        await batcher.close()
        await batcher.close()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run(test)


def test_cameras_take_turns() -> None:
    async def test() -> None:
        network = Network()
        network.may_answer.clear()
        batcher = Batcher(network, size=1, wait_s=0)
        first = asyncio.create_task(batcher.submit(marked(0), "busy"))
        await asyncio.sleep(0)
        busy = [asyncio.create_task(batcher.submit(marked(n), "busy")) for n in range(1, 9)]
        await asyncio.sleep(0)
        other = [asyncio.create_task(batcher.submit(marked(100 + n), "other")) for n in range(2)]
        await asyncio.sleep(0)
        network.may_answer.set()
        await asyncio.gather(first, *busy, *other)
        assert [mark for (mark,) in network.batches] == [0, 1, 100, 2, 101, 3, 4, 5, 6, 7, 8]
        await batcher.close()

    run(test)


def test_what_nobody_waits_for_is_not_computed() -> None:
    async def test() -> None:
        network = Network()
        network.may_answer.clear()
        batcher = Batcher(network, size=1, wait_s=0, stale_s=0.05)
        first = asyncio.create_task(batcher.submit(marked(0)))
        await asyncio.sleep(0)
        late = [asyncio.create_task(batcher.submit(marked(n))) for n in (1, 2)]
        cancelled = asyncio.create_task(batcher.submit(marked(3)))
        await asyncio.sleep(0.1)
        cancelled.cancel()
        network.may_answer.set()
        told: list[Any] = await asyncio.gather(first, *late, return_exceptions=True)
        assert told[0] == [0]
        assert [type(answer) for answer in told[1:]] == [Stale, Stale]
        assert await batcher.submit(marked(4)) == [4]  # type: ignore[comparison-overlap]  # the network says marks
        assert network.batches == [[0], [4]]
        assert batcher.stats.stale == 2
        await batcher.close()

    run(test)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.integers(1, 8))
def test_every_request_gets_its_own_answers(sizes: list[int], size: int) -> None:
    async def test() -> None:
        batcher = Batcher(Network(), size=size, wait_s=0.001)
        marks = [[(7 * i + k) % 250 for k in range(n)] for i, n in enumerate(sizes)]
        answers: list[Any] = await asyncio.gather(*(batcher.submit(marked(*own)) for own in marks))
        assert answers == marks
        await batcher.close()

    run(test)
