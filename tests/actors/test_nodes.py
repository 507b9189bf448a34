"""The actors on several nodes, which die and return: real raylets, real recorders."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from clusters import joined, noticed, several_nodes
from support import NS, until

from actors import cluster
from raycctv.config import Config
from raycctv.errors import ClusterError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera

pytestmark = [pytest.mark.usefixtures("weights"), pytest.mark.logs_errors]

AGAIN_S = 15.0
"""Within which what ran on a dead node runs elsewhere, from when Ray notices."""


class Site:
    """Cameras that send, and raycctv on several nodes that records and reads them."""

    def __init__(self, folder: Path, rtmp: RtmpServer, clip: Path, cameras: int) -> None:
        self.root = f"{folder}/{{node}}/footage"
        self._logs = f"{folder}/{{node}}/log"
        self._urls = {f"{folder.name[-20:]}-{n}".replace("_", "-"): "" for n in range(cameras)}
        self._urls = {name: rtmp.url(name) for name in self._urls}
        self.cameras = [SimulatedCamera(name, clip, url) for name, url in self._urls.items()]

    def config(self, **settings: Any) -> Config:
        cameras = {name: {"source": url} for name, url in self._urls.items()}
        recording = {"root": self.root, "segment_s": 5, **settings.pop("recording", {})}
        logs = {"dir": self._logs}
        return Config.model_validate({"cameras": cameras, "recording": recording, "logs": logs, **settings})

    @contextmanager
    def sending(self) -> Iterator[None]:
        with ExitStack() as stack:
            for camera in self.cameras:
                stack.callback(camera.stop)
                camera.start()
            yield


def status() -> dict[str, Any]:
    try:
        return cluster.status(cluster.running())
    except (ClusterError, AttributeError, ray.exceptions.RayError):
        return {}


def readers() -> dict[str, tuple[str, int]]:
    """Camera: node and pid of what reads it, of those that are read."""
    parts = {name: part for name, part in status().items() if name.startswith("reader:")}
    return {name: (part["node"], part["pid"]) for name, part in parts.items() if part.get("state") == "streaming"}


def recorders() -> dict[tuple[str, str], int]:
    """Storage actor and camera: pid of the recorder, of those to which footage comes."""
    parts = {name: part for name, part in status().items() if name.startswith("storage")}
    return {
        (storage, camera): recorder["pid"]
        for storage, part in parts.items()
        for camera, recorder in part.get("recorders", {}).items()
        if recorder["recording"]
    }


def recorded(count: int) -> bool:
    return len({camera for _, camera in recorders()}) == count


@contextmanager
def running(site: Site, config: Config) -> Iterator[None]:
    """With everything recorded and read; ended, and every recorder with it."""
    with site.sending():
        try:
            cluster.deploy(config)
            until(lambda: recorded(len(config.cameras)) and len(readers()) == len(config.cameras), 60)
            yield
        finally:
            supervisor = cluster.running()
            if supervisor is not None:
                cluster.undeploy(supervisor)


def footage_s(site: Site, node: str) -> dict[str, float]:
    """Seconds in a node's catalog, by camera."""
    found: dict[str, float] = {}
    with Catalog(Path(site.root.replace("{node}", node)) / CATALOG_NAME, read_only=True) as catalog:
        for segment in catalog.segments():
            found[segment.camera] = found.get(segment.camera, 0.0) + segment.duration_ns / NS
    return found


def test_dead_node_is_replaced_and_a_reloaded_camera_disturbs_nobody(tmp_path: Path, rtmp: RtmpServer, clip: Path) -> None:
    site = Site(tmp_path, rtmp, clip, cameras=4)
    few = site.config()
    first = few.model_copy(update={"cameras": dict(list(few.cameras.items())[:3])})
    with several_nodes(site.root) as nodes:
        nodes.add("disk", storage=True)
        nodes.add("worker")
        joined("disk", "worker")
        with running(site, first):
            before, recording = readers(), recorders()
            assert {storage for storage, _ in recording} == {"storage:disk"}
            assert {node for node, _ in before.values()} == {"head", "disk", "worker"}

            assert cluster.reload(few)["added"] == [site.cameras[3].name]
            assert until(lambda: recorded(4), 20) < 5
            until(lambda: len(readers()) == 4, 20)
            assert {name: readers()[name] for name in before} == before
            assert {key: recorders()[key] for key in recording} == recording

            nodes.kill("worker")
            noticed("worker")
            assert until(lambda: len(readers()) == 4 and "worker" not in {node for node, _ in readers().values()}, 60) < AGAIN_S
            assert {key: recorders()[key] for key in recording} == recording  # no recorder has noticed anything
    assert set(footage_s(site, "disk")) == set(few.cameras)
