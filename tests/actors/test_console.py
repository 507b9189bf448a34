"""The console on a real Ray."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support import until

from actors import cluster, names
from raycctv.config import Camera, Config, Console, Detection, Logs, Recording, StreamUrl
from raycctv.errors import ClusterError
from raycctv.rtmp.server import RtmpServer, free_port
from raycctv.types import CameraName


@pytest.fixture(scope="module")
def ray_cluster(weights: Path) -> Iterator[None]:
    with cluster.private_cluster(cpus=4):
        yield


def config(folder: Path, rtmp: RtmpServer, *cameras: str, port: int) -> Config:
    return Config(
        cameras={CameraName(name): Camera(source=StreamUrl.parse(rtmp.url(name))) for name in cameras},
        recording=Recording(root=folder / "recordings", segment_s=5),
        logs=Logs(dir=folder / "log"),
        detection=Detection(backend="openvino"),
        console=Console(port=port),
    )


def console_pid(supervisor: Any) -> int:
    try:
        return int(cluster.status(supervisor)[names.CONSOLE].get("pid", 0))
    except ClusterError:
        return 0


def logged_in(url: str, name: str, password: str) -> requests.Session:
    browser = requests.Session()
    form = {"name": name, "password": password}
    assert browser.post(f"{url}/login", data=form, allow_redirects=False, timeout=10).status_code == 303
    return browser


def seen(browser: requests.Session, url: str) -> list[str]:
    """Cameras; none while the console does not answer."""
    try:
        answer = browser.get(f"{url}/api/cameras", timeout=10)
    except requests.ConnectionError:
        return []
    return [row["camera"] for row in answer.json()] if answer.ok else []


@pytest.mark.usefixtures("ray_cluster")
def test_console_serves_comes_back_and_knows_who_is_logged_in(tmp_path: Path, rtmp: RtmpServer) -> None:
    port = free_port()
    one, two = (config(tmp_path, rtmp, *cameras, port=port) for cameras in (["porch"], ["porch", "lane"]))
    url = f"http://127.0.0.1:{port}"
    supervisor = cluster.deploy(one)
    try:
        told = cluster.first_password()
        assert told is not None
        assert cluster.first_password() is None
        browser = logged_in(url, *told)
        assert seen(browser, url) == ["porch"]
        status = browser.get(f"{url}/api/system", timeout=10).json()
        assert {actor["name"] for actor in status["actors"]} == {"sink", "storage", "detector:0", "reader:porch", "console"}
        assert status["nodes"][0]["alive"]

        pid = console_pid(supervisor)
        os.kill(pid, signal.SIGKILL)
        until(lambda: console_pid(supervisor) not in (0, pid), 60)
        until(lambda: seen(browser, url) == ["porch"], 30)

        pid = console_pid(supervisor)
        supervisor = cluster.deploy(two)
        until(lambda: seen(browser, url) == ["porch", "lane"], 30)
        assert console_pid(supervisor) == pid  # a changed camera interrupts nobody who looks
        os.kill(pid, signal.SIGKILL)
        until(lambda: seen(browser, url) == ["porch", "lane"], 60)
        assert cluster.first_password() is None
    finally:
        cluster.undeploy(cluster.running())
    with pytest.raises(requests.ConnectionError):
        browser.get(url, timeout=10)
