"""The application, of all its parts."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from raycctv import __version__
from raycctv.clock import Clock
from raycctv.config import Config
from raycctv.console.access import signed_in
from raycctv.console.accounts import AccountRefused, Accounts
from raycctv.console.cluster import Cluster
from raycctv.console.headers import SecurityHeaders
from raycctv.console.page import render
from raycctv.console.routes import LIFESPANS, PUBLIC, ROUTERS
from raycctv.console.service import Service
from raycctv.errors import CatalogError, ClusterError, ConfigError, ConsoleError, RaycctvError
from raycctv.redact import redact

_STATIC = Path(__file__).parent / "static"

LARGEST_BODY_BYTES = 1_000_000
"""Nothing that the console takes is larger: it takes forms and drawn polygons."""

_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Nothing is sent from a machine that watches cameras, and Ray's own meters are not ours."""

_STATUS: dict[type[RaycctvError], int] = {
    AccountRefused: 409, ConfigError: 422, ClusterError: 503, CatalogError: 503, ConsoleError: 503
}  # fmt: skip
"""Of errors that are nobody's bug; others of ours are 500."""


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


def create_app(config: Config, cluster: Cluster, accounts: Accounts, clock: Clock, file: Path | None) -> FastAPI:
    """The console of a running cluster.

    Args:
        file: the configuration file, which setting up a camera changes; None where it is not known.
    """
    app = FastAPI(
        title="raycctv", version=__version__, openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan,
        max_body_size=LARGEST_BODY_BYTES, telemetry=_TELEMETRY,
        description="Cameras, footage, events and accounts of a raycctv. Instants are ISO 8601 in UTC.",
    )  # fmt: skip
    app.state.service = Service(config, cluster, accounts, clock, file)
    problems: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 422)}
    for router in PUBLIC:
        app.include_router(router, responses={422: {"model": Problem}})
    for router in ROUTERS:
        app.include_router(router, dependencies=[Depends(signed_in)], responses=problems)
    app.state.paths = {getattr(route, "path", "") for router in ROUTERS for route in router.routes}
    app.mount("/static", _Static(directory=_STATIC), name="static")
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(RaycctvError, _failed)
    app.add_middleware(SecurityHeaders, encrypted=app.state.service.settings.encrypted)
    return app


class _Static(StaticFiles):
    """A name that no file can have is that of no file."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        try:
            return super().lookup_path(path)
        except ValueError:  # a null byte
            return "", None


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """What routes keep is opened with the application and closed with it."""
    parts: Service = app.state.service
    async with AsyncExitStack() as stack:
        stack.callback(parts.close)
        for open_part in LIFESPANS:
            part = open_part(parts)
            if isinstance(part, AbstractAsyncContextManager):
                await stack.enter_async_context(part)
            else:
                stack.enter_context(part)
        yield


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, str(error.detail), dict(error.headers or {}))


async def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(str(step) for step in problem['loc'])}: {problem['msg']}" for problem in error.errors()]
    return _answer(request, 422, "; ".join(problems)[:2000])


async def _failed(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    return _answer(request, status, redact(str(error)))


def _answer(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """JSON to programs, a page to people; to somebody who must log in first, the page on which to do that."""
    path = request.url.path
    if path.startswith(("/api/", "/static/")):
        return JSONResponse({"detail": detail}, status, headers)
    if status == 401:
        page = render(request, "login.html", status, next=path, problem="")
    else:
        page = render(request, "error.html", status, detail=detail, code=status)
    page.headers.update(headers or {})
    return page
