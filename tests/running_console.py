"""The whole of raycctv with its console, and a browser to look at it: for end-to-end tests and for the pictures in docs/."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from support import until

from actors import cluster
from raycctv.clock import SystemClock
from raycctv.config import load
from raycctv.console.accounts import Accounts, Role
from raycctv.console.database import DATABASE_NAME
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer, free_port
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.scenes import prepare
from raycctv.types import CameraName, Event

PASSWORD = "correct horse battery"
CAMERAS = ("plaza", "walkway", "empty", "gate")
CHROMIUM = shutil.which("chromium")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1400, "height": 900}

_FILE = """\
# Four cameras and a console.
cameras:
{cameras}
recording: {{root: {folder}/recordings, segment_s: 10}}
logs: {{dir: {folder}/log}}
console: {{port: {port}}}
"""
_CAMERA = """\
  {name}:  # sends real footage
    source: {url}
"""
_PEOPLE: dict[str, tuple[Role, Sequence[str] | None]] = {
    "admin": ("administrator", None), "operator": ("operator", None), "viewer": ("viewer", ["gate"])
}  # fmt: skip


@dataclass
class Running:
    """raycctv as it runs, with four cameras.

    Attributes:
        file: the configuration.
    """

    url: str
    file: Path
    root: Path
    cameras: dict[str, SimulatedCamera]

    def events(self, camera: str, kind: str) -> list[Event]:
        """What the catalog has."""
        with Catalog(self.root / CATALOG_NAME, read_only=True) as catalog:
            return catalog.events(CameraName(camera), kind)


@contextmanager
def running_console(folder: Path, cpus: int | None = 4) -> Iterator[Running]:
    """RTMP server, Ray, all actors and the console; cameras send, and the accounts admin, operator and viewer exist."""
    root = folder / "recordings"
    with ExitStack() as stack:
        server = stack.enter_context(RtmpServer(folder / "rtmp"))
        file = folder / "cameras.yaml"
        cameras = "".join(_CAMERA.format(name=name, url=server.url(name)) for name in CAMERAS)
        file.write_text(_FILE.format(cameras=cameras, folder=folder, port=free_port()))
        config = load(file)
        root.mkdir(parents=True)
        _add_people(root)
        stack.enter_context(cluster.private_cluster(cpus))
        stack.callback(_undeploy)
        cluster.deploy(config, file=file)
        sending = {name: SimulatedCamera(name, prepare(name), server.url(name)) for name in CAMERAS}
        for camera in sending.values():
            camera.start()
            stack.callback(camera.stop)
        assert config.console is not None
        yield Running(config.console.url, file, root, sending)


def _undeploy() -> None:
    """Recorders would outlive even an attempt that fails."""
    supervisor: Any = cluster.running()
    if supervisor is not None:
        cluster.undeploy(supervisor)


def _add_people(root: Path) -> None:
    accounts = Accounts.open(root / DATABASE_NAME, SystemClock())
    for name, (role, cameras) in _PEOPLE.items():
        accounts.add(name, role, None if cameras is None else [CameraName(camera) for camera in cameras], PASSWORD)
    accounts.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without a window."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: scripts/system_packages.sh test")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def logged_in(
    browser: Browser, url: str, name: str | None = "admin", expected: Sequence[int] = (), **options: Any
) -> Iterator[Page]:
    """A page in a browser of its own where ``name`` is logged in; what goes wrong in its scripts is an error at the end.

    Args:
        expected: states of answers that are no error here; that one must log in never is.
    """
    context: BrowserContext = browser.new_context(**{"viewport": DESK, "locale": "en-GB", "base_url": url, **options})
    context.set_default_timeout(15_000)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(f"{message.text} {message.location}") if message.type == "error" else None)
    try:
        if name is not None:
            log_in(page, name)
        yield page
    finally:
        context.close()
    unexpected = [error for error in errors if not any(f"status of {status}" in error for status in (401, *expected))]
    assert not unexpected, unexpected


def log_in(page: Page, name: str) -> None:
    """By the form, as people do."""
    page.goto("/")
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("button.main").click()
    page.wait_for_selector(".side")
    page.wait_for_load_state()


def await_event(running: Running, camera: str, kind: str, timeout_s: float = 60) -> Event:
    """The newest of that kind, once there is one that has ended."""
    until(lambda: any(event.ended_at_ns for event in running.events(camera, kind)), timeout_s)
    return next(event for event in running.events(camera, kind) if event.ended_at_ns)
