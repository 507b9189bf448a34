"""``raycctv elasticsearch setup`` and ``raycctv events --search``, as typed."""

import json
from pathlib import Path
from typing import Any

import pytest
from servers.elasticsearch_servers import Elasticsearch
from support import event
from typer.testing import CliRunner

from raycctv.cli.main import app
from raycctv.clock import ManualClock
from raycctv.config import Elasticsearch as Settings
from raycctv.config import ServerUrl
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.sinks.documents import document, fingerprint
from raycctv.sinks.elasticsearch import Sender, connect
from raycctv.sinks.elasticsearch_setup import EVENTS, PIPELINES, install_templates
from raycctv.sinks.event_log import to_json
from raycctv.sinks.outbox import Letter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two events in its catalog, and a configuration."""
    with Catalog(tmp_path / CATALOG_NAME) as catalog:
        for one in EXAMPLES:
            catalog.put_event(one)
    (tmp_path / "cameras.yaml").write_text("cameras: {gate: {source: rtsp://camera/1}}\nrecording: {root: .}\n")
    return tmp_path


EXAMPLES = [event("cli-1", end_s=5), event("cli-2", kind="car", start_s=10)]


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


def search(folder: Path, query: str) -> list[dict[str, Any]]:
    status, output = run("events", "--config", folder / "cameras.yaml", "--search", query, "--json")
    assert status == 0, output
    return [json.loads(line) for line in output.splitlines()]


def test_search_asks_the_catalog_where_there_is_no_elasticsearch(folder: Path) -> None:
    assert [row["id"] for row in search(folder, "id:cli-* AND zone:door")] == ["cli-2", "cli-1"]
    assert search(folder, "id:cli-* AND person") == [{**to_json(EXAMPLES[0], []), "false_alarm": False}]


def test_search_asks_elasticsearch_where_there_is_one_with_the_same_answer(folder: Path, elasticsearch: Elasticsearch) -> None:
    expected = search(folder, "id:cli-* AND NOT zone:yard")
    settings = Settings(url=ServerUrl(elasticsearch.url))
    with connect(settings) as client:
        for name in PIPELINES:
            client.ingest.put_pipeline(id=name, processors=[])
        install_templates(client, 86400.0)
        letters = [Letter(0, fingerprint(one), json.dumps(document(one, to_json(one, [])))) for one in EXAMPLES]
        Sender(settings, ManualClock())(letters)
        client.indices.refresh(index=EVENTS)
    with (folder / "cameras.yaml").open("a") as file:
        file.write(f"elasticsearch: {{url: '{elasticsearch.url}'}}\n")
    with Catalog(folder / CATALOG_NAME) as catalog:
        catalog.mark_false_alarm("cli-1", 0, "anna")
    found = search(folder, "id:cli-* AND NOT zone:yard")
    assert [row.pop("false_alarm") for row in found] == [False, True]
    (folder / CATALOG_NAME).unlink()
    assert search(folder, "id:cli-* AND NOT zone:yard") == [{**row, "false_alarm": None} for row in expected]
    assert found == [{key: value for key, value in row.items() if key != "false_alarm"} for row in expected]


def test_kind_may_be_a_category_with_and_without_a_search(folder: Path) -> None:
    with Catalog(folder / CATALOG_NAME) as catalog:
        catalog.put_event(event("cli-3", kind="camera_offline", start_s=20))
        catalog.put_event(event("cli-4", kind="motion", start_s=30))
    found = {}
    for kind in ("health", "object", "motion", "car"):
        status, output = run("events", "--config", folder / "cameras.yaml", "--kind", kind, "--json")
        assert status == 0, output
        found[kind] = [(row["id"], row["category"]) for row in map(json.loads, output.splitlines())]
    assert found == {
        "health": [("cli-3", "health")],
        "object": [("cli-2", "object"), ("cli-1", "object")],
        "motion": [("cli-4", "motion")],
        "car": [("cli-2", "object")],
    }
    assert [row["id"] for row in search(folder, "kind:health")] == ["cli-3"]
    assert "cli-1" in run("events", "--config", folder / "cameras.yaml", "--kind", "object", "--search", "person", "--json")[1]


def test_query_that_is_none_is_used_wrong(folder: Path) -> None:
    status, output = run("events", "--config", folder / "cameras.yaml", "--search", "person AND")
    assert (status, "a word or field:value is missing" in " ".join(output.split())) == (2, True)


def test_setup_without_an_elasticsearch_says_what_to_write(folder: Path) -> None:
    done = CliRunner().invoke(app, ["elasticsearch", "setup", "--config", str(folder / "cameras.yaml")])
    assert "write elasticsearch: {url:" in str(done.exception)
