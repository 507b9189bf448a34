"""The web console, served by the cluster."""

import logging
import math
import os
import threading
import time
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from actors import names
from actors.logs import log_to_servers
from actors.revival import ask_again
from raycctv.clock import SystemClock
from raycctv.config import Config
from raycctv.errors import ClusterError
from raycctv.sealing import Sealed
from raycctv.types import CameraName, Picture

log = logging.getLogger(__name__)

_PICTURE_S = 5.0
_READERS_S = 5.0


@ray.remote
class Console:
    """Serves :mod:`raycctv.console` in threads. Accounts and sessions are on disk, so that a restart logs nobody out.

    Args:
        file: the configuration file, as an absolute path; None where it is not known.

    Raises:
        ConsoleError: its port is taken, its certificate cannot be used, or its accounts cannot be read.
    """

    def __init__(self, name: str, sealed: Sealed[Config], digest: str, file: Path | None) -> None:
        from raycctv.console.accounts import Accounts
        from raycctv.console.database import DATABASE_NAME
        from raycctv.console.server import Server

        config = sealed.open()
        log_to_servers(name, None, config)
        self._digest = digest
        self._accounts = Accounts.open(config.recording.root / DATABASE_NAME, SystemClock())
        self._first_password = self._accounts.first_password()
        self._server = Server(config, RayCluster(file), self._accounts, SystemClock(), file)
        ask_again(name)

    def holds(self) -> tuple[str, list[CameraName]]:
        """Digest of what it was started with, and no cameras: it shows all."""
        return self._digest, []

    def tell(self, sealed: Sealed[Config]) -> None:
        """What runs now: cameras may have come, changed or gone."""
        self._server.tell(sealed.open())

    def first_password(self) -> tuple[str, str] | None:
        """Name and password of the administrator that this console has made at its first start; told once."""
        from raycctv.console.accounts import FIRST

        password, self._first_password = self._first_password, None
        if password is None:
            return None
        self._accounts.told()
        return FIRST, password

    def status(self) -> dict[str, Any]:
        """Where it is reached, and how many are logged in."""
        return {"pid": os.getpid(), **self._server.status()}

    def stop(self) -> None:
        """Answer no more."""
        self._server.close()
        self._accounts.close()


class RayCluster:
    """The cluster that this process belongs to, as :class:`raycctv.console.cluster.Cluster`."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._readers: dict[CameraName, str] = {}
        self._readers_asked_s = -math.inf

    def status(self) -> dict[str, Any]:
        from actors import cluster

        return cluster.status(_supervisor())

    def picture(self, camera: CameraName, width_px: int) -> Picture | None:
        known = self._readers.get(camera)
        picture = None if known is None else self._asked(known, camera, width_px)
        if picture is None and self._reader_of(camera) not in (None, known):
            picture = self._asked(self._readers[camera], camera, width_px)
        return picture

    def _asked(self, reader: str, camera: CameraName, width_px: int) -> Picture | None:
        """What the reader has; None where it has nothing, does not read the camera any more, or is gone."""
        try:
            actor: Any = ray.get_actor(reader, namespace=names.NAMESPACE)
            picture: Picture | None = ray.get(actor.picture.remote(camera, width_px), timeout=_PICTURE_S)
        except (RayError, ValueError, TimeoutError) as error:
            log.info("%s gives no picture of %s: %s", reader, camera, error)
            return None
        return picture

    def _reader_of(self, camera: CameraName) -> str | None:
        """The name of its reader, asked of the supervisor no more often than every few seconds."""
        with self._lock:
            if time.monotonic() - self._readers_asked_s > _READERS_S:
                self._readers_asked_s = time.monotonic()
                status = self.status()
                self._readers = {
                    CameraName(name.partition(":")[2]): told["actor"] for name, told in status.items() if "actor" in told
                }
            return self._readers.get(camera)

    def reload(self, config: Config) -> None:
        from actors import cluster

        cluster.deploy(config, file=self._file)

    def nodes(self) -> list[dict[str, Any]]:
        return [_node(node) for node in ray.nodes()]  # type: ignore[no-untyped-call]


def _supervisor() -> Any:
    from actors import cluster

    supervisor = cluster.running()
    if supervisor is None:
        raise ClusterError("the supervisor does not run; `raycctv up` starts it again")
    return supervisor


def _node(node: dict[str, Any]) -> dict[str, Any]:
    resources = node["Resources"]
    return {
        "name": node["NodeManagerHostname"], "address": node["NodeManagerAddress"], "alive": node["Alive"],
        "cpus": resources.get("CPU", 0.0), "gpus": resources.get("GPU", 0.0), "memory_bytes": resources.get("memory", 0.0),
    }  # fmt: skip
