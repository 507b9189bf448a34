"""How fast do events get from the outbox into Elasticsearch, next to the client's own bulk helper?"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # its servers

from elasticsearch.helpers import bulk
from servers.elasticsearch_servers import Elasticsearch, elasticsearch_8
from support import event, until

from raycctv.clock import SystemClock
from raycctv.config import Elasticsearch as Settings
from raycctv.config import ServerUrl
from raycctv.sinks.delivery import Delivery
from raycctv.sinks.documents import document, fingerprint
from raycctv.sinks.elasticsearch import Sender, connect
from raycctv.sinks.elasticsearch_setup import EVENTS, PIPELINES, install_templates
from raycctv.sinks.event_log import to_json
from raycctv.sinks.outbox import Outbox
from raycctv.sinks.post import ELASTICSEARCH

Documents = list[tuple[str, dict[str, Any]]]
_BATCH = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=30_000, help="events of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way, in turn; the median counts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with elasticsearch_8() as server:
        results = measure(server, options.events, options.runs)
    if options.json:
        print(json.dumps(results))
        return
    print("| way | events a second |\n|---|---|")
    for way in ("helper", "outbox"):
        print(f"| {way} | {results[way]:.0f} |")
    print(f"\noutbox / helper: {results['ratio']:.2f}")


def measure(server: Elasticsearch, count: int, runs: int) -> dict[str, float]:
    """Events a second, each way: the median of so many runs, after one that does not count."""
    settings = Settings(url=ServerUrl(server.url))
    with connect(settings) as client:
        for name in PIPELINES:
            client.ingest.put_pipeline(id=name, processors=[])
        install_templates(client, 86400.0)
    ways: dict[str, Callable[[Settings, Documents], float]] = {"helper": by_helper, "outbox": by_outbox}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for run in range(runs + 1):
        for way, send in ways.items():
            seconds = send(settings, documents(f"{way}{run}", count))
            if run:
                rates[way].append(count / seconds)
    medians = {way: median(values) for way, values in rates.items()}
    return {**medians, "ratio": medians["outbox"] / medians["helper"], "events": count, "runs": runs}


def documents(prefix: str, count: int) -> Documents:
    events = [event(f"{prefix}-{number}", end_s=5) for number in range(count)]
    return [(fingerprint(one), document(one, to_json(one, ["gate/2023-11-14/a.mp4"]))) for one in events]


def by_helper(settings: Settings, events: Documents) -> float:
    """Seconds of ``elasticsearch.helpers.bulk`` with chunks of the same size."""
    with connect(settings) as client:
        began_s = time.monotonic()
        actions = ({"_op_type": "create", "_index": EVENTS, "_id": key, "_source": body} for key, body in events)
        bulk(client, actions, chunk_size=_BATCH)
        return time.monotonic() - began_s


def by_outbox(settings: Settings, events: Documents) -> float:
    """Seconds from the first look into the outbox until it is empty: reading, sending, forgetting on disk."""
    with tempfile.TemporaryDirectory() as folder, Outbox(Path(folder)) as outbox:
        outbox.put([(ELASTICSEARCH, key, json.dumps(body)) for key, body in events], 0)
        began_s = time.monotonic()
        delivery = Delivery(outbox, ELASTICSEARCH, Sender(settings, SystemClock()))
        until(lambda: delivery.delivered == len(events), 600)
        seconds = time.monotonic() - began_s
        delivery.close()
        return seconds


if __name__ == "__main__":
    main()
