"""Pushing to Loki: complete and in order where it answers, and in nobody's way where it does not."""

import json
import logging
from collections.abc import Iterator

import pytest
from servers.loki import Loki
from support import T0_NS, until

from raycctv.config import Loki as Settings
from raycctv.config import ServerUrl
from raycctv.sinks.component_log import JsonFormatter
from raycctv.sinks.loki import LokiHandler
from raycctv.types import CameraName

SOON_S = 20.0
LABELS = {"camera": "gate", "component": "events", "kind": "person", "level": "info"}


@pytest.fixture
def loki() -> Iterator[Loki]:
    with Loki() as server:
        yield server
        assert not server.problems


@pytest.fixture
def handler(loki: Loki) -> Iterator[LokiHandler]:
    made = LokiHandler(Settings(url=ServerUrl(loki.url), queue=100), "reader", CameraName("gate"))
    made.setFormatter(JsonFormatter("reader", CameraName("gate")))
    yield made
    made.close()
    made.close()


def push(handler: LokiHandler, *numbers: int) -> None:
    for number in numbers:
        handler.push(f"line {number}", T0_NS + number, LABELS)


def test_lines_arrive_with_their_own_times_and_few_labels(loki: Loki, handler: LokiHandler) -> None:
    push(handler, 2, 1, 3)
    until(lambda: len(loki.lines()) == 3, SOON_S)
    ((labels, values),) = loki.streams.items()
    assert dict(labels) == {**LABELS, "job": "raycctv"}
    assert sorted(values) == [(T0_NS + number, f"line {number}") for number in (1, 2, 3)]


def test_log_record_arrives_as_its_line_in_the_file(loki: Loki, handler: LokiHandler) -> None:
    logger = logging.getLogger("raycctv.test_loki")
    logger.addHandler(handler)
    logger.warning("rtsp://admin:secret@cam/1 has gone")
    until(lambda: bool(loki.lines()), SOON_S)
    logger.removeHandler(handler)
    (line,) = loki.lines()
    assert json.loads(line)["message"] == "rtsp://admin:***@cam/1 has gone"
    (labels,) = loki.streams
    assert dict(labels) == {"camera": "gate", "component": "reader", "kind": "log", "level": "warning", "job": "raycctv"}


@pytest.mark.parametrize("fault", ["429", "500", "503"])
def test_what_loki_cannot_take_now_is_pushed_again(loki: Loki, handler: LokiHandler, fault: str) -> None:
    loki.fault = fault
    push(handler, 1, 2)
    until(lambda: handler.error.startswith(fault), SOON_S)
    loki.fault = ""
    until(lambda: len(loki.lines()) == 2, SOON_S)
    until(lambda: handler.status() == {"queued": 0, "sent": 2, "dropped": 0, "refused": 0}, SOON_S)


def test_what_loki_will_never_take_is_counted_and_holds_nothing_up(loki: Loki, handler: LokiHandler) -> None:
    loki.fault = "400"
    push(handler, 1)
    until(lambda: handler.refused == 1, SOON_S)
    loki.fault = ""
    push(handler, 2)
    until(lambda: loki.lines() == ["line 2"], SOON_S)


def test_loki_that_is_gone_costs_the_oldest_lines_which_are_counted(free_port: int) -> None:
    handler = LokiHandler(Settings(url=ServerUrl(f"http://127.0.0.1:{free_port}"), queue=10), "reader", None)
    push(handler, *range(30))
    until(lambda: handler.dropped == 20 and "does not answer" in handler.error, SOON_S)
    with Loki(free_port) as loki:
        until(lambda: len(loki.lines()) == 10, SOON_S)
        assert loki.lines() == [f"line {number}" for number in range(20, 30)]
    handler.close()


def test_slow_loki_keeps_nobody_waiting(loki: Loki, handler: LokiHandler) -> None:
    loki.fault = "slow"
    push(handler, 0)
    until(lambda: loki.requests == 1, SOON_S)
    push(handler, *range(1, 5000))
    assert handler.dropped > 4000
    assert loki.lines() == [], "pushing has waited for an answer"


def test_what_sending_says_itself_is_not_pushed(loki: Loki, handler: LokiHandler) -> None:
    for name in ("urllib3.connectionpool", "raycctv.sinks.loki"):
        handler.handle(logging.LogRecord(name, logging.WARNING, "", 0, "again", None, None))
    push(handler, 1)
    until(lambda: bool(loki.lines()), SOON_S)
    assert loki.lines() == ["line 1"]
