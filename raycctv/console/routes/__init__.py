"""All routes. Pages, and the API below ``/api/``, which speaks JSON with the names of ``--json``.

A module of routes is added here, and nowhere else. What it keeps while the console runs it opens in ``LIFESPANS`` and finds
again by :meth:`.Service.part`.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from fastapi import APIRouter

from raycctv.console.routes import (
    accounts,
    audit,
    cameras,
    description,
    events,
    exports,
    films,
    live_updates,
    pictures,
    session,
    setup,
    streams,
    system,
    timeline,
    tokens,
)
from raycctv.console.service import Service
from raycctv.console.system import watched

PUBLIC: list[APIRouter] = [session.public]
"""What anybody may call."""

ROUTERS: list[APIRouter] = [
    session.router,
    cameras.router,
    live_updates.router,
    system.router,
    accounts.router,
    tokens.router,
    audit.router,
    setup.router,
    pictures.router,
    streams.router,
    films.router,
    timeline.router,
    events.router,
    exports.router,
    description.router,
]
"""What takes an account, all of it: which one, each route says."""

LIFESPANS: list[Callable[[Service], AbstractContextManager[Any] | AbstractAsyncContextManager[Any]]] = [
    watched,
    pictures.running,
    films.running,
    exports.running,
    streams.running,
    setup.running,
]
