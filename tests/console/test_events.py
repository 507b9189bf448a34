"""Events by HTTP: found as on the command line, judged, protected, and shown to whom they belong."""

import json
from pathlib import Path
from typing import Any

import pytest
from desk import GATE, Desk
from fastapi.testclient import TestClient
from support import NS, T0_NS, event
from typer.testing import CliRunner

from raycctv.cli.main import app
from raycctv.clock import iso
from raycctv.types import Span


def ids(client: TestClient, **params: Any) -> list[str]:
    got = client.get("/api/events", params=params)
    assert got.status_code == 200, got.text
    return [one["id"] for one in got.json()["events"]]


def at(seconds: float) -> str:
    return iso(T0_NS + round(seconds * NS))


@pytest.fixture
def many(desk: Desk) -> Desk:
    for number in range(25):
        desk.catalog.put_event(event(f"n{number:02}", "gate", "car" if number % 2 else "person", 100 + number, 110 + number))
    return desk


def test_event_is_as_json_of_the_command_and_says_what_people_made_of_it(client: TestClient, desk: Desk) -> None:
    got = client.get("/api/events/e-gate").json()
    assert (got["camera"], got["kind"], got["category"], got["labels"]) == ("gate", "person", "object", {"person": 0.8})
    assert got["segments"] == [desk.catalog.segments(GATE)[0].path]
    assert (got["false_alarm"], got["protected"]) == (False, False)
    assert (got["play_from"], got["play_to"]) == (at(-3), at(13))
    assert got["why"] == "a test"


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, ["e-offline", "e-yard", "e-gate"]),
        ({"camera": "gate"}, ["e-offline", "e-gate"]),
        ({"camera": ["gate", "yard"], "kind": "object"}, ["e-yard", "e-gate"]),
        ({"kind": "person"}, ["e-gate"]),
        ({"kind": "health"}, ["e-offline"]),
        ({"label": "car"}, ["e-yard"]),
        ({"zone": "door"}, ["e-offline", "e-yard", "e-gate"]),
        ({"zone": "roof"}, []),
        ({"from": at(10)}, ["e-offline"]),
        ({"to": at(3)}, ["e-gate"]),
        ({"min_score": 0.9}, []),
        ({"search": "person AND zone:door"}, ["e-gate"]),
        ({"search": "NOT camera:gate"}, ["e-yard"]),
        ({"limit": 1}, ["e-offline"]),
        ({"false_alarm": "true"}, []),
    ],
)
def test_events_are_chosen(client: TestClient, params: dict[str, Any], expected: list[str]) -> None:
    assert ids(client, **params) == expected


@pytest.mark.parametrize("query", ["person OR car", "(car OR truck) NOT camera:gate", "score>=0.5 zone:door", "kind:object"])
def test_search_finds_what_the_command_finds(client: TestClient, desk: Desk, query: str) -> None:
    done = CliRunner().invoke(app, ["events", "--root", str(desk.root), "--search", query, "--json"])
    assert done.exit_code == 0
    assert ids(client, search=query) == [json.loads(line)["id"] for line in done.stdout.splitlines()] != []


def test_events_come_page_by_page(client: TestClient, many: Desk) -> None:
    seen: list[str] = []
    before: str | None = None
    for _ in range(10):
        got = client.get("/api/events", params={"limit": 10, **({"before": before} if before else {})}).json()
        seen += [one["id"] for one in got["events"]]
        before = got["next"]
        if before is None:
            break
    assert seen == [f"n{number:02}" for number in range(24, -1, -1)] + ["e-offline", "e-yard", "e-gate"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"search": "person AND"}, "a word or field:value is missing"),
        ({"search": "size:3"}, "fields are"),
        ({"search": "x" * 501}, "500"),
        ({"min_score": "nan"}, "min_score"),
        ({"limit": 0}, "limit"),
        ({"from": "now"}, "no ISO 8601 time"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_malformed_question_is_refused_with_the_reason(client: TestClient, params: dict[str, Any], words: str) -> None:
    got = client.get("/api/events", params=params)
    assert got.status_code == 422
    assert words in got.json()["detail"]


def test_viewer_is_told_of_their_cameras_alone(viewer: TestClient) -> None:
    assert ids(viewer) == ["e-offline", "e-gate"]
    assert ids(viewer, camera="yard") == []
    assert ids(viewer, search="car") == []
    assert ids(viewer, search="camera:yard OR camera:gate") == ["e-offline", "e-gate"]
    for path in ("", "/snapshot"):
        assert viewer.get(f"/api/events/e-yard{path}").status_code == 404
    assert viewer.get("/events/e-yard").status_code == 404
    assert viewer.get("/api/events", params={"before": "e-yard"}).status_code == 404


def test_false_alarm_is_marked_and_the_command_says_so(operator: TestClient, desk: Desk) -> None:
    got = operator.post("/api/events/e-gate/false-alarm", json={"false_alarm": True})
    assert (got.status_code, got.json()["false_alarm"]) == (200, True)
    assert ids(operator, false_alarm="true") == ["e-gate"]
    done = CliRunner().invoke(app, ["events", "--root", str(desk.root), "--false-alarms", "--json"])
    assert '"id": "e-gate"' in done.stdout
    (note,) = desk.app.state.service.audit.notes(what="marked as false alarm")
    assert (note.account, note.camera, note.details) == ("operator", "gate", {"event": "e-gate"})
    assert operator.post("/api/events/e-gate/false-alarm", json={"false_alarm": False}).json()["false_alarm"] is False
    assert ids(operator, false_alarm="true") == []


def test_event_is_protected_with_what_was_before_and_after(operator: TestClient, desk: Desk) -> None:
    assert operator.post("/api/events/e-gate/protect", json={"protected": True}).json()["protected"] is True
    assert desk.catalog.protected() == [Span(GATE, T0_NS - 3 * NS, T0_NS + 13 * NS)]
    assert operator.get("/api/events/e-yard").json()["protected"] is False
    assert operator.post("/api/events/e-gate/protect", json={"protected": False}).json()["protected"] is False
    assert desk.catalog.protected() == []


@pytest.mark.parametrize(("act", "body"), [("false-alarm", {"false_alarm": True}), ("protect", {"protected": True})])
def test_viewer_may_not_judge(viewer: TestClient, stranger: TestClient, act: str, body: dict[str, Any]) -> None:
    assert viewer.post(f"/api/events/e-gate/{act}", json=body).status_code == 403
    assert stranger.post(f"/api/events/e-gate/{act}", json=body).status_code == 401
    assert viewer.post(f"/api/events/none/{act}", json=body).status_code == 403


def test_snapshot_is_given_from_the_log_folder_and_nowhere_else(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    folder = desk.config.logs.dir / "snapshots"
    folder.mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"\xff\xd8 a picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    for number, where in enumerate(
        ("snapshots/a.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), "snapshots/none.jpg", "")
    ):
        desk.catalog.put_event(event(f"s{number}", snapshot=where))
    got = client.get("/api/events/s0/snapshot")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/jpeg", b"\xff\xd8 a picture")
    assert [client.get(f"/api/events/s{number}/snapshot").status_code for number in (1, 2, 3, 4)] == [404] * 4
    assert client.get("/api/events/e-gate/snapshot").status_code == 404  # has none
    notes = desk.app.state.service.audit.notes(what="saw event")
    assert [note.details["event"] for note in notes] == ["s0"]


def test_event_of_no_camera_is_for_those_who_see_all(desk: Desk, client: TestClient, viewer: TestClient) -> None:
    desk.catalog.put_event(event("full", "*", "disk_low", 99))
    assert "full" in ids(client)
    assert "full" not in ids(viewer)
