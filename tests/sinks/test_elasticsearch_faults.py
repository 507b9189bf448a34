"""100,000 events into an Elasticsearch that dies, and by a sink that dies: all are there, none twice. Prints what it took."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers.elasticsearch_servers import Elasticsearch, ask, elasticsearch_8
from support import event, until

from raycctv.config import Elasticsearch as Settings
from raycctv.config import ServerUrl
from raycctv.sinks.documents import document, fingerprint
from raycctv.sinks.elasticsearch import connect
from raycctv.sinks.elasticsearch_setup import EVENTS, PIPELINES, install_templates
from raycctv.sinks.event_log import to_json
from raycctv.sinks.outbox import Outbox
from raycctv.sinks.post import ELASTICSEARCH

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EVENT_COUNT = 100_000
KILLS = 5
SINK = """
import sys, threading
from pathlib import Path
from raycctv.clock import SystemClock
from raycctv.config import Elasticsearch, ServerUrl
from raycctv.sinks.delivery import Delivery
from raycctv.sinks.elasticsearch import Sender
from raycctv.sinks.outbox import Outbox
settings = Elasticsearch(url=ServerUrl(sys.argv[2]))
Delivery(Outbox(Path(sys.argv[1])), "elasticsearch", Sender(settings, SystemClock()))
threading.Event().wait()
"""


class Sink:
    """A process that delivers; ``kill`` is kill -9."""

    def __init__(self, folder: Path, url: str) -> None:
        self._command = [sys.executable, "-c", SINK, str(folder), url]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server() -> Iterator[Elasticsearch]:
    with elasticsearch_8() as running:
        with connect(Settings(url=ServerUrl(running.url))) as client:
            for name in PIPELINES:
                client.ingest.put_pipeline(id=name, processors=[])
            install_templates(client, 86400.0)
        yield running


def fill(outbox: Outbox) -> None:
    for start in range(0, EVENT_COUNT, 5000):
        events = [event(f"e{number:06d}", end_s=5) for number in range(start, start + 5000)]
        outbox.put([(ELASTICSEARCH, fingerprint(one), json.dumps(document(one, to_json(one, [])))) for one in events], 0)


def count(server: Elasticsearch) -> int:
    ask(f"{server.url}/{EVENTS}/_refresh", "POST")
    return int(ask(f"{server.url}/{EVENTS}/_count")["count"])


def ids(server: Elasticsearch) -> list[str]:
    """Of all events, as often as they are there."""
    found: list[str] = []
    while True:
        after = {"search_after": [found[-1]]} if found else {}
        body = {"size": 10_000, "sort": ["id"], "_source": ["id"], **after}
        hits = ask(f"{server.url}/{EVENTS}/_search", "POST", body)["hits"]["hits"]
        if not hits:
            return found
        found += [hit["_source"]["id"] for hit in hits]


@pytest.mark.parametrize("victim", ["elasticsearch", "sink"])
def test_all_events_arrive_once_whoever_dies(
    server: Elasticsearch, tmp_path: Path, victim: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sink = Sink(tmp_path, server.url)
    dying: Elasticsearch | Sink = server if victim == "elasticsearch" else sink
    rng = random.Random(5)  # noqa: S311
    began_s = time.monotonic()
    with Outbox(tmp_path) as outbox:
        fill(outbox)
        sink.start()
        at = []
        try:
            for due in sorted(rng.sample(range(5_000, 80_000), KILLS)):
                until(reached(outbox, due), 300)
                dying.kill()
                at.append(EVENT_COUNT - outbox.depth(ELASTICSEARCH))
                dying.start()
            until(lambda: outbox.depth(ELASTICSEARCH) == 0, 600)
        finally:
            sink.kill()
        assert outbox.refused(ELASTICSEARCH) == 0
    found = count(server)
    with capsys.disabled():
        print(f"\n{victim} killed after {at} of {EVENT_COUNT}: {found} there in {time.monotonic() - began_s:.0f} s")  # noqa: T201
    assert found == EVENT_COUNT
    assert ids(server) == [f"e{number:06d}" for number in range(EVENT_COUNT)]
    assert len(at) == KILLS


def reached(outbox: Outbox, delivered: int) -> Callable[[], bool]:
    return lambda: EVENT_COUNT - outbox.depth(ELASTICSEARCH) >= delivered
