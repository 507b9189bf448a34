"""Cameras that send, and raycctv on several nodes that reads and records them."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ray.exceptions import RayError
from support import NS, until

from actors import cluster
from raycctv.config import Config
from raycctv.errors import ClusterError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CameraName


class Site:
    """Each camera sends the same twice, so that the server tells who records it from who reads it.

    Args:
        name: apart from other sites of the same server.
    """

    def __init__(self, name: str, folder: Path, rtmp: RtmpServer, clip: Path, cameras: int) -> None:
        self.root = f"{folder}/{{node}}/footage"
        self.names = [f"{name}{number}" for number in range(cameras)]
        self._logs = f"{folder}/{{node}}/log"
        self._rtmp = rtmp
        streams = [stream for camera in self.names for stream in (camera, analysed(camera))]
        self._cameras = [SimulatedCamera(stream, clip, rtmp.url(stream)) for stream in streams]

    def config(self, cameras_per_reader: int | None = None, **recording: Any) -> Config:
        url = self._rtmp.url
        return Config.model_validate({
            "cameras_per_reader": cameras_per_reader,
            "cameras": {name: {"source": url(name), "analysis_source": url(analysed(name))} for name in self.names},
            "recording": {"root": self.root, "segment_s": 5, **recording},
            "logs": {"dir": self._logs},
        })  # fmt: skip

    def players(self) -> dict[str, int]:
        """How many play each stream now: recorders, or readers of the one that is analysed."""
        return {stream.name: stream.clients - stream.publishing for stream in self._rtmp.streams()}

    @contextmanager
    def sending(self) -> Iterator[None]:
        with ExitStack() as stack:
            for camera in self._cameras:
                stack.callback(camera.stop)
                camera.start()
            yield


def analysed(camera: str) -> str:
    """The stream of a camera that its reader reads."""
    return f"{camera}-sub"


def status() -> dict[str, Any]:
    try:
        return cluster.status(cluster.running())
    except (ClusterError, AttributeError, RayError):
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


def recorded_ns(site: Site, nodes: Iterable[str], from_ns: int) -> dict[str, list[tuple[int, int]]]:
    """By camera what was recorded since then, by whichever node, oldest first; what is not filed yet is not among it."""
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in site.names}
    for node in nodes:
        path = Path(site.root.replace("{node}", node)) / CATALOG_NAME
        if path.is_file():
            with Catalog(path, read_only=True) as catalog:
                for name in site.names:
                    found[name] += catalog.recorded(CameraName(name), from_ns)
    return {name: sorted(spans) for name, spans in found.items()}


JITTER_S = 0.75
"""What seems to lie between two segments of one recorder where many processes wait for a core: it notes their begin late."""


def lost_s(spans: list[tuple[int, int]], from_ns: int, to_ns: int) -> float:
    """Seconds between two instants that none of these spans covers; what jitter explains does not count."""
    gaps_s, at_ns = [], from_ns
    for start_ns, end_ns in [*spans, (to_ns, to_ns)]:
        gaps_s.append((min(start_ns, to_ns) - at_ns) / NS)
        at_ns = max(at_ns, min(end_ns, to_ns))
    return sum(gap_s for gap_s in gaps_s if gap_s > JITTER_S)
