"""Logging in, staying so, and how often one may try."""

import pytest
from desk import PASSWORD, Desk
from fastapi.testclient import TestClient

from raycctv.clock import ManualClock
from raycctv.config import Console, ServerUrl
from raycctv.console.access import COOKIE, SECURE_COOKIE
from raycctv.console.app import create_app
from raycctv.console.limits import BY_ADDRESS, BY_NAME, WITHIN_S, LoginLimit


def log_in(browser: TestClient, name: str = "viewer", password: str = PASSWORD, **more: str) -> int:
    return browser.post("/login", data={"name": name, "password": password, **more}).status_code


def test_login_sets_a_cookie_that_scripts_cannot_read(stranger: TestClient) -> None:
    answer = stranger.post("/login", data={"name": "Viewer", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert stranger.get("/api/me").json()["name"] == "viewer"


def test_login_by_https_sets_a_cookie_for_https_alone(desk: Desk) -> None:
    config = desk.config.model_copy(update={"console": Console(public_url=ServerUrl("https://cctv.example.org"))})
    app = create_app(config, desk.cluster, desk.accounts, desk.clock, None)
    with TestClient(app, base_url="https://cctv.example.org", follow_redirects=False) as browser:
        answer = browser.post("/login", data={"name": "viewer", "password": PASSWORD})
        assert answer.headers["set-cookie"].startswith(f"{SECURE_COOKIE}=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age=" in answer.headers["strict-transport-security"]
        assert browser.get("/api/me").status_code == 200


@pytest.mark.parametrize(
    ("next_page", "leads_to"),
    [
        ("/events?camera=gate", "/events?camera=gate"),
        ("https://evil.example", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        ("/login", "/"),
        ("", "/"),
    ],
)
def test_login_leads_nowhere_but_to_this_server(stranger: TestClient, next_page: str, leads_to: str) -> None:
    answer = stranger.post("/login", data={"name": "viewer", "password": PASSWORD, "next": next_page})
    assert (answer.status_code, answer.headers["location"]) == (303, leads_to)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_login_form_of_another_site_is_refused(stranger: TestClient, headers: dict[str, str]) -> None:
    form = {"name": "viewer", "password": PASSWORD}
    assert stranger.post("/login", data=form, headers=headers).status_code == 403
    assert stranger.post("/login", data=form, headers={"Origin": "http://testserver"}).status_code == 303


def test_wrong_password_and_unknown_name_are_answered_alike(stranger: TestClient) -> None:
    pages = [
        stranger.post("/login", data={"name": name, "password": "wrong"}).text.replace(name, "")
        for name in ("viewer", "nobody")
    ]
    assert pages[0] == pages[1]
    assert "do not belong together" in pages[0]


def test_session_ends_when_it_was_not_used_for_its_length(desk: Desk, viewer: TestClient) -> None:
    hour_s = 3600
    for _ in range(5):
        desk.clock.advance(11 * hour_s)
        assert viewer.get("/api/me").status_code == 200
    desk.clock.advance(12 * hour_s + 1)
    assert viewer.get("/api/me").status_code == 401


def test_sessions_that_have_run_out_are_forgotten(desk: Desk) -> None:
    desk.browser("viewer")
    desk.clock.advance(13 * 3600)
    desk.browser("operator")
    assert desk.accounts.database.read("SELECT account FROM sessions") == [("operator",)]


def test_logout_ends_this_session_and_no_other(desk: Desk, viewer: TestClient) -> None:
    elsewhere = desk.browser("viewer")
    cookie = viewer.cookies[COOKIE]
    assert viewer.post("/logout").status_code == 303
    viewer.cookies.set(COOKIE, cookie)  # a thief who has copied it
    assert viewer.get("/api/me").status_code == 401
    assert elsewhere.get("/api/me").status_code == 200


def test_restart_keeps_sessions(desk: Desk, viewer: TestClient) -> None:
    again = create_app(desk.config, desk.cluster, desk.accounts, desk.clock, None)
    with TestClient(again, cookies=viewer.cookies) as browser:
        assert browser.get("/api/me").json()["name"] == "viewer"


def test_cookie_of_a_session_stands_nowhere_in_the_file(desk: Desk, viewer: TestClient) -> None:
    written = b"".join(path.read_bytes() for path in desk.root.glob("console.sqlite3*"))
    assert viewer.cookies[COOKIE].encode() not in written


def test_guessing_is_stopped_and_goes_on_after_a_while(desk: Desk, stranger: TestClient) -> None:
    for _ in range(BY_ADDRESS):
        assert log_in(stranger, password="guess") == 401
    refused = stranger.post("/login", data={"name": "operator", "password": PASSWORD})
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= WITHIN_S
    assert "too many wrong passwords" in refused.text
    desk.clock.advance(WITHIN_S)
    assert log_in(stranger, "operator") == 303


def test_changing_ones_password_is_no_way_to_guess_it(viewer: TestClient) -> None:
    guesses = [viewer.post("/api/me/password", json={"old": f"guess {n}", "new": "x" * 10}) for n in range(BY_ADDRESS + 1)]
    assert [answer.status_code for answer in guesses] == [422] * BY_ADDRESS + [429]


def test_limit_counts_names_over_all_addresses() -> None:
    limit = LoginLimit(ManualClock())
    for number in range(BY_NAME):
        assert limit.wait_s(f"10.0.0.{number}", "admin") == 0
        limit.failed(f"10.0.0.{number}", "Admin")
    assert limit.wait_s("10.0.1.1", "admin") == WITHIN_S
    assert limit.wait_s("10.0.1.1", "other") == 0
    limit.succeeded("admin")
    assert limit.wait_s("10.0.1.1", "admin") == 0


def test_limit_remembers_so_many_and_no_more() -> None:
    limit = LoginLimit(ManualClock())
    for number in range(12_000):
        limit.failed(str(number), "admin")
    assert len(limit._failures) <= 10_000
    assert limit.wait_s("new", "admin") > 0
