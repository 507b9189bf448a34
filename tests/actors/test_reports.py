"""States of events on their way to sinks that may be gone: a real Ray."""

from collections.abc import Iterator
from typing import Any

import pytest
import ray
from support import event, until

from actors import cluster
from actors.reports import Reports
from raycctv.pipeline import Report
from raycctv.types import CameraName

GATE = CameraName("gate")


@pytest.fixture(scope="module", autouse=True)
def ray_cluster() -> Iterator[None]:
    with cluster.private_cluster(cpus=4):
        yield


@ray.remote
class _Told:
    """A sink that remembers what it is told."""

    def __init__(self) -> None:
        self._told: list[tuple[str, bool]] = []

    def record(self, state: Any, snapshot_jpeg: bytes | None, post: bool) -> None:
        self._told.append((state.id, post))

    def abandon(self, camera: CameraName, post: bool) -> None:
        self._told.append((f"abandon {camera}", post))

    def told(self) -> list[tuple[str, bool]]:
        return self._told


def sink() -> Any:
    kind: Any = _Told
    made = kind.remote()
    ray.get(made.told.remote())
    return made


def told(by: Any) -> list[tuple[str, bool]]:
    found: list[tuple[str, bool]] = ray.get(by.told.remote())
    return found


def test_first_sink_tells_servers_and_all_write_it_down() -> None:
    first, second = sink(), sink()
    reports = Reports()
    reports.go_to([first, second])
    reports.abandon(GATE)
    reports.tell(Report(event("a"), None))
    reports.settle(10)
    assert told(first) == [("abandon gate", True), ("a", True)]
    until(lambda: told(second) == [("abandon gate", False), ("a", False)], 10)


def test_what_a_sink_did_not_take_is_told_to_the_next() -> None:
    reports = Reports()
    reports.tell(Report(event("before any"), None))
    gone = sink()
    reports.go_to([gone])
    reports.tell(Report(event("taken"), None))
    reports.settle(10)
    ray.kill(gone)
    until(lambda: _dead(gone), 20)
    reports.tell(Report(event("lost"), None))
    after = sink()
    reports.go_to([after])
    reports.tell(Report(event("later"), None))
    reports.settle(10)
    assert told(after) == [("lost", True), ("later", True)]


def _dead(actor: Any) -> bool:
    try:
        ray.get(actor.told.remote(), timeout=5)
    except ray.exceptions.RayError:
        return True
    return False
