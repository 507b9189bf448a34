"""Turns of cameras; batches across them, by size and by deadline; and what an error does."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import until

from actors.batching import Batcher, Closed, Images, Request, Stale, Turns
from raycctv.clock import ManualClock
from raycctv.types import Detections


def marked(*marks: int) -> Images:
    """Tiny pictures, each full of its mark."""
    return np.stack([np.full((2, 2, 3), mark, np.uint8) for mark in marks])


class Network:
    """Says of a picture its mark, and remembers its batches; answers when it may."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[int] = set()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._alone = threading.Lock()

    def __call__(self, images: Images) -> list[Detections]:
        assert self._alone.acquire(blocking=False), "one batch at a time"
        self.threads.add(threading.get_ident())
        self.may_answer.wait(10)
        marks = [int(image[0, 0, 0]) for image in images]
        self.batches.append(marks)
        self._alone.release()
        if 255 in marks:
            raise ValueError("this picture breaks it")
        return marks  # type: ignore[return-value]


class Asking:
    """Asks a batcher from a thread for each question, so that the next is asked when this one waits or is computed."""

    def __init__(self, batcher: Batcher, network: Network) -> None:
        self.batcher, self.network = batcher, network
        self._threads = ThreadPoolExecutor(32)

    def ask(self, *marks: int, camera: str = "") -> Future[Any]:
        before = self.batcher.waiting
        future = self._threads.submit(self.batcher.submit, marked(*marks), camera)
        if not self.network.may_answer.is_set():
            until(lambda: self.batcher.waiting > before, 5)
        return future

    def hold(self, mark: int, camera: str = "") -> Future[Any]:
        """A question that is being computed until the network may answer: whatever is asked next waits."""
        self.network.may_answer.clear()
        future = self._threads.submit(self.batcher.submit, marked(mark), camera)
        until(lambda: bool(self.network.threads), 5)
        return future

    def close(self) -> None:
        self.network.may_answer.set()
        self.batcher.close()
        self._threads.shutdown()


@contextmanager
def asking(size: int, wait_s: float, **options: Any) -> Iterator[Asking]:
    network = Network()
    its = Asking(Batcher(network, size, wait_s, **options), network)
    try:
        yield its
    finally:
        its.close()


def answers(futures: list[Future[Any]]) -> list[Any]:
    return [future.result(10) for future in futures]


def request(mark: int, camera: str, asked_s: float = 0, images: int = 1) -> Request:
    return Request(marked(*[mark] * images), camera, asked_s)


def taken(turns: Turns, room: Callable[[], int | None] = lambda: None) -> list[int]:
    """The marks of all that is taken until nothing more is."""
    return [int(one.images[0, 0, 0, 0]) for one in iter(lambda: turns.take(room()), None)]


def test_turns_go_round_over_cameras() -> None:
    turns = Turns(stale_s=10)
    for mark in range(1, 9):
        turns.add(request(mark, "busy"))
    for mark in (100, 101):
        turns.add(request(mark, "other"))
    assert len(turns) == 10
    assert taken(turns) == [1, 100, 2, 101, 3, 4, 5, 6, 7, 8]
    assert len(turns) == 0


def test_turns_give_nobody_a_place_before_another_that_does_not_fit() -> None:
    turns = Turns(stale_s=10)
    turns.add(request(1, "a", images=3))
    turns.add(request(2, "b"))
    assert turns.take(room=2) is None
    assert taken(turns, lambda: 3) == [1, 2]


def test_turns_shed_what_has_waited_too_long_and_nothing_else() -> None:
    turns = Turns(stale_s=10)
    for mark, camera, asked_s in ((1, "a", 0.0), (2, "b", 4.0), (3, "a", 5.0), (4, "c", 2.0)):
        turns.add(request(mark, camera, asked_s))
    assert [one.camera for one in turns.shed(now_s=12.5)] == ["a", "c"]
    assert taken(turns) == [3, 2]


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_turns_leave_nobody_out_and_starve_nobody(cameras: list[str]) -> None:
    """A camera waits for no more than one request of each other camera before each of its own."""
    turns = Turns(stale_s=10)
    for mark, camera in enumerate(cameras):
        turns.add(request(mark, camera))
    order = taken(turns)
    assert sorted(order) == list(range(len(cameras)))
    for camera in set(cameras):
        own = [mark for mark in order if cameras[mark] == camera]
        assert own == sorted(own)
        for other in set(cameras) - {camera}:
            for nth, mark in enumerate(own):
                assert sum(cameras[before] == other for before in order[: order.index(mark)]) <= nth + 1


def test_requests_that_wait_together_go_together() -> None:
    with asking(size=4, wait_s=5) as its:
        futures = [its.ask(n) for n in range(4)]
        assert answers(futures) == [[0], [1], [2], [3]]  # full, so it did not wait for its deadline
        assert [sorted(batch) for batch in its.network.batches] == [[0, 1, 2, 3]]
        assert (its.batcher.stats.batches, its.batcher.stats.images) == (1, 4)


def test_batch_that_does_not_fill_goes_at_its_deadline() -> None:
    with asking(size=100, wait_s=0.02) as its:
        assert its.ask(7, 8).result(5) == [7, 8]


def test_request_is_never_split_and_a_large_one_goes_alone() -> None:
    with asking(size=4, wait_s=0.05) as its:
        first = its.hold(0)
        futures = [its.ask(1, 2, 3), its.ask(4, 5), its.ask(*range(10, 16))]
        its.network.may_answer.set()
        assert answers([first, *futures]) == [[0], [1, 2, 3], [4, 5], list(range(10, 16))]
        assert its.network.batches == [[0], [1, 2, 3], [4, 5], list(range(10, 16))]


def test_next_batch_fills_while_one_is_computed() -> None:
    with asking(size=8, wait_s=0) as its:
        first = its.hold(0)
        later = [its.ask(n) for n in range(1, 6)]
        its.network.may_answer.set()
        assert answers([first, *later]) == [[n] for n in range(6)]
        assert its.network.batches == [[0], [1, 2, 3, 4, 5]]


def test_each_request_that_nobody_joins_is_computed_by_its_own_thread() -> None:
    with asking(size=1, wait_s=0) as its:
        futures = [its.hold(0), *(its.ask(n) for n in range(1, 6))]
        its.network.may_answer.set()
        assert answers(futures) == [[n] for n in range(6)]
        assert len(its.network.threads) == 6


def test_error_reaches_those_of_its_batch_and_the_next_goes_well() -> None:
    with asking(size=2, wait_s=5) as its:
        failing = [its.ask(255), its.ask(1)]
        assert [str(future.exception(10)) for future in failing] == ["this picture breaks it"] * 2
        assert answers([its.ask(3), its.ask(4)]) == [[3], [4]]


def test_close_fails_who_waits_lets_the_batch_under_way_end_and_is_idempotent() -> None:
    with asking(size=1, wait_s=60) as its:
        first = its.hold(1)
        waiting = its.ask(2)
        closing = threading.Thread(target=its.batcher.close)
        closing.start()
        assert isinstance(waiting.exception(10), Closed)
        assert closing.is_alive()
        its.network.may_answer.set()
        closing.join(10)
        assert first.result(0) == [1]
        its.batcher.close()
        with pytest.raises(Closed):
            its.batcher.submit(marked(3))


def test_close_does_not_wait_for_a_batch_to_fill() -> None:
    with asking(size=8, wait_s=60) as its:
        first = its.ask(1)
        its.batcher.close()
        error = first.exception(5)
        assert error is None or isinstance(error, Closed)  # it may have come before or after


def test_cameras_take_turns() -> None:
    with asking(size=1, wait_s=0) as its:
        futures = [its.hold(0, "busy"), *(its.ask(n, camera="busy") for n in range(1, 9))]
        futures += [its.ask(100 + n, camera="other") for n in range(2)]
        its.network.may_answer.set()
        answers(futures)
        assert [mark for (mark,) in its.network.batches] == [0, 1, 100, 2, 101, 3, 4, 5, 6, 7, 8]


def test_what_nobody_waits_for_is_not_computed() -> None:
    clock = ManualClock()
    with asking(size=1, wait_s=0, stale_s=10, now_s=clock.monotonic_s) as its:
        first = its.hold(0)
        late = [its.ask(n) for n in (1, 2)]
        clock.advance(9)
        in_time = its.ask(3)
        clock.advance(1)
        its.network.may_answer.set()
        assert [type(future.exception(10)) for future in late] == [Stale, Stale]
        assert first.result(0) == [0]
        assert in_time.result(10) == [3]
        assert its.network.batches == [[0], [3]]
        assert its.batcher.stats.stale == 2


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=20), st.integers(1, 8))
def test_every_request_gets_its_own_answers(sizes: list[int], size: int) -> None:
    with asking(size=size, wait_s=0.001) as its:
        marks = [[(7 * i + k) % 250 for k in range(n)] for i, n in enumerate(sizes)]
        assert answers([its.ask(*own) for own in marks]) == marks
        assert its.batcher.stats.images == sum(sizes)
