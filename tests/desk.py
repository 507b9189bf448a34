"""A console as tests have it: the real application, and a cluster that says what a test wants."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from support import NS, T0_NS, until

from raycctv.clock import ManualClock
from raycctv.config import Config
from raycctv.console.access import COOKIE, CSRF_HEADER
from raycctv.console.accounts import Accounts, Role
from raycctv.console.app import create_app
from raycctv.recording.catalog import Catalog
from raycctv.recording.filing import described
from raycctv.recording.layout import STAMP_FORMAT
from raycctv.types import CameraName, Picture

PASSWORD = "correct horse battery"
GATE, YARD = CameraName("gate"), CameraName("yard")
SEGMENT_S = 10
FOOTAGE_S = (0, 10, 20, 60)
"""When segments of ``gate`` begin, after T0_NS: three without a gap, then one."""


@dataclass
class FakeCluster:
    """Two cameras, all well; tests change ``said`` and read ``asked``."""

    said: dict[str, Any]
    pictures: dict[str, Picture] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    reloaded: list[Config] = field(default_factory=list)
    error: Exception | None = None

    def status(self) -> dict[str, Any]:
        self.asked.append("status")
        if self.error is not None:
            raise self.error
        return self.said

    def picture(self, camera: CameraName, width_px: int) -> Picture | None:
        self.asked.append(f"picture of {camera}")
        return self.pictures.get(camera)

    def reload(self, config: Config) -> None:
        self.reloaded.append(config)

    def nodes(self) -> list[dict[str, Any]]:
        return [{"name": "box", "address": "127.0.0.1", "alive": True, "cpus": 4.0, "gpus": 0.0, "memory_bytes": 8e9}]


@dataclass
class Desk:
    """A console, and what stands around it.

    Attributes:
        clock: half a minute after the last footage.
    """

    app: FastAPI
    config: Config
    clock: ManualClock
    cluster: FakeCluster
    catalog: Catalog
    accounts: Accounts
    root: Path

    def browser(self, name: str | None = None) -> TestClient:
        """A browser in which that account is logged in, or nobody is."""
        client = TestClient(self.app, raise_server_exceptions=False, follow_redirects=False)
        account = None if name is None else self.accounts.find(name)
        if account is not None:
            cookie = self.app.state.service.sessions.begin(account)
            client.cookies.set(COOKIE, cookie)
            session = self.app.state.service.sessions.find(cookie)
            client.headers[CSRF_HEADER] = session.csrf
        return client


def status(**recording: bool) -> dict[str, Any]:
    """As the cluster says it of cameras that are all well but for ``recording``."""
    recorders = {
        name: {"pid": 7, "starts": 1, "recording": recording.get(name, True), "coverage_24h": 0.999, "last_error": ""}
        for name in (GATE, YARD)
    }
    reader = {"state": "streaming", "frames": 10, "dropped": {"superseded": 1}, "error": None, "pid": 8, "actor": "reader:1"}
    return {
        "sink": {"pid": 5, "owed": 0, "lost": 0, "servers": {"webhook": {"owed": 2, "delivered": 3, "refused": 0}}},
        "storage": {
            "pid": 6, "root": "/footage", "recorders": recorders, "relays": {}, "segments_filed": 4, "filed_bytes": 1000,
            "segments_deleted": 0, "free_bytes": 600_000_000, "disk_bytes": 1_000_000_000, "errors": {},
        },
        "detector:0": {
            "pid": 9, "model": "ssdlite_mobilenet_v2", "backend": "openvino", "device": "CPU", "busy_s": 2.0, "images": 40
        },
        "reader:gate": reader, "reader:yard": reader,
    }  # fmt: skip


def record(catalog: Catalog, root: Path, camera: CameraName, footage: Path, start_s: float) -> None:
    """A segment of 10 s, filed as storage files it."""
    moment = datetime.fromtimestamp(T0_NS / NS + start_s, UTC)
    path = root / camera / f"{moment:%Y-%m-%d}" / f"{camera}_{moment.strftime(STAMP_FORMAT)}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(footage, path)
    catalog.add_segment(described(root, camera, path))


def add_people(accounts: Accounts) -> None:
    roles: dict[str, tuple[Role, list[CameraName] | None]] = {
        "admin": ("administrator", None), "operator": ("operator", None), "viewer": ("viewer", [GATE])
    }  # fmt: skip
    for name, (role, cameras) in roles.items():
        accounts.add(name, role, cameras, PASSWORD)


@contextmanager
def served(desk: Desk, port: int) -> Iterator[str]:
    """The application on a port, as people reach it: one more, which is ``desk.app`` meanwhile."""
    other = desk.app
    desk.app = create_app(other.state.service.config, desk.cluster, desk.accounts, desk.clock, None)
    server = uvicorn.Server(uvicorn.Config(desk.app, port=port, log_level="critical", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, 20)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
        desk.app = other
        assert not thread.is_alive()
