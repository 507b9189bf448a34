"""Headers, limits and errors: what every answer has in common."""

from collections.abc import Iterator

import pytest
from desk import Desk
from fastapi.testclient import TestClient

from raycctv.console.app import LARGEST_BODY_BYTES
from raycctv.errors import ClusterError


@pytest.mark.parametrize("path", ["/", "/login", "/api/me", "/static/app.css", "/nowhere", "/api/nowhere"])
def test_every_answer_tells_the_browser_to_trust_nothing_else(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
    assert "strict-transport-security" not in headers  # which would lock people out of plain HTTP on loopback
    assert "server" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2fpyproject.toml",
        "/static//etc/passwd",
        "/static/..%5capp.py",
        "/static/%00",
        "/static/",
        "/api/cameras/..%2f..%2fetc%2fpasswd",
        "/api/cameras/%2e%2e",
        "/api/cameras/gate%00",
        "/api/cameras/" + "x" * 5000,
        "/nowhere",
        "/api/accounts/..%2fadmin",
    ],
)
def test_path_that_leads_elsewhere_leads_nowhere(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 405, 422), answer.text
    assert "root:" not in answer.text
    assert "create_app" not in answer.text


def oversized() -> Iterator[bytes]:
    """More than is taken, without saying so before."""
    for _ in range(3):
        yield b"x" * (LARGEST_BODY_BYTES // 2)


def test_body_that_is_too_large_is_refused_before_it_is_read(client: TestClient, stranger: TestClient) -> None:
    answer = client.post("/api/accounts", content=b"x" * (LARGEST_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert client.post("/api/accounts", content=oversized()).status_code == 413
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert stranger.post("/login", content=oversized(), headers=form).status_code == 413


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"\xff\xfe\x00", "application/json"),
        (b'"text"', "application/json"),
        (b"null", "application/json"),
        (b'{"name": "a", "role": "viewer"}', "text/plain"),
        (b"", "application/json"),
        (b'{"name": "\\ud800", "role": "viewer"}', "application/json"),
    ],
)
def test_body_that_is_malformed_is_refused_with_a_reason(client: TestClient, body: bytes, content_type: str) -> None:
    answer = client.post("/api/accounts", content=body, headers={"Content-Type": content_type})
    assert answer.status_code in (400, 409, 422), answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "before=-1", "before=99999999999999999999", "account=" + "x" * 65]
)
def test_query_out_of_range_is_refused_by_its_name(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/audit?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"query.{query.partition('=')[0]}: ")


def test_cluster_that_does_not_answer_is_503_with_the_reason(desk: Desk, client: TestClient) -> None:
    desk.cluster.error = ClusterError("the supervisor does not answer in time")
    for path in ("/", "/api/cameras", "/api/system"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert "the supervisor does not answer in time" in answer.text


def test_page_that_is_not_there_says_so_as_a_page_and_the_api_as_json(client: TestClient) -> None:
    page, data = client.get("/nowhere"), client.get("/api/nowhere")
    assert page.status_code == data.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert data.json() == {"detail": "Not Found"}


def test_many_who_look_ask_the_cluster_no_more_often_than_one(desk: Desk, client: TestClient, viewer: TestClient) -> None:
    for _ in range(5):
        client.get("/api/cameras")
        viewer.get("/api/system")
    assert desk.cluster.asked == ["status"]
    desk.clock.advance(2)
    client.get("/api/cameras")
    assert desk.cluster.asked == ["status"] * 2
