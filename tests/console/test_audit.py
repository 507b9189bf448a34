"""The audit log: what is in it, and that nothing of it is lost or made up."""

import json
import logging

import pytest
from desk import PASSWORD, Desk
from fastapi.testclient import TestClient

from raycctv.console import audit as audit_module
from raycctv.console.audit import AGAIN_S, AuditLog


def acts(client: TestClient, **wanted: str) -> list[tuple[str | None, str]]:
    """(account, act), oldest first."""
    answer = client.get("/api/audit", params=wanted)
    return [(row["account"], row["what"]) for row in reversed(answer.json())]


def test_audit_log_tells_who_did_what(desk: Desk, client: TestClient, stranger: TestClient) -> None:
    stranger.post("/login", data={"name": "viewer", "password": "wrong"})
    stranger.post("/login", data={"name": "viewer", "password": PASSWORD})
    stranger.get("/")
    client.post("/api/accounts", json={"name": "guard", "role": "viewer"})
    client.put("/api/accounts/guard", json={"role": "operator"})
    client.post("/api/accounts/guard/password", json={})
    client.delete("/api/accounts/guard")
    client.post("/api/tokens", json={"name": "archive"})
    assert acts(client) == [
        (None, "wrong password"), ("viewer", "logged in"), ("viewer", "saw all cameras"), ("admin", "made account"),
        ("admin", "changed account"), ("admin", "set password"), ("admin", "removed account"), ("admin", "made token"),
    ]  # fmt: skip
    (made,) = client.get("/api/audit", params={"what": "made account"}).json()
    assert made["details"] == {"name": "guard", "role": "viewer", "cameras": None}
    assert made["address"] == "testclient"
    assert "password" not in json.dumps([row["details"] for row in client.get("/api/audit").json()]).replace(
        "wrong password", ""
    )


def test_audit_log_is_read_in_pages_and_by_account(client: TestClient, desk: Desk) -> None:
    log = desk.app.state.service.audit
    for number in range(25):
        log.note("admin" if number % 2 else "viewer", "here", f"act {number}", camera="gate")
    first = client.get("/api/audit", params={"limit": 10}).json()
    second = client.get("/api/audit", params={"limit": 10, "before": first[-1]["id"]}).json()
    assert [row["what"] for row in first + second] == [f"act {24 - number}" for number in range(20)]
    assert {account for account, _ in acts(client, account="viewer", camera="gate")} == {"viewer"}
    page = client.get("/audit", params={"account": "viewer"})
    assert "act 24" in page.text
    assert "act 23" not in page.text


def test_looking_goes_on_and_is_noted_once_in_ten_minutes(desk: Desk) -> None:
    log: AuditLog = desk.app.state.service.audit
    for _ in range(20):
        log.note("viewer", "here", "saw live", "gate", ongoing=True)
        log.note("viewer", "here", "saw live", "yard", ongoing=True)
        desk.clock.advance(AGAIN_S / 10)
    assert len(log.notes(what="saw live", camera="gate")) == len(log.notes(what="saw live", camera="yard")) == 2


def test_audit_log_outlives_the_account(desk: Desk, client: TestClient, viewer: TestClient) -> None:
    viewer.get("/")
    client.delete("/api/accounts/viewer")
    assert ("viewer", "saw all cameras") in acts(client)


def test_oldest_lines_go_when_there_are_too_many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "_KEPT", 50)
    monkeypatch.setattr(audit_module, "_PRUNED_EVERY", 20)
    log: AuditLog = desk.app.state.service.audit
    for number in range(200):
        log.note("viewer", "here", f"act {number}")
    notes = log.notes(limit=1000)
    assert notes[0].what == "act 199"
    assert 50 <= len(notes) <= 70


@pytest.mark.logs_errors
def test_line_that_the_disk_does_not_take_goes_to_the_log_and_hinders_nobody(
    desk: Desk, viewer: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    desk.accounts.database.write("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    with caplog.at_level(logging.ERROR):
        assert viewer.get("/").status_code == 200
    assert "saw all cameras by viewer" in caplog.text
