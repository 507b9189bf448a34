"""Who may call a route. A route says so by its parameters::

    @router.get("/api/cameras/{camera}/picture")
    def picture(request: Request, account: Viewer, camera: Seen) -> Response: ...

401 without an account, 403 for a role that may not, 404 for a camera that the account does not see, as for one that does not
exist. What changes something is refused with 403 to a browser that does not bring the token of its page.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from raycctv.console.accounts import Account, Role
from raycctv.console.service import Service, service
from raycctv.console.sessions import Session
from raycctv.types import CameraName

COOKIE = "raycctv_session"
SECURE_COOKIE = "__Host-raycctv_session"
"""Under TLS; browsers let no other host or path set one called so."""

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Of a browser that has logged in")
_bearer = HTTPBearer(auto_error=False, description="A token of /api/tokens")


def cookie_name(parts: Service) -> str:
    """What the session's cookie is called."""
    return SECURE_COOKIE if parts.settings.encrypted else COOKIE


def current_session(request: Request) -> Session | None:
    """The session of the request's browser, if one goes on."""
    cookie = request.cookies.get(cookie_name(service(request)))
    return service(request).sessions.find(cookie) if cookie else None


def _identified(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    _: Annotated[str | None, Depends(_cookie)],
) -> Account:
    """By the token that a program brings, else by the cookie."""
    session = None if bearer else current_session(request)
    account = service(request).tokens.find(bearer.credentials) if bearer else session.account if session else None
    if account is None:
        raise HTTPException(401, "this token is none, or has run out" if bearer else "log in first")
    request.state.session, request.state.account = session, account
    return account


async def signed_in(request: Request, account: Annotated[Account, Depends(_identified)]) -> Account:
    """The account that calls, whatever it may do; for what changes something, called by a page of ours or by a program."""
    session: Session | None = request.state.session
    if session is not None and request.method not in SAFE and not session.made(await _csrf(request)):
        raise HTTPException(
            403, "this request comes from no page of the console, or from one of an earlier login; load it again"
        )
    return account


async def _csrf(request: Request) -> str | None:
    header = request.headers.get(CSRF_HEADER)
    if header is not None or not request.headers.get("content-type", "").startswith(
        ("application/x-www-form-urlencoded", "multipart/form-data")
    ):
        return header
    field = (await request.form()).get(CSRF_FIELD)
    return field if isinstance(field, str) else None


def _at_least(role: Role) -> Callable[..., Account]:
    def check(account: Annotated[Account, Depends(signed_in)]) -> Account:
        if not account.may(role):
            raise HTTPException(403, f"that takes an account that is {role}; yours is {account.role}")
        return account

    return check


Viewer = Annotated[Account, Depends(_at_least("viewer"))]
Operator = Annotated[Account, Depends(_at_least("operator"))]
Administrator = Annotated[Account, Depends(_at_least("administrator"))]


def browser_session(request: Request, account: Viewer) -> Session:  # noqa: ARG001 - first the account, then how it came
    """The session of a person: a token may not make tokens or change passwords."""
    session: Session | None = request.state.session
    if session is None:
        raise HTTPException(403, "a token may not do that; log in with a browser")
    return session


Person = Annotated[Session, Depends(browser_session)]


def allowed(account: Account, camera: str) -> bool:
    """Whether the account may know of the camera."""
    return account.sees(camera)


def _seen(request: Request, account: Viewer, camera: Annotated[str, Path(max_length=64)]) -> CameraName:
    name = CameraName(camera)
    if name not in service(request).config.cameras or not allowed(account, name):
        raise HTTPException(404, "there is no such camera")
    return name


Seen = Annotated[CameraName, Depends(_seen)]


def still(request: Request) -> bool:
    """Whether a long answer may go on: the console, the session, and the account's rights are what they were. Blocks."""
    if service(request).closing.is_set():
        return False
    account: Account = request.state.account
    session: Session | None = request.state.session
    if session is not None:
        now = service(request).sessions.current(session.digest)
        return now is not None and now.account == account
    scheme_and_token = request.headers.get("authorization", "").split(maxsplit=1)
    return service(request).tokens.find(scheme_and_token[-1]) == account if scheme_and_token else False


def audit(request: Request, what: str, camera: str | None = None, *, ongoing: bool = False, **details: Any) -> None:
    """Note that whoever calls did that; see :meth:`.AuditLog.note`. Blocks."""
    account: Account | None = getattr(request.state, "account", None)
    service(request).audit.note(account.name if account else None, address(request), what, camera, ongoing=ongoing, **details)


def address(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"
