"""Who may call what: every route of the application is tried."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from desk import PASSWORD, YARD, Desk
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from raycctv.console.access import CSRF_HEADER, SAFE
from raycctv.console.accounts import ROLES, Role
from raycctv.console.routes import PUBLIC, ROUTERS

OPEN = {("GET", "/login"), ("POST", "/login")}
"""What anybody may call."""


@dataclass(frozen=True)
class Call:
    """A route, as it is called with made-up values in its path."""

    method: str
    path: str
    route: APIRoute

    def by(self, browser: TestClient, **headers: str) -> int:
        address = re.sub(r"\{camera(:\w+)?\}", YARD, self.path)
        address = re.sub(r"\{(\w*id|segment|number)(:\w+)?\}", "1", address)
        with browser.stream(self.method, re.sub(r"\{[^}]+\}", "x", address), headers=headers) as answer:
            return answer.status_code


def calls() -> list[Call]:
    routes = [route for router in (*PUBLIC, *ROUTERS) for route in router.routes]
    known = [route for route in routes if isinstance(route, APIRoute)]
    assert known == routes
    return [Call(method, route.path, route) for route in known for method in sorted(route.methods or ())]


CLOSED = [call for call in calls() if (call.method, call.path) not in OPEN]
UNSAFE = [call for call in CLOSED if call.method not in SAFE]


def named(call: Call) -> str:
    return f"{call.method} {call.path}"


def role_for(route: APIRoute) -> Role:
    """The role that the route's own parameters ask for."""
    roles = [role for role in ROLES if _asks_for(route.dependant, role)]
    return max(roles, key=ROLES.index, default="viewer")


def _asks_for(dependant: object, role: Role) -> bool:
    call = getattr(dependant, "call", None)
    closed_over = [cell.cell_contents for cell in getattr(call, "__closure__", None) or ()]
    return role in closed_over or any(_asks_for(each, role) for each in getattr(dependant, "dependencies", ()))


def test_application_has_no_route_but_those_that_are_tried_here(desk: Desk) -> None:
    """A mount, or a route that somebody added past the list, would be open."""
    assert {route.path for route in flat(desk.app)} == {call.path for call in calls()} | {"/static"}


def flat(app: FastAPI) -> Iterator[APIRoute]:
    for route in app.router.routes:
        yield from getattr(getattr(route, "original_router", None), "routes", [route])


@pytest.mark.parametrize("call", CLOSED, ids=named)
def test_route_is_closed_to_who_is_not_logged_in(desk: Desk, call: Call) -> None:
    assert call.by(desk.browser()) == 401


@pytest.mark.parametrize("call", CLOSED, ids=named)
def test_route_is_closed_to_a_token_that_is_none(desk: Desk, call: Call) -> None:
    assert call.by(desk.browser(), Authorization="Bearer raycctv_guessed") == 401


@pytest.mark.parametrize("call", [call for call in CLOSED if role_for(call.route) != "viewer"], ids=named)
def test_route_is_closed_to_a_lesser_role(desk: Desk, call: Call) -> None:
    for role in ROLES[: ROLES.index(role_for(call.route))]:
        assert call.by(desk.browser(role)) == 403


@pytest.mark.parametrize("call", UNSAFE, ids=named)
def test_change_is_refused_to_a_page_that_is_not_ours(desk: Desk, call: Call) -> None:
    browser = desk.browser("admin")
    own = browser.headers.pop(CSRF_HEADER)
    assert call.by(browser) == 403
    assert call.by(browser, **{CSRF_HEADER: "x" * len(own)}) == 403


@pytest.mark.parametrize("call", [call for call in CLOSED if "{camera" in call.path], ids=named)
def test_camera_of_others_is_as_one_that_does_not_exist(desk: Desk, call: Call) -> None:
    if role_for(call.route) == "viewer":
        assert call.by(desk.browser("viewer")) == 404


def test_routes_that_must_be_closed_are_found_so(desk: Desk) -> None:
    """The walk itself must be able to see a difference."""
    asked = {named(call): role_for(call.route) for call in CLOSED}
    assert asked["GET /api/accounts"] == asked["GET /audit"] == "administrator"
    assert asked["GET /api/cameras"] == "viewer"
    assert len(CLOSED) > 15


def test_form_of_a_page_brings_its_token_in_a_field(desk: Desk, viewer: TestClient) -> None:
    token = viewer.headers.pop(CSRF_HEADER)
    assert viewer.post("/logout", data={"csrf": "other"}).status_code == 403
    assert viewer.get("/api/me").json()["name"] == "viewer"
    assert viewer.post("/logout", data={"csrf": token}).status_code == 303
    assert viewer.get("/api/me").status_code == 401


def test_page_for_who_is_not_logged_in_is_the_login_which_leads_back(stranger: TestClient) -> None:
    page = stranger.get("/system")
    assert page.status_code == 401
    assert 'name="next" value="/system"' in page.text
    done = stranger.post("/login", data={"name": "viewer", "password": PASSWORD, "next": "/system"})
    assert (done.status_code, done.headers["location"]) == (303, "/system")
    assert stranger.get("/system").status_code == 200
