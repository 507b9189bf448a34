"""What every route works with."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from starlette.requests import HTTPConnection

from raycctv.clock import Clock
from raycctv.config import Config
from raycctv.config import Console as ConsoleSettings
from raycctv.console.accounts import Account, Accounts
from raycctv.console.audit import AuditLog
from raycctv.console.cluster import Cluster
from raycctv.console.limits import LoginLimit
from raycctv.console.sessions import Sessions
from raycctv.console.tokens import Tokens
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.types import CameraName

T = TypeVar("T")

STATUS_FRESH_S = 2.0
"""Age up to which what the cluster said counts: many who look ask it no more often than one."""


class Service:
    """The parts of one console. Thread-safe.

    Attributes:
        config: as it runs now; changes when the configuration does, so ask for it each time.
        file: the configuration file, where it is known.
        closing: set when the console ends: what goes on for long ends then.
        parts: what routes keep while the console runs, by its class.
    """

    def __init__(self, config: Config, cluster: Cluster, accounts: Accounts, clock: Clock, file: Path | None) -> None:
        self.config = config
        self.cluster = cluster
        self.accounts = accounts
        self.clock = clock
        self.file = file
        self.settings = config.console or ConsoleSettings()
        self.sessions = Sessions(accounts, clock, self.settings.session)
        self.tokens = Tokens(accounts, clock)
        self.audit = AuditLog(accounts.database, clock)
        self.logins = LoginLimit(clock)
        self.closing = threading.Event()
        self.parts: dict[type[Any], Any] = {}
        self._status = Shared(cluster.status, clock, STATUS_FRESH_S)
        self._lock = threading.Lock()
        self._catalog: Catalog | None = None

    def part(self, kind: type[T]) -> T:
        """What a module of routes keeps."""
        return cast(T, self.parts[kind])

    @property
    def catalog(self) -> Catalog:
        """Of the footage; opened when first asked for, since storage makes the folder.

        Raises:
            CatalogError: it cannot be used.
        """
        with self._lock:
            if self._catalog is None:
                self._catalog = Catalog(self.config.recording.root / CATALOG_NAME)
            return self._catalog

    def status(self) -> dict[str, Any]:
        """What the actors say, at most two seconds old.

        Raises:
            ClusterError: the cluster does not answer.
        """
        return self._status.get()

    def cameras_of(self, account: Account) -> list[CameraName]:
        """The configured cameras that an account sees, in the file's order."""
        return [camera for camera in self.config.cameras if account.sees(camera)]

    def close(self) -> None:
        """Idempotent. The accounts are closed by whoever opened them."""
        with self._lock:
            if self._catalog is not None:
                self._catalog.close()
                self._catalog = None


class Shared(Generic[T]):
    """An answer that several share as long as it is fresh; who asks meanwhile waits for the one that is under way."""

    def __init__(self, ask: Callable[[], T], clock: Clock, fresh_s: float) -> None:
        self._ask = ask
        self._clock = clock
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._last: tuple[float, T] | None = None

    def get(self) -> T:
        """The last answer, or a new one."""
        with self._lock:
            if self._last is None or self._clock.monotonic_s() - self._last[0] >= self._fresh_s:
                self._last = self._clock.monotonic_s(), self._ask()
            return self._last[1]


def service(request: HTTPConnection) -> Service:
    """Of the application that answers this request."""
    found: Service = request.app.state.service
    return found
