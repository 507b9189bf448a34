"""The whole pipeline (nginx-rtmp, ffmpeg, Ray) with one camera, and the footage that a fault costs it.

What a camera has sent, by ffmpeg's own account, against what the catalog and the files hold when all is over. That account
is 0.2 s behind at the worst, as is the end of the last fragment.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from support import NS, until

from actors import cluster, names
from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, Logs, Recording, StreamUrl
from raycctv.errors import ClusterError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.verify import verify
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.storage import Storage
from raycctv.types import CameraName

GATE = CameraName("gate")
MEASURED_S = 0.4
"""How exact the account above is."""


@dataclass(frozen=True)
class Lost:
    """A row of the table: seconds streamed, of those lost, and from the fault until footage arrived again."""

    fault: str
    streamed_s: float
    lost_s: float
    again_s: float | None = None


class Pipeline:
    """One camera through everything, and what it has lost. Give it a Ray, then :meth:`begin`.

    Args:
        root: for footage; in ``folder`` by default.
    """

    def __init__(self, folder: Path, clip: Path, root: Path | None = None) -> None:
        self.server = RtmpServer(folder / "rtmp")
        self.camera = SimulatedCamera("gate", clip, self.server.url("gate"))
        self.root = root or folder / "footage"
        self.config = Config(
            cameras={GATE: Camera(source=StreamUrl.parse(self.server.url("gate")))},
            recording=Recording(root=self.root, segment_s=5),
            logs=Logs(dir=folder / "log"),
        )

    def __enter__(self) -> Self:
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.camera.stop()
        self.server.stop()

    def begin(self) -> None:
        """Deploy, and record for some seconds."""
        self.deploy()
        self.camera.start()
        self.await_recording()
        self.send(3)

    def deploy(self) -> None:
        """Run it on the Ray that there is now."""
        self.supervisor = cluster.deploy(self.config)

    def status(self) -> dict[str, Any]:
        try:
            return cluster.status(self.supervisor)
        except ClusterError:
            return {}

    def pid(self, actor: str) -> int:
        return int(self.status().get(actor, {}).get("pid") or 0)

    def recorder(self) -> dict[str, Any]:
        recorder: dict[str, Any] = self.status().get(names.STORAGE, {}).get("recorders", {}).get(GATE, {})
        return recorder

    def await_recording(self) -> float:
        return until(lambda: bool(self.recorder().get("recording")), 60, self.keep_sending)

    def keep_sending(self) -> None:
        """A camera whose server went away connects again."""
        if self.camera.pid is None:
            self.camera.start()

    def send(self, seconds: float) -> None:
        """Let the camera send so many seconds more."""
        wanted_s = self.camera.online_s + seconds
        until(lambda: self.camera.online_s >= wanted_s, seconds + 30, self.keep_sending)

    def finish(self) -> float:
        """End everything in order; returns the seconds lost. Fails where a file does not play."""
        self.camera.stop()
        self.stop()
        with Catalog(self.root / CATALOG_NAME) as catalog:
            catalog.reconcile(self.root)
            found = verify(catalog, self.root)
            recorded_s = sum(segment.duration_ns for segment in catalog.segments()) / NS
        assert found.bad == []
        return self.camera.online_s - recorded_s

    def stop(self) -> None:
        supervisor = cluster.running()
        if supervisor is not None:
            until(lambda: bool(self.status()), 60)
            cluster.undeploy(supervisor)
        storage = Storage(self.config, SystemClock())
        storage.close(keep_recording=False)
        self.server.stop()
