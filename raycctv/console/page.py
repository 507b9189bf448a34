"""Templates to answers."""

from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from raycctv.console.accounts import Account, Role
from raycctv.console.languages import LANGUAGES, N_, chosen, script_messages, translations
from raycctv.console.service import service
from raycctv.console.sessions import Session

LANGUAGE_COOKIE = "raycctv_language"

_NAVIGATION: tuple[tuple[str, str, Role], ...] = (
    ("/", N_("Cameras"), "viewer"),
    ("/timeline", N_("Timeline"), "viewer"),
    ("/events", N_("Events"), "viewer"),
    ("/exports", N_("Exports"), "viewer"),
    ("/system", N_("System"), "viewer"),
    ("/accounts", N_("Accounts"), "administrator"),
    ("/audit", N_("Audit log"), "administrator"),
)
"""Address, name, and who may go there."""


def render(request: Request, name: str, status: int = 200, **context: Any) -> HTMLResponse:
    """The page of a template in the language of whoever asks. Beside ``context`` it is given ``request``, ``account`` (None
    where nobody is logged in), ``csrf``, ``language``, ``languages``, ``navigation``, ``script_messages`` and ``_``.
    """
    language = chosen(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))
    account: Account | None = getattr(request.state, "account", None)
    session: Session | None = getattr(request.state, "session", None)
    given = {
        "request": request, "account": account, "csrf": session.csrf if session else "", "language": language,
        "languages": LANGUAGES, "navigation": _navigation(request, account), "script_messages": script_messages(language),
        "cameras": service(request).cameras_of(account) if account else [],
    }  # fmt: skip
    return HTMLResponse(_environment(language).get_template(name).render(given | context), status)


def _navigation(request: Request, account: Account | None) -> list[tuple[str, str]]:
    there = request.app.state.paths
    return [(path, name) for path, name, role in _NAVIGATION if account is not None and account.may(role) and path in there]


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=PackageLoader("raycctv.console"), autoescape=select_autoescape(), undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"], trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.install_gettext_translations(translations(language), newstyle=False)  # type: ignore[attr-defined]
    return environment
