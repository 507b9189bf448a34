"""A trial: simulated cameras through the whole pipeline on this machine, and what it cost.

The demo is one. Everything is real but the cameras: nginx-rtmp, Ray, the actors, ffmpeg recorders, the catalog.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from actors import cluster, names
from actors.observer import Observer
from raycctv.config import Camera, Config, Logs, Loki, Recording, StreamUrl
from raycctv.errors import ClusterError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CameraName, Watch

_RECORDERS_READY_S = 60.0
_RECORDER_READY_S = 2.0
"""What each camera may add."""

_LOOK_S = 1.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class TrialCamera:
    """One simulated camera.

    Attributes:
        clip: what it sends, over and over: H.264 in MP4, or an ffconcat list of such.
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
        seconds: what is measured.
        folder: gets ``recordings``, ``log`` and ``rtmp``; what an earlier trial left there is removed.
        warm_up_s: the cameras send for so long before anything counts.
        spread_s: time over which the cameras start, one after the other.
        loki: where logs and events are pushed to, if anywhere.
    """

    cameras: tuple[TrialCamera, ...]
    seconds: float
    folder: Path
    warm_up_s: float = 0.0
    spread_s: float = 0.0
    loki: Loki | None = None

    def run(self, say: Say, watch: Watch) -> dict[str, Any]:
        """Run it; returns the summary of ``demo --json`` (see ``docs/architecture.md``).

        Args:
            say: is told what happens, a line each.
            watch: is told, about once a second, what is under way and how far.

        Raises:
            RaycctvError: a part could not be started.
        """
        self._clean()
        with RtmpServer(self.folder / "rtmp") as server:
            say(f"RTMP server (nginx) on 127.0.0.1, port {server.rtmp_port}")
            config = self._config(server)
            with cluster.private_cluster():
                say("Ray is up; starting the actors")
                with _deployed(config, watch) as supervisor:
                    self._await_recorders(supervisor, watch)
                    say(f"{len(self.cameras)} readers and recorders wait for their cameras")
                    observer = _Run(self, server, supervisor, say, watch).stream()
        with Catalog(config.recording.root / CATALOG_NAME) as catalog:
            summary = observer.summary(catalog.segments(), catalog.events(limit=None))
        return {**summary, "seconds": self.seconds, "warm_up_s": self.warm_up_s, "folder": str(self.folder)}

    def _clean(self) -> None:
        for part in ("recordings", "log", "rtmp"):
            shutil.rmtree(self.folder / part, ignore_errors=True)

    def _config(self, server: RtmpServer) -> Config:
        cameras = {camera.name: Camera(source=StreamUrl.parse(server.url(camera.name))) for camera in self.cameras}
        folder = self.folder.resolve()
        recording, logs = Recording(root=folder / "recordings"), Logs(dir=folder / "log")
        return Config(cameras=cameras, recording=recording, logs=logs, loki=self.loki)

    def _await_recorders(self, supervisor: Any, watch: Watch) -> None:
        timeout_s = _RECORDERS_READY_S + _RECORDER_READY_S * len(self.cameras)
        deadline_s = time.monotonic() + timeout_s
        missing: dict[str, str] = {}
        while time.monotonic() < deadline_s:
            storage = cluster.status(supervisor)[names.STORAGE]
            recorders = storage.get("recorders", {camera.name: {"pid": None, "last_error": ""} for camera in self.cameras})
            missing = {name: recorder["last_error"] for name, recorder in recorders.items() if recorder["pid"] is None}
            watch("starting recorders", len(recorders) - len(missing), len(recorders))
            if not missing:
                return
            time.sleep(0.2)
        why = next((f": {error}" for error in missing.values() if error), "")
        raise ClusterError(f"after {timeout_s:g} s these cameras had no recorder: {', '.join(missing)}{why}")


@contextmanager
def _deployed(config: Config, watch: Watch) -> Iterator[Any]:
    """The supervisor. Recorders would outlive even an attempt that fails, so that is ended too."""
    try:
        yield cluster.deploy(config, watch)
    finally:
        supervisor = cluster.running()
        if supervisor is not None:
            cluster.undeploy(supervisor)


class _Run:
    """One pass of the cameras."""

    def __init__(self, trial: Trial, server: RtmpServer, supervisor: Any, say: Say, watch: Watch) -> None:
        self._trial = trial
        self._say = say
        self._watch = watch
        self._cameras = {camera: SimulatedCamera(camera.name, camera.clip, server.url(camera.name)) for camera in trial.cameras}
        self._observe = partial(Observer, server, supervisor, {camera.name: sent for camera, sent in self._cameras.items()})

    def stream(self) -> Observer:
        """Let the cameras run for the trial's time, outages included, then wait until all of it is analysed."""
        trial = self._trial
        observer = self._observe()
        try:
            self._start()
            if trial.warm_up_s:
                self._pass_time("warming up", observer, -trial.warm_up_s, 0)
                observer = self._observe()
            self._pass_time("streaming", observer, 0, trial.seconds)
            observer.look()
            observer.weigh()
        finally:
            for simulated in self._cameras.values():
                simulated.stop()
        observer.settle()
        return observer

    def _start(self) -> None:
        """One camera after the other, so that not all send their keyframes at once."""
        for simulated in self._cameras.values():
            simulated.start()
            time.sleep(self._trial.spread_s / len(self._cameras))

    def _pass_time(self, what: str, observer: Observer, from_s: float, to_s: float) -> None:
        """From one second of the trial to another; second 0 is the first that counts."""
        zero_s = time.monotonic() - from_s
        look_s = from_s + _LOOK_S
        while (now_s := time.monotonic() - zero_s) < to_s:
            self._follow_outages(now_s)
            if now_s >= look_s:
                look_s = now_s + _LOOK_S
                observer.look()
                self._watch(what, now_s - from_s, to_s - from_s)
            time.sleep(0.05)

    def _follow_outages(self, now_s: float) -> None:
        for camera, simulated in self._cameras.items():
            away = camera.offline_s > 0 and camera.offline_from_s <= now_s < camera.offline_from_s + camera.offline_s
            if away and simulated.pid is not None:
                simulated.stop()
                self._say(f"{camera.name} goes offline for {camera.offline_s:g} s")
            elif not away and simulated.pid is None:
                simulated.start()
                self._say(f"{camera.name} is back")
