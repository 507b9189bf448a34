"""Accounts, and that nobody can lock everybody out."""

import stat
from pathlib import Path

import pytest
from desk import GATE, PASSWORD, YARD, Desk
from fastapi.testclient import TestClient

from raycctv.clock import ManualClock
from raycctv.console.accounts import AccountRefused, Accounts
from raycctv.console.database import DATABASE_NAME
from raycctv.errors import ConsoleError

NEW = {"name": "guard", "role": "viewer", "cameras": ["gate"]}


def test_accounts_are_readable_by_their_owner_alone(desk: Desk) -> None:
    for path in desk.root.glob(f"{DATABASE_NAME}*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_password_stands_nowhere_in_the_file(desk: Desk) -> None:
    desk.browser("admin")
    written = b"".join(path.read_bytes() for path in desk.root.glob(f"{DATABASE_NAME}*"))
    assert b"$argon2id$" in written
    assert PASSWORD.encode() not in written


def test_first_password_is_made_anew_until_somebody_was_told(tmp_path: Path) -> None:
    accounts = Accounts.open(tmp_path / DATABASE_NAME, ManualClock())
    lost, told = accounts.first_password(), accounts.first_password()
    assert lost
    assert told
    assert accounts.verified("admin", lost) is None
    found = accounts.verified("admin", told)
    assert found is not None
    assert found.role == "administrator"
    accounts.told()
    assert accounts.first_password() is None
    accounts.close()
    again = Accounts.open(tmp_path / DATABASE_NAME, ManualClock())
    assert again.first_password() is None
    assert again.verified("admin", told) is not None
    again.close()


def test_first_password_is_not_made_where_there_are_accounts(desk: Desk) -> None:
    assert desk.accounts.first_password() is None


def test_file_that_is_no_database_is_an_error_and_stays(tmp_path: Path) -> None:
    path = tmp_path / DATABASE_NAME
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(ConsoleError, match=r"console\.sqlite3: the console's accounts cannot be used"):
        Accounts.open(path, ManualClock())
    assert path.read_bytes().startswith(b"not a database")


def test_administrator_makes_changes_and_removes_an_account(desk: Desk, client: TestClient) -> None:
    made = client.post("/api/accounts", json=NEW)
    assert made.status_code == 201
    assert made.json()["account"]["cameras"] == ["gate"]
    assert desk.accounts.verified("guard", made.json()["password"]) is not None
    guard = desk.browser("guard")
    assert [row["camera"] for row in guard.get("/api/cameras").json()] == ["gate"]
    assert client.put("/api/accounts/guard", json={"role": "operator", "cameras": ["yard"]}).json()["role"] == "operator"
    assert [row["camera"] for row in guard.get("/api/cameras").json()] == ["yard"]  # at once, without another login
    assert client.delete("/api/accounts/guard").status_code == 204
    assert guard.get("/api/cameras").status_code == 401
    assert client.delete("/api/accounts/guard").status_code == 404


def test_account_with_a_password_of_its_own_is_told_none(desk: Desk, client: TestClient) -> None:
    made = client.post("/api/accounts", json=NEW | {"password": "ten letters or more"})
    assert made.json()["password"] is None
    assert desk.accounts.verified("guard", "ten letters or more") is not None


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (NEW | {"name": "viewer"}, 409, "there is an account 'viewer' already"),
        (NEW | {"name": "VIEWER"}, 409, "there is an account 'VIEWER' already"),
        (NEW | {"name": "../etc"}, 409, "is no name"),
        (NEW | {"name": ""}, 409, "is no name"),
        (NEW | {"password": "short"}, 422, "body.password"),
        (NEW | {"role": "root"}, 422, "body.role"),
        (NEW | {"cameras": ["moon"]}, 422, "there is no camera 'moon'"),
        ({"role": "viewer"}, 422, "body.name"),
    ],
)
def test_account_that_cannot_be_is_refused_with_the_reason(
    client: TestClient, body: dict[str, object], status: int, words: str
) -> None:
    answer = client.post("/api/accounts", json=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_last_administrator_can_neither_go_nor_become_less(desk: Desk, client: TestClient) -> None:
    gone, less = client.delete("/api/accounts/admin"), client.put("/api/accounts/admin", json={"role": "viewer"})
    assert gone.status_code == less.status_code == 409
    assert "last administrator" in gone.json()["detail"]
    desk.accounts.add("second", "administrator", None, PASSWORD)
    assert client.put("/api/accounts/admin", json={"role": "viewer"}).status_code == 200
    assert client.get("/api/accounts").status_code == 403
    with pytest.raises(AccountRefused):
        desk.accounts.remove("second")


def test_administrator_sees_all_cameras_whatever_was_asked_for(desk: Desk, client: TestClient) -> None:
    client.post("/api/accounts", json=NEW | {"role": "administrator"})
    account = desk.accounts.find("guard")
    assert account is not None
    assert account.sees(YARD)
    assert account.sees(GATE)


def test_another_password_ends_every_session_of_the_account(desk: Desk, client: TestClient, viewer: TestClient) -> None:
    done = client.post("/api/accounts/viewer/password", json={})
    assert viewer.get("/api/me").status_code == 401
    assert desk.accounts.verified("viewer", PASSWORD) is None
    assert desk.accounts.verified("viewer", done.json()["password"]) is not None
    assert client.get("/api/me").status_code == 200


def test_own_password_is_changed_by_who_knows_it(desk: Desk, viewer: TestClient) -> None:
    elsewhere = desk.browser("viewer")
    wrong = viewer.post("/api/me/password", json={"old": "guessed", "new": "another password"})
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "that is not the password so far")
    assert viewer.post("/api/me/password", json={"old": PASSWORD, "new": "short"}).status_code == 422
    assert viewer.post("/api/me/password", json={"old": PASSWORD, "new": "another password"}).status_code == 204
    assert viewer.get("/api/me").status_code == 200  # with the new session that it was given
    assert elsewhere.get("/api/me").status_code == 401
    assert desk.accounts.verified("viewer", "another password") is not None


def test_administrator_gives_themselves_another_password_and_goes_on(client: TestClient) -> None:
    assert client.post("/api/accounts/admin/password", json={"password": "another password"}).status_code == 200
    assert client.get("/api/me").status_code == 401


def test_viewer_sees_the_pages_of_their_own_cameras_alone(viewer: TestClient) -> None:
    page = viewer.get("/").text
    assert "gate" in page
    assert "yard" not in page
    assert viewer.get("/api/cameras/gate").json()["camera"] == "gate"
    answers = [viewer.get("/api/cameras/yard"), viewer.get("/api/cameras/moon")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    system = viewer.get("/api/system").json()
    assert "yard" not in str(system)
    assert "reader:gate" in {actor["name"] for actor in system["actors"]}
