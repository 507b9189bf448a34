"""The ingest pipelines, run by the processors of a real Elasticsearch (7.10: the last under a licence that lets us)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from servers.elasticsearch_servers import ask, ingest_node
from support import event

from raycctv.sinks.documents import document, fingerprint
from raycctv.sinks.elasticsearch_setup import ACCESS, DEAD_LETTERS, EVENTS, FIELDS, LOGS, PIPELINES
from raycctv.sinks.event_log import to_json


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ingest_node(tmp_path_factory.mktemp("ingest")) as url:
        for name, pipeline in PIPELINES.items():
            ask(f"{url}/_ingest/pipeline/{name}", "PUT", pipeline)
        yield url


def simulate(node: str, pipeline: str, source: dict[str, Any], doc_id: str | None = "given") -> dict[str, Any]:
    """The document, with ``_index`` and ``_id``, after the installed pipeline."""
    given = {"_index": pipeline, "_id": doc_id, "_source": source} if doc_id else {"_index": pipeline, "_source": source}
    (answer,) = ask(f"{node}/_ingest/pipeline/{pipeline}/_simulate", "POST", {"docs": [given]})["docs"]
    return dict(answer["doc"])


def line(end_s: float | None = 5) -> dict[str, Any]:
    return to_json(event(end_s=end_s), ["gate/a.mp4"])


def test_event_gets_its_time_and_duration_and_keeps_everything_else(node: str) -> None:
    sent = document(event(end_s=5), line())
    doc = simulate(node, EVENTS, sent)
    assert doc["_source"] == {**sent, "duration_s": 5.0}
    assert (doc["_index"], doc["_id"]) == (EVENTS, "given")


def test_line_of_the_event_log_is_enough_and_is_known_by_the_same_fingerprint(node: str) -> None:
    for end_s in (None, 5.0):
        ((indexed,),) = [ask(f"{node}/_bulk?refresh=true&pipeline={EVENTS}", "POST", lines=bulk("lines", line(end_s)))["items"]]
        assert indexed["index"]["_id"] == fingerprint(event(end_s=end_s))
    stored = ask(f"{node}/lines/_doc/{fingerprint(event(end_s=5))}")["_source"]
    assert (stored["@timestamp"], stored["duration_s"]) == ("2023-11-14T22:13:20.000Z", 5.0)


def bulk(index: str, source: dict[str, Any]) -> bytes:
    return f"{json.dumps({'index': {'_index': index}})}\n{json.dumps(source)}\n".encode()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"started_at": "yesterday"}, "Text 'yesterday' could not be parsed"),
        ({"started_at": None}, "date: "),
        ({"ended_at": "later"}, "Text 'later' could not be parsed"),
    ],
)
def test_bad_event_is_a_dead_letter_with_the_reason_and_all_that_it_held(node: str, bad: dict[str, Any], why: str) -> None:
    doc = simulate(node, EVENTS, {**line(), **bad})
    assert (doc["_index"], doc["_source"]["stream"]) == (DEAD_LETTERS, EVENTS)
    assert why in doc["_source"]["error"]
    assert doc["_source"]["@timestamp"] > "2024"
    assert doc["_source"]["why"] == "a test"


def test_line_of_a_component_is_taken_apart(node: str) -> None:
    text = "2026-11-24 20:15:03,120 WARNING raycctv.live: gate: camera [0] has gone: again in 2 s"
    assert simulate(node, LOGS, {"message": text})["_source"] == {
        "@timestamp": "2026-11-24T20:15:03.120Z",
        "level": "warning",
        "logger": "raycctv.live",
        "message": "gate: camera [0] has gone: again in 2 s",
    }


def test_json_line_of_a_component_is_taken_apart(node: str) -> None:
    said = {"time": "2026-11-24T20:15:03.120Z", "level": "info", "component": "reader", "camera": "gate", "message": "hello"}
    found = simulate(node, LOGS, {"message": json.dumps(said)})["_source"]
    assert found == {"@timestamp": said.pop("time"), **said}


@pytest.mark.parametrize("text", ["no line of ours", "2026-11-24 20:15:03,120 raycctv.live: no level", '{"half', "{}"])
def test_bad_line_of_a_component_is_a_dead_letter(node: str, text: str) -> None:
    doc = simulate(node, LOGS, {"message": text})
    assert (doc["_index"], doc["_source"]["stream"], doc["_source"]["message"]) == (DEAD_LETTERS, LOGS, text)


def test_access_of_the_rtmp_server_is_taken_apart(node: str) -> None:
    text = '10.0.0.1 - - [10/Oct/2026:13:55:36 +0200] "GET /stat HTTP/1.1" 200 2326'
    found = simulate(node, ACCESS, {"message": text})["_source"]
    assert found == {
        "@timestamp": "2026-10-10T11:55:36.000Z", "message": text, "clientip": "10.0.0.1", "ident": "-", "auth": "-",
        "verb": "GET", "request": "/stat", "httpversion": "1.1", "response": 200, "bytes": 2326,
    }  # fmt: skip


def test_access_without_a_body_has_no_bytes(node: str) -> None:
    found = simulate(node, ACCESS, {"message": '::1 - - [10/Oct/2026:13:55:36 +0000] "POST /on_play HTTP/1.0" 403 -'})
    assert found["_source"]["response"] == 403
    assert "bytes" not in found["_source"]


@pytest.mark.parametrize("text", ["GET /stat", '10.0.0.1 - - [yesterday] "GET /stat HTTP/1.1" 200 2326', ""])
def test_bad_access_line_is_a_dead_letter(node: str, text: str) -> None:
    doc = simulate(node, ACCESS, {"message": text})
    assert (doc["_index"], doc["_source"]["message"]) == (DEAD_LETTERS, text)


def test_every_field_that_a_document_has_is_mapped() -> None:
    sent = {**document(event(end_s=5), line()), "duration_s": 5.0}
    assert set(sent) - {"@timestamp", "box", "segments"} == set(FIELDS[EVENTS])
