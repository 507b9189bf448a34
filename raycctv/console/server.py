"""The console on a port of this machine."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from raycctv.clock import Clock
from raycctv.config import Config
from raycctv.console.accounts import Accounts
from raycctv.console.app import create_app
from raycctv.console.cluster import Cluster
from raycctv.console.service import Service
from raycctv.errors import ConsoleError

log = logging.getLogger(__name__)

_PORT_S = 10.0
"""Time in which a console that has just died gives its port back."""

_START_S = 30.0
_STOP_S = 3
"""Patience with answers that go on, such as live pictures."""


class _Quiet(uvicorn.Server):
    """uvicorn without its tick, ten times a second for ever. The headers tell the date instead (:mod:`.headers`)."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._over: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Until :meth:`end`."""
        self._over, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if not self.should_exit:
            await self._over.wait()

    def end(self) -> None:
        """From any thread. Idempotent."""
        self.should_exit = True
        if self._loop is not None and self._over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)


class Server:
    """Serves from its creation until :meth:`close`, in a thread of its own.

    Raises:
        ConsoleError: the port is taken, or certificate or key cannot be used.
    """

    def __init__(self, config: Config, cluster: Cluster, accounts: Accounts, clock: Clock, file: Path | None) -> None:
        app = create_app(config, cluster, accounts, clock, file)
        self._service: Service = app.state.service
        settings = self._service.settings
        self._url = settings.url
        _check_tls(settings.tls.certificate, settings.tls.key) if settings.tls else None
        self._socket = _listening(settings.host, settings.port)
        self._server = _Quiet(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                proxy_headers=settings.public_url is not None,
                timeout_graceful_shutdown=_STOP_S,
                ssl_certfile=settings.tls.certificate if settings.tls else None,
                ssl_keyfile=settings.tls.key if settings.tls else None,
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="console", daemon=True)
        self._thread.start()
        deadline_s = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        if not self._server.started:
            self.close()
            raise ConsoleError(f"console: could not be served on {self._url}; its log says why")
        log.info("serving on %s", self._url)

    def tell(self, config: Config) -> None:
        """What runs now."""
        self._service.config = config

    def status(self) -> dict[str, Any]:
        """Where it is reached, and how many are logged in."""
        return {"url": self._url, "sessions": self._service.sessions.count()}

    def close(self) -> None:
        """Idempotent."""
        self._service.closing.set()
        self._server.end()
        self._thread.join(_STOP_S + 5)
        self._socket.close()


def _check_tls(certificate: Path, key: Path) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise ConsoleError(f"console.tls: {certificate} with {key} cannot be used: {error.strerror or error}") from error


def _listening(host: str, port: int) -> socket.socket:
    deadline_s = time.monotonic() + _PORT_S
    while True:
        try:
            family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
            return socket.create_server(where[:2], family=family, backlog=128)
        except OSError as error:
            if time.monotonic() > deadline_s:
                raise ConsoleError(f"console: cannot listen on {host} port {port}: {error.strerror}") from error
            time.sleep(0.2)
