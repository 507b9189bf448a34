"""A trial: simulated cameras through the whole pipeline on this machine, and what it cost.

The demo is one. Everything is real but the cameras: nginx-rtmp, Ray, the actors, ffmpeg recorders, the catalog.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors import cluster, names
from raycctv.config import Camera, Config, Logs, Recording, StreamUrl
from raycctv.errors import ClusterError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CameraName, Event, Segment
from raycctv.usage import UsageMeter

_RECORDERS_READY_S = 60.0
_DRAIN_S = 15.0
_LOOK_S = 1.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrialCamera:
    """One simulated camera.

    Attributes:
        clip: what it sends, over and over: H.264 in MP4.
        offline_from_s, offline_s: it goes away then, for so long; no outage where ``offline_s`` is 0.
    """

    name: CameraName
    clip: Path
    offline_from_s: float = 0.0
    offline_s: float = 0.0


@dataclass(frozen=True)
class Trial:
    """What to run.

    Args:
        folder: gets ``recordings``, ``log`` and ``rtmp``; what an earlier trial left there is removed.
    """

    cameras: tuple[TrialCamera, ...]
    seconds: float
    folder: Path

    def run(self, say: Say, tick: Callable[[float], None]) -> dict[str, Any]:
        """Run it; returns the summary of ``demo --json`` (see ``docs/architecture.md``).

        Args:
            say: is told what happens, a line each.
            tick: is told, about once a second, how many seconds the cameras have been running.

        Raises:
            RaycctvError: a part could not be started.
        """
        self._clean()
        with RtmpServer(self.folder / "rtmp") as server:
            say(f"RTMP server (nginx) on 127.0.0.1, port {server.rtmp_port}")
            config = self._config(server)
            with cluster.private_cluster():
                say("Ray is up; starting the actors")
                supervisor = cluster.deploy(config)
                try:
                    self._await_recorders(supervisor)
                    say(f"{len(self.cameras)} readers and recorders wait for their cameras")
                    run = _Run(self, server, supervisor, say, tick)
                    run.stream()
                finally:
                    cluster.undeploy(supervisor)
        with Catalog(config.recording.root / CATALOG_NAME) as catalog:
            return run.summary(catalog.segments(), catalog.events(limit=None))

    def _clean(self) -> None:
        for part in ("recordings", "log", "rtmp"):
            shutil.rmtree(self.folder / part, ignore_errors=True)

    def _config(self, server: RtmpServer) -> Config:
        cameras = {camera.name: Camera(source=StreamUrl.parse(server.url(camera.name))) for camera in self.cameras}
        folder = self.folder.resolve()
        return Config(cameras=cameras, recording=Recording(root=folder / "recordings"), logs=Logs(dir=folder / "log"))

    def _await_recorders(self, supervisor: Any) -> None:
        deadline = time.monotonic() + _RECORDERS_READY_S
        while time.monotonic() < deadline:
            recorders = cluster.status(supervisor)[names.STORAGE]["recorders"]
            if all(recorder["pid"] for recorder in recorders.values()):
                return
            time.sleep(0.2)
        raise ClusterError(f"not every recorder was running after {_RECORDERS_READY_S:g} s; `raycctv status` says why")


class _Run:
    """One pass of the cameras."""

    def __init__(self, trial: Trial, server: RtmpServer, supervisor: Any, say: Say, tick: Callable[[float], None]) -> None:
        self._trial = trial
        self._server = server
        self._supervisor = supervisor
        self._say = say
        self._tick = tick
        self._meter = UsageMeter()
        self._status: dict[str, Any] = {}
        self._cameras = {camera: SimulatedCamera(camera.name, camera.clip, server.url(camera.name)) for camera in trial.cameras}

    def stream(self) -> None:
        """Let the cameras run for the trial's time, outages included, then wait until all of it is analysed."""
        for simulated in self._cameras.values():
            simulated.start()
        began_s = time.monotonic()
        looks = 0
        try:
            while (now_s := time.monotonic() - began_s) < self._trial.seconds:
                self._follow_outages(now_s)
                if now_s >= looks * _LOOK_S:
                    looks += 1
                    self._status = cluster.status(self._supervisor)
                    self._meter.look(self._parts(), time.monotonic())
                    self._tick(now_s)
                time.sleep(0.05)
        finally:
            for simulated in self._cameras.values():
                simulated.stop()
        self._drain()

    def summary(self, segments: list[Segment], events: list[Event]) -> dict[str, Any]:
        """Fields of ``demo --json``."""
        usage = self._meter.usage()
        recorded_bytes = sum(segment.size_bytes for segment in segments)
        return {
            "cameras": [self._camera_summary(camera, segments, events) for camera in self._trial.cameras],
            "cpu_cores": {part: round(cores, 3) for part, cores in usage.cpu_cores.items()},
            "rss_bytes": usage.rss_bytes,
            "disk_bytes_per_s": round(recorded_bytes / self._trial.seconds),
            "events": dict(Counter(event.kind for event in events)),
            "folder": str(self._trial.folder),
        }

    def _follow_outages(self, now_s: float) -> None:
        for camera, simulated in self._cameras.items():
            away = camera.offline_s > 0 and camera.offline_from_s <= now_s < camera.offline_from_s + camera.offline_s
            if away and simulated.pid is not None:
                simulated.stop()
                self._say(f"{camera.name} goes offline for {camera.offline_s:g} s")
            elif not away and simulated.pid is None:
                simulated.start()
                self._say(f"{camera.name} is back")

    def _drain(self) -> None:
        """Until every reader has seen its stream end, so that its events are complete."""
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline:
            self._status = cluster.status(self._supervisor)
            readers = [part for name, part in self._status.items() if names.camera_of(name) is not None]
            if all(reader.get("state") != "streaming" for reader in readers):
                return
            time.sleep(0.1)

    def _parts(self) -> dict[int, str]:
        """Which process is which part."""
        parts = dict.fromkeys(self._server.pids(), "rtmp")
        parts |= {simulated.pid: "simulator" for simulated in self._cameras.values() if simulated.pid is not None}
        for name, part in self._status.items():
            if "pid" in part:
                parts[part["pid"]] = "storage" if name == names.SINK else name.partition(":")[0]
        for recorder in self._status.get(names.STORAGE, {}).get("recorders", {}).values():
            if recorder["pid"] is not None:
                parts[recorder["pid"]] = "recorder"
        return parts

    def _camera_summary(self, camera: TrialCamera, segments: list[Segment], events: list[Event]) -> dict[str, Any]:
        streamed_s = self._cameras[camera].online_s
        recorded_s = sum(segment.duration_ns for segment in segments if segment.camera == camera.name) / 1e9
        reader = self._status.get(names.reader(camera.name), {})
        return {
            "camera": camera.name,
            "streamed_s": round(streamed_s, 2),
            "recorded_s": round(recorded_s, 2),
            "coverage": round(recorded_s / streamed_s, 4) if streamed_s else 0.0,
            **{key: reader.get(key) for key in ("frames", "decoded_frames", "lag_p50_s", "lag_p95_s", "candidates", "dropped")},
            "events": dict(Counter(event.kind for event in events if event.camera == camera.name)),
        }
