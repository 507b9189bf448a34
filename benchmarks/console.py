"""What does the console cost while nobody, one, or many look?

Nobody looks; a grid of 32 cameras is looked at, as its page asks for it; ten people watch one camera at full rate. CPU time is
that of the console's process, in cores. Pictures are JPEGs of 640 x 360 px that the cluster has ready, since making them is the
readers' share; the stream at full rate is a real one.
"""

import argparse
import json
import multiprocessing
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import requests

from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, Console, Recording, StreamUrl
from raycctv.console.accounts import Accounts
from raycctv.console.database import DATABASE_NAME
from raycctv.console.server import Server
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.scenes import prepare
from raycctv.types import CameraName, Picture

PASSWORD = "only for this benchmark"  # noqa: S105
PICTURES_PER_S = 8
"""As static/cameras.js asks for, however many cameras there are."""


class Cluster:
    """What the actors of so many cameras would say; all are well."""

    def __init__(self, cameras: list[CameraName]) -> None:
        image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
        jpeg = cv2.imencode(".jpg", cv2.resize(image, (640, 360), interpolation=cv2.INTER_CUBIC))[1].tobytes()
        self._jpeg = jpeg
        recorder = {"pid": 1, "starts": 1, "recording": True, "coverage_24h": 0.999, "last_error": ""}
        reader = {"state": "streaming", "frames": 1, "dropped": {}, "error": None, "pid": 1, "actor": "reader:1"}
        storage = {"recorders": dict.fromkeys(cameras, recorder), "root": "/", "free_bytes": 10**12, "disk_bytes": 2 * 10**12}
        self._status = {"storage": storage, "sink": {"servers": {}}, **{f"reader:{camera}": reader for camera in cameras}}

    def status(self) -> dict[str, Any]:
        return dict(self._status)

    def picture(self, camera: CameraName, width_px: int) -> Picture | None:  # noqa: ARG002
        return Picture(self._jpeg, time.time_ns(), 640, 360)

    def reload(self, config: Config) -> None:
        raise NotImplementedError

    def nodes(self) -> list[dict[str, Any]]:
        return []


def serve(config: Config, ready: Any, over: Any) -> None:
    """The console in a process of its own, until ``over``."""
    accounts = Accounts.open(config.recording.root / DATABASE_NAME, SystemClock())
    server = Server(config, Cluster(list(config.cameras)), accounts, SystemClock(), None)
    ready.set()
    over.wait()
    server.close()


class Served:
    """A console that runs, and what its process has used."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self._process = psutil.Process(pid)

    def cpu_s(self) -> float:
        """Of the process and what it has started."""
        spent = [each.cpu_times() for each in (self._process, *self._process.children(recursive=True))]
        return sum(times.user + times.system for times in spent)

    def remuxes(self) -> int:
        """Connections to the RTMP server."""
        return sum(link.status == psutil.CONN_ESTABLISHED and link.raddr.port != 0 for link in self._links())

    def _links(self) -> list[Any]:
        own = int(self.url.rsplit(":", 1)[1])
        every = [each.net_connections("tcp") for each in (self._process, *self._process.children(recursive=True))]
        return [link for links in every for link in links if link.raddr and link.laddr.port != own]

    def browser(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        form = {"name": "viewer", "password": PASSWORD}
        session.post(f"{self.url}/login", data=form, timeout=30).raise_for_status()
        return session


@contextmanager
def served(config: Config) -> Iterator[Served]:
    """The console of ``config``, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ready, over = context.Event(), context.Event()
    process = context.Process(target=serve, args=(config, ready, over))
    process.start()
    try:
        assert ready.wait(60), "the console did not start"
        assert config.console is not None
        assert process.pid is not None
        yield Served(config.console.url, process.pid)
    finally:
        over.set()
        process.join()


def cores(console: Served, seconds: float) -> float:
    """CPU time of the console over so many seconds of waiting."""
    before_s, began_s = console.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (console.cpu_s() - before_s) / (time.monotonic() - began_s)


def look_at_grid(browser: requests.Session, console: Served, cameras: list[CameraName], over: threading.Event) -> None:
    """As the page does: eight pictures a second, in turn, and the live updates beside it."""
    updates = threading.Thread(target=follow, args=(browser, console, over), daemon=True)
    updates.start()
    number = 0
    while not over.is_set():
        began_s = time.monotonic()
        answer = browser.get(f"{console.url}/api/cameras/{cameras[number % len(cameras)]}/picture?width=640", timeout=10)
        answer.raise_for_status()
        number += 1
        over.wait(max(0.0, 1 / PICTURES_PER_S - (time.monotonic() - began_s)))


def follow(browser: requests.Session, console: Served, over: threading.Event) -> None:
    session = requests.Session()
    session.cookies.update(browser.cookies)
    with session.get(f"{console.url}/api/live-updates", stream=True, timeout=30) as answer:
        for _ in answer.iter_lines():
            if over.is_set():
                return


def watch(console: Served, camera: CameraName, over: threading.Event, got: list[int]) -> None:
    with console.browser().get(f"{console.url}/api/cameras/{camera}/live.mp4", stream=True, timeout=30) as answer:
        for piece in answer.iter_content(65536):
            got.append(len(piece))
            if over.is_set():
                return


def measured(cameras: int, seconds: float, viewers: int) -> dict[str, Any]:
    names = [CameraName(f"camera{number + 1:02d}") for number in range(cameras)]
    with tempfile.TemporaryDirectory() as folder, RtmpServer(Path(folder, "rtmp")) as rtmp:
        root = Path(folder, "recordings")
        root.mkdir()
        Catalog(root / CATALOG_NAME).close()
        accounts = Accounts.open(root / DATABASE_NAME, SystemClock())
        accounts.add("viewer", "viewer", None, PASSWORD)
        accounts.close()
        config = Config(
            cameras={name: Camera(source=StreamUrl.parse(rtmp.url(name))) for name in names},
            recording=Recording(root=root), console=Console(port=_free_port()),
        )  # fmt: skip
        camera = SimulatedCamera(names[0], prepare("plaza"), rtmp.url(names[0]))
        camera.start()
        try:
            with served(config) as console:
                return {"cameras": cameras, **_measured(console, names, seconds, viewers)}
        finally:
            camera.stop()


def _measured(console: Served, names: list[CameraName], seconds: float, viewers: int) -> dict[str, Any]:
    time.sleep(1)
    nobody = cores(console, seconds)
    over = threading.Event()
    grid = threading.Thread(target=look_at_grid, args=(console.browser(), console, names, over))
    grid.start()
    time.sleep(2)
    grid_cores = cores(console, seconds)
    over.set()
    grid.join()
    one, _ = _watched(console, names[0], 1, seconds)
    many, remuxes = _watched(console, names[0], viewers, seconds)
    return {
        "nobody_cores": nobody, "grid_cores": grid_cores,
        "one_viewer_cores": one, "viewers": viewers, "viewers_cores": many, "remuxes": remuxes,
    }  # fmt: skip


def _watched(console: Served, camera: CameraName, viewers: int, seconds: float) -> tuple[float, int]:
    """Cores, and connections to the camera's server, while so many watch."""
    over = threading.Event()
    got: list[list[int]] = [[] for _ in range(viewers)]
    threads = [threading.Thread(target=watch, args=(console, camera, over, each)) for each in got]
    for thread in threads:
        thread.start()
    while not all(got):
        time.sleep(0.05)
    used, remuxes = cores(console, seconds), console.remuxes()
    over.set()
    for thread in threads:
        thread.join()
    time.sleep(1)
    return used, remuxes


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cameras", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=20, help="time over which each part is measured")
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    row = measured(options.cameras, options.seconds, options.viewers)
    if options.json:
        print(json.dumps(row))
        return
    print(f"| nobody looks | {row['nobody_cores']:.4f} cores |\n|---|---|")
    print(f"| grid of {row['cameras']} cameras | {row['grid_cores']:.3f} cores |")
    print(f"| one watches a camera at full rate | {row['one_viewer_cores']:.3f} cores |")
    print(f"| {row['viewers']} watch it | {row['viewers_cores']:.3f} cores, {row['remuxes']} connection to its server |")


if __name__ == "__main__":
    main()
