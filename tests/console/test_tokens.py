"""Keys of programs."""

from typing import Any

import pytest
from desk import Desk
from fastapi.testclient import TestClient

from raycctv.console.access import CSRF_HEADER


def made(browser: TestClient, **asked: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """The header that a program sends, and what is told of the token."""
    answer = browser.post("/api/tokens", json={"name": "archive", **asked})
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['secret']}"}, answer.json()["token"]


def test_program_asks_with_a_token_and_needs_nothing_of_a_page(desk: Desk, client: TestClient) -> None:
    header, token = made(client, role="administrator")
    program = desk.browser()
    assert program.get("/api/me", headers=header).json()["name"] == "admin"
    new = {"name": "made-by-program", "role": "viewer"}
    assert program.post("/api/accounts", json=new, headers=header).status_code == 201
    assert client.get("/api/tokens").json()[0]["used_at"] is not None
    assert token["used_at"] is None


def test_token_may_no_more_than_it_was_given(desk: Desk, client: TestClient, viewer: TestClient) -> None:
    header, token = made(client)
    assert token["role"] == "viewer"
    assert desk.browser().get("/api/cameras", headers=header).status_code == 200
    assert desk.browser().get("/api/accounts", headers=header).status_code == 403
    refused = viewer.post("/api/tokens", json={"name": "more", "role": "operator"})
    assert (refused.status_code, refused.json()["detail"]) == (409, "a token may do at most what its account may: viewer")


def test_token_sees_the_cameras_of_its_account(desk: Desk, viewer: TestClient) -> None:
    header, _ = made(viewer)
    assert [row["camera"] for row in desk.browser().get("/api/cameras", headers=header).json()] == ["gate"]
    assert desk.browser().get("/api/cameras/yard", headers=header).status_code == 404


def test_token_shrinks_with_its_account_and_goes_with_it(desk: Desk, client: TestClient) -> None:
    operator = desk.browser("operator")
    header, _ = made(operator, role="operator")
    client.put("/api/accounts/operator", json={"role": "viewer"})
    assert desk.browser().get("/api/me", headers=header).json()["role"] == "viewer"
    client.delete("/api/accounts/operator")
    assert desk.browser().get("/api/me", headers=header).status_code == 401


@pytest.mark.parametrize(
    "call", [("GET", "/api/tokens"), ("POST", "/api/tokens"), ("POST", "/api/me/password"), ("POST", "/logout")]
)
def test_token_makes_no_tokens_and_changes_no_password(desk: Desk, client: TestClient, call: tuple[str, str]) -> None:
    header, _ = made(client, role="administrator")
    body = {"name": "more", "old": "x", "new": "x" * 10}
    assert desk.browser().request(*call, headers=header, json=body).status_code == 403


def test_token_that_ran_out_or_was_removed_counts_no_longer(desk: Desk, client: TestClient, viewer: TestClient) -> None:
    header, token = made(client, days=1)
    other, _ = made(client, name="other")
    assert viewer.delete(f"/api/tokens/{token['id']}").status_code == 404  # of somebody else
    desk.clock.advance(86399)
    assert desk.browser().get("/api/me", headers=header).status_code == 200
    desk.clock.advance(1)
    assert desk.browser().get("/api/me", headers=header).status_code == 401
    again = desk.browser("admin")
    numbers = [row["id"] for row in again.get("/api/tokens").json()]
    assert again.delete(f"/api/tokens/{numbers[1]}").status_code == 204
    assert desk.browser().get("/api/me", headers=other).status_code == 401


def test_wrong_token_is_refused_even_to_who_is_logged_in(client: TestClient) -> None:
    """A program must not work by chance with the cookie of a browser."""
    assert client.get("/api/me", headers={"Authorization": "Bearer raycctv_x"}).status_code == 401
    assert client.get("/api/me", headers={"Authorization": "Basic YTpi"}).status_code == 200


def test_cookie_counts_only_with_the_page_whatever_else_a_request_brings(client: TestClient) -> None:
    client.headers.pop(CSRF_HEADER)
    body = {"name": "n", "role": "viewer"}
    assert client.post("/api/accounts", json=body, headers={"Authorization": "Basic YTpi"}).status_code == 403


def test_token_stands_nowhere_in_the_file(desk: Desk, client: TestClient) -> None:
    header, _ = made(client)
    written = b"".join(path.read_bytes() for path in desk.root.glob("console.sqlite3*"))
    assert header["Authorization"].removeprefix("Bearer ").encode() not in written
