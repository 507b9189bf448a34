"""Logging in and out, and one's own account."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

from raycctv.clock import iso
from raycctv.console.access import Person, Viewer, address, audit, cookie_name
from raycctv.console.accounts import LONGEST_PASSWORD, ROLES, SHORTEST_PASSWORD, Account, Role
from raycctv.console.page import render
from raycctv.console.routes.tokens import TokenAnswer
from raycctv.console.service import Service, service

public = APIRouter(tags=["session"], include_in_schema=False)
router = APIRouter(tags=["session"])


class AccountAnswer(BaseModel):
    """An account. ``cameras`` is null where it sees all."""

    name: str
    role: Role
    cameras: list[str] | None
    created_at: str

    @classmethod
    def of(cls, account: Account) -> "AccountAnswer":
        cameras = None if account.cameras is None else [str(camera) for camera in account.cameras]
        return cls(name=account.name, role=account.role, cameras=cameras, created_at=iso(account.created_at_ns))


class PasswordChange(BaseModel):
    """One's own password, and another one."""

    old: str = Field(max_length=LONGEST_PASSWORD)
    new: str = Field(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)


@public.get("/login", response_class=HTMLResponse)
def login_page(request: Request, next: str = "/") -> HTMLResponse:  # noqa: A002 - the parameter's name in the address
    """A form."""
    return render(request, "login.html", next=_local(next), problem="")


@public.post("/login", response_class=HTMLResponse)
def login(
    request: Request,
    name: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=LONGEST_PASSWORD)],
    next: Annotated[str, Form(max_length=2000)] = "/",  # noqa: A002
) -> Response:
    """Name and password; leads on to ``next`` with the session's cookie."""
    if not _from_here(request):
        raise HTTPException(403, "this form comes from another site")
    parts, where = service(request), address(request)
    account = _tried(request, parts, where, name, password)
    if account is None:
        return render(request, "login.html", 401, next=_local(next), problem="wrong")
    parts.audit.note(account.name, where, "logged in")
    answer = RedirectResponse(_local(next), 303)
    _set_cookie(answer, parts, parts.sessions.begin(account))
    return answer


@router.post("/logout", include_in_schema=False)
def logout(request: Request, session: Person) -> Response:
    """Ends this session, and no other of the account."""
    service(request).sessions.end(session)
    audit(request, "logged out")
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(
        cookie_name(service(request)), secure=service(request).settings.encrypted, httponly=True, samesite="lax"
    )
    return answer


@router.get("/account", response_class=HTMLResponse, include_in_schema=False)
def account_page(request: Request, session: Person) -> HTMLResponse:
    """One's own password and tokens."""
    tokens = [TokenAnswer.of(token) for token in service(request).tokens.of(session.account)]
    roles = [role for role in ROLES if session.account.may(role)]
    return render(request, "account.html", tokens=tokens, roles=roles)


@router.get("/api/me")
def me(account: Viewer) -> AccountAnswer:
    """The account that asks."""
    return AccountAnswer.of(account)


@router.post("/api/me/password", status_code=204)
def change_password(request: Request, session: Person, change: PasswordChange) -> Response:
    """Every session of the account ends, but this browser is given a new one."""
    parts, name = service(request), session.account.name
    if _tried(request, parts, address(request), name, change.old) is None:
        raise HTTPException(422, "that is not the password so far")
    parts.accounts.set_password(name, change.new)
    audit(request, "changed own password")
    answer = Response(status_code=204)
    _set_cookie(answer, parts, parts.sessions.begin(session.account))
    return answer


def _tried(request: Request, parts: Service, where: str, name: str, password: str) -> Account | None:
    """The account, if the password is right.

    Raises:
        HTTPException: 429, too many were wrong.
    """
    wait_s = parts.logins.wait_s(where, name)
    if wait_s > 0:
        raise HTTPException(429, f"too many wrong passwords; try again in {wait_s:.0f} s", {"Retry-After": f"{wait_s:.0f}"})
    account = parts.accounts.verified(name, password)
    if account is None:
        parts.logins.failed(where, name)
        parts.audit.note(None, where, "wrong password", name=name)
    else:
        parts.logins.succeeded(name)
    return account


def _set_cookie(answer: Response, parts: Service, cookie: str) -> None:
    """Lax, so that a link in a mail leads to a page; what changes something asks for more than the cookie."""
    answer.set_cookie(cookie_name(parts), cookie, httponly=True, secure=parts.settings.encrypted, samesite="lax")


def _local(address: str) -> str:
    """The address if it lies on this server, else the first page."""
    parts = urlsplit(address.replace("\\", "/"))
    fine = address.startswith("/") and not parts.netloc and not parts.scheme and address.isprintable()
    return address if fine and not address.startswith(("//", "/\\", "/login", "/logout")) else "/"


def _from_here(request: Request) -> bool:
    """Whether no other site's page made the request. Who is no browser says nothing, and has no cookie to misuse."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")
