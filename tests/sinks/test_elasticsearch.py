"""Events in a real Elasticsearch 8: each once, whatever fails in between, and found as in the catalog.

This Elasticsearch has no ingest processors, so that its pipelines are empty; tests/sinks/test_ingest_pipelines.py has what
they do to a document.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.elasticsearch_servers import Elasticsearch, ask
from support import NS, T0_NS, event

from raycctv.clock import ManualClock
from raycctv.config import Elasticsearch as Settings
from raycctv.config import ServerUrl
from raycctv.errors import SinkError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.search import parse
from raycctv.sinks.documents import document, fingerprint
from raycctv.sinks.elasticsearch import Searcher, Sender, connect, installed
from raycctv.sinks.elasticsearch_setup import DEAD_LETTERS, EVENTS, PIPELINES, install_templates
from raycctv.sinks.event_log import FIELDS, to_json
from raycctv.sinks.outbox import Letter
from raycctv.types import CameraName, Event

KEEP_S = 90 * 86400.0
REPOSITORY = Path(__file__).parents[2]
KINDS = ("person", "car", "motion", "camera_offline")
QUERIES = (
    "person", "PERSON OR car", "person AND zone:gate", "NOT person", "zone:gate zone:yard", "camera:North*", "camera:north*",
    "label:car", 'label:"cell phone"', "NOT label:person", "score>=0.5", "score<0.3 OR kind:car", "score:0.5", "kind:motion",
    "model:ssdlite_mobilenet_v2", "NOT model:ssdlite_mobilenet_v2", '"left the gate"', '"the left"', "lef*", '"the ga"*',
    "North-1", "north 1", "(person OR car) NOT zone:gate score>0.2", "id:e1*", "id:e17", "nothing_like_it", "grün", "GRÜN*",
    "zone:ga*", "camera:South", "kind:camera_offline OR zone:door", "kind:health", "kind:object score>0.2", "NOT kind:health",
)  # fmt: skip


def settings(server: Elasticsearch) -> Settings:
    return Settings(url=ServerUrl(server.url))


@pytest.fixture(scope="module")
def server(elasticsearch: Elasticsearch) -> Elasticsearch:
    """Set up, as far as it can be."""
    with connect(settings(elasticsearch)) as client:
        for name in PIPELINES:
            client.ingest.put_pipeline(id=name, processors=[])
        install_templates(client, KEEP_S)
    return elasticsearch


def documents(server: Elasticsearch, ids: str, stream: str = EVENTS) -> list[dict[str, Any]]:
    """Sources of the documents whose event's id begins with ``ids``; each test has its own."""
    ask(f"{server.url}/{stream}/_refresh", "POST")
    query = {"query": {"prefix": {"id": ids}}, "size": 10_000, "sort": ["id", "state"]}
    return [hit["_source"] for hit in ask(f"{server.url}/{stream}/_search", "POST", query)["hits"]["hits"]]


def letter(seq: int, one: Event) -> Letter:
    return Letter(seq, fingerprint(one), json.dumps(document(one, to_json(one, []))))


def sender(server: Elasticsearch) -> Sender:
    return Sender(settings(server), ManualClock())


def test_setup_installs_data_streams_with_their_lifecycle(server: Elasticsearch) -> None:
    sender(server)([letter(1, event("setup"))])
    (installed_template,) = ask(f"{server.url}/_index_template/{EVENTS}")["index_templates"]
    template = installed_template["index_template"]["template"]
    assert template["lifecycle"] == {"enabled": True, "data_retention": "2160h"}
    assert template["settings"]["index"]["default_pipeline"] == EVENTS
    streams = {stream["name"] for stream in ask(f"{server.url}/_resolve/index/raycctv-*")["data_streams"]}
    assert EVENTS in streams


def test_each_state_is_there_once_however_often_it_is_sent(server: Elasticsearch) -> None:
    states = [event("once"), event("once", end_s=5)]
    letters = [letter(seq, one) for seq, one in enumerate([*states, *states])]
    for _ in range(2):  # as after a crash between send and acknowledge
        assert sender(server)(letters).delivered == letters
    assert documents(server, "once") == [json.loads(one.body) for one in letters[:2]]


def test_event_that_elasticsearch_does_not_take_is_a_dead_letter_and_hinders_no_other(server: Elasticsearch) -> None:
    good, bad = letter(1, event("fine")), letter(2, event("bad"))
    bad = replace(bad, body=bad.body.replace('"started_at_ns": ', '"started_at_ns": "soon", "x": '))
    sent = sender(server)([bad, good])
    assert {one.key for one in sent.delivered} == {good.key, bad.key}
    assert (sent.refused, sent.later) == ({}, "")
    assert [one["id"] for one in documents(server, "fine")] == ["fine"]
    ask(f"{server.url}/{DEAD_LETTERS}/_refresh", "POST")
    (dead,) = ask(f"{server.url}/{DEAD_LETTERS}/_search")["hits"]["hits"]
    assert (dead["_source"]["text"], dead["_source"]["stream"]) == (bad.body, EVENTS)
    assert "failed to parse field [started_at_ns]" in dead["_source"]["error"]


def test_server_that_is_gone_is_named_without_its_password(free_port: int) -> None:
    gone = Settings(url=ServerUrl(f"http://user:secret@127.0.0.1:{free_port}"))
    with pytest.raises(SinkError, match=r"at http://user:\*\*\*@127\.0\.0\.1:\d+ does not answer"):
        Sender(gone, ManualClock())([])


@pytest.mark.parametrize("has_template", [False, True])
def test_server_that_is_not_set_up_gets_nothing(
    server: Elasticsearch, monkeypatch: pytest.MonkeyPatch, has_template: bool
) -> None:
    stream = f"elsewhere-{has_template}".lower()
    monkeypatch.setattr("raycctv.sinks.elasticsearch.EVENTS", stream)
    if has_template:  # and no pipeline
        with connect(settings(server)) as client:
            client.indices.put_index_template(name=stream, index_patterns=[stream], data_stream={})
    with pytest.raises(SinkError, match="is not set up for raycctv; `raycctv elasticsearch setup` does it"):
        sender(server)([letter(1, event("nowhere"))])
    assert not ask(f"{server.url}/_resolve/index/{stream}*")["data_streams"]


def test_what_setup_cannot_install_is_an_error(server: Elasticsearch) -> None:
    """This one has no processors."""
    with pytest.raises(SinkError, match="No processor type exists with name"):
        installed(settings(server))


def made(rng: random.Random, number: int) -> Event:
    """A random event; half of them go on."""
    kind = rng.choice(KINDS)
    labels = {label: round(rng.random(), 3) for label in rng.sample(["person", "car", "cell phone"], rng.randint(0, 3))}
    return replace(
        event(f"e{number}", rng.choice(["North-1", "North-2", "South"]), kind, start_s=number % 50),
        zones=tuple(rng.sample(["gate", "yard", "door"], rng.randint(0, 2))),
        labels=labels,
        score=rng.choice([0.1, 0.5, 0.9]),
        why=rng.choice(["left the gate", "the left one", "Grün; 3 views", "the gate, left"]),
    )


def same(one: Event, rng: random.Random) -> dict[str, Any]:
    """What does not change when an event ends, and its end."""
    kept = {name: getattr(one, name) for name in ("id", "camera", "kind", "model", "started_at_ns")}
    return {**kept, "ended_at_ns": one.started_at_ns + rng.randint(0, 30) * NS}


@pytest.fixture(scope="module")
def both(server: Elasticsearch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Catalog, Searcher]]:
    """The same 300 events in both. What an event is found by changes when it ends."""
    rng = random.Random(6)  # noqa: S311
    begun = [made(rng, number) for number in range(300)]
    ended = [replace(made(rng, number), **same(one, rng)) for number, one in enumerate(begun) if rng.random() < 0.7]
    searcher = Searcher(settings(server))
    with Catalog(tmp_path_factory.mktemp("catalog") / CATALOG_NAME) as catalog:
        for one in [*begun, *ended]:
            catalog.put_event(one)
        sender(server)([letter(seq, one) for seq, one in enumerate([*begun, *ended])])
        ask(f"{server.url}/{EVENTS}/_refresh", "POST")
        yield catalog, searcher
    searcher.close()


def answers(
    both: tuple[Catalog, Searcher], query: str, limit: int = 1000, **bounds: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Of both, to the same question about events of this test."""
    catalog, searcher = both
    parsed = parse(f"({query}) id:e*")
    found = searcher.events(parsed, limit=limit, **bounds)
    rows = [to_json(one, []) for one in catalog.events(limit=limit, search=parsed, **bounds)]
    return rows, [{field: one[field] for field in FIELDS} for one in found]


@pytest.mark.parametrize("query", QUERIES)
def test_elasticsearch_and_catalog_give_the_same_answer(both: tuple[Catalog, Searcher], query: str) -> None:
    rows, found = answers(both, query)
    assert found == rows


def test_random_questions_have_the_same_answer(both: tuple[Catalog, Searcher]) -> None:
    rng = random.Random(7)  # noqa: S311
    somewhere = 0
    for _ in range(60):
        query = " ".join(
            f"{rng.choice(['', 'NOT '])}({rng.choice(QUERIES)}) {rng.choice(['AND', 'OR', ''])} ({rng.choice(QUERIES)})"
            for _ in range(rng.randint(1, 2))
        )
        start_ns = T0_NS + rng.randint(0, 60) * NS
        bounds = {"from_ns": rng.choice([None, start_ns]), "to_ns": rng.choice([None, start_ns + 10 * NS])}
        camera = rng.choice([None, CameraName("South")])
        rows, found = answers(both, query, rng.choice([1, 7, 1000]), camera=camera, **bounds)
        assert found == rows, query
        somewhere += bool(rows)
    assert somewhere > 20


def test_queries_of_the_dashboards_find_events(server: Elasticsearch, both: tuple[Catalog, Searcher]) -> None:
    """Grafana puts in the cameras that are chosen: all, or several."""
    panels = json.loads((REPOSITORY / "deploy" / "grafana" / "dashboards" / "events.json").read_text())["panels"]
    queries = [target["query"] for panel in panels for target in panel["targets"] if "query" in target]
    assert len(queries) > 2
    for query in queries:
        for chosen in (".+", "(North-1|South)"):
            text = f"({query.replace('${camera:regex}', chosen)}) AND id:e*"
            body = {"query": {"query_string": {"query": text, "analyze_wildcard": True}}}
            assert ask(f"{server.url}/{EVENTS}/_count", "POST", body)["count"] > 0, text


def test_many_pages_give_each_event_once(both: tuple[Catalog, Searcher], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycctv.sinks.elasticsearch._PAGE", 7)
    rows, found = answers(both, "NOT nothing_like_it")
    assert found == rows
    assert len(found) == 300
