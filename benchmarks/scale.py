"""What does a camera cost the cluster beside its pictures, and what grows faster than the number of cameras?

The real supervisor starts real readers, detectors and a sink for 10, 100 and 1,000 cameras on this machine. A camera here is
synthetic in one thing: it decodes nothing. At random instants it has a visit: an event begins, crops go to a detector, which
computes them, and the event ends. All else is what a live camera does: a thread in its reader, metrics, window, reports.

For each number of cameras: how long all take to start; CPU and memory by part while nothing changes; what a crop and an event
cost; how long `status` takes; and, with all running, how long one changed camera and a killed supervisor take, and whom they
touch.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import ray

from actors import cluster, fleet, names, nodes
from actors.options import options
from actors.reader import Reader
from actors.supervisor import Supervisor
from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, Detection, Logs, Recording, StreamUrl
from raycctv.errors import ClusterError
from raycctv.live import ReaderStats
from raycctv.pipeline import Report
from raycctv.types import CameraName, Event, Picture

SIDE_PX = 300
SNAPSHOT_BYTES = 60_000
FRAMES_A_SECOND = 5.0
PARTS = {
    "ray::Supervis": "supervisor", "ray::Sink": "sink", "ray::Detector": "detector", "ray::Synthetic": "readers",
    "gcs_server": "gcs", "raylet": "raylet",
}  # fmt: skip
"""How a process's title begins: what it is. All others are Ray's own."""

Ask = Callable[[npt.NDArray[np.uint8]], "Future[Any]"]


@dataclass(frozen=True)
class Load:
    """What happens before each camera: visits an hour, how long one takes, crops in each of its frames."""

    visits_an_hour: float
    visit_s: float
    crops: int


class SyntheticCamera:
    """What :class:`raycctv.live.LiveReader` is to its actor, without a stream."""

    def __init__(self, name: CameraName, load: Load, ask: Ask, tell: Callable[[Report], None]) -> None:
        self.stats = ReaderStats(name, state="streaming", connections=1, decode={"made_ns": time.time_ns()})
        self.settled = threading.Event()
        self.settled.set()
        self._load, self._ask, self._tell = load, ask, tell
        self._random = random.Random(f"{name}{time.time_ns()}")  # noqa: S311 - no secret
        self._stop = threading.Event()
        self._images = np.random.default_rng().integers(0, 255, (load.crops, SIDE_PX, SIDE_PX, 3), np.uint8)
        self._asked: Future[Any] | None = None

    def run(self) -> None:
        while not self._stop.wait(self._random.expovariate(self._load.visits_an_hour / 3600)):
            self._visit()

    def stop(self) -> None:
        self._stop.set()

    def picture(self, width_px: int) -> Picture | None:  # noqa: ARG002 - as its original
        return None

    def _visit(self) -> None:
        now_ns = SystemClock().now_ns()
        name = self.stats.camera
        begun = Event(
            f"{now_ns}-{name}", name, "person", now_ns, None, {"person": 0.8}, (), (0, 0, 9, 9), 0.8, "none", None, ""
        )
        self.stats.events["person"] = self.stats.events.get("person", 0) + 1
        self._tell(Report(begun, bytes(SNAPSHOT_BYTES)))
        ends_s = time.monotonic() + self._load.visit_s
        while time.monotonic() < ends_s and not self._stop.wait(1 / FRAMES_A_SECOND):
            self._frame()
        self._tell(Report(replace(begun, ended_at_ns=SystemClock().now_ns()), bytes(SNAPSHOT_BYTES)))

    def _frame(self) -> None:
        if self._asked is not None and not self._asked.done():
            self.stats.dropped["window"] = self.stats.dropped.get("window", 0) + len(self._images)
            return
        asked_s = time.monotonic()
        self._asked = self._ask(self._images)
        self._asked.add_done_callback(partial(self._answered, asked_s))

    def _answered(self, asked_s: float, future: "Future[Any]") -> None:
        if future.exception() is None:
            self.stats.candidates += len(self._images)
            self.stats.lags_s.append(time.monotonic() - asked_s)


def supervisor_of(load: Load) -> Any:
    """The real supervisor, whose readers have synthetic cameras."""
    base: Any = Reader
    real: Any = Supervisor

    class SyntheticReader(base.__ray_metadata__.modified_class):  # type: ignore[misc]
        def _new_reader(self, name: CameraName, camera: Camera) -> SyntheticCamera:  # noqa: ARG002 - as its original
            reports = self._reports[name]
            reports.abandon(name)
            return SyntheticCamera(name, load, partial(self._ask, name), reports.tell)

    class Supervised(real.__ray_metadata__.modified_class):  # type: ignore[misc]
        def __init__(self) -> None:
            fleet._CLASSES["reader"] = ray.remote(SyntheticReader)
            super().__init__()

    Supervised.__name__ = "Supervisor"
    head = next(node for node in nodes.alive() if node.head)
    chosen = options("supervisor", names.SUPERVISOR)
    made: Any = ray.remote(Supervised)
    return made.options(**chosen, scheduling_strategy=nodes.on(head.id, soft=True)).remote()


def configuration(folder: Path, cameras: int) -> Config:
    source = StreamUrl.parse("rtmp://127.0.0.1:1/live/none")
    return Config(
        cameras={CameraName(f"camera{i:05d}"): Camera(source=source, record=False) for i in range(cameras)},
        recording=Recording(root=folder / "recordings"),
        logs=Logs(dir=folder / "log"),
        detection=Detection(backend="auto"),
    )


def processes() -> dict[psutil.Process, str]:
    """Every process of this Ray, and its part."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        try:
            title = f"{process.name()} {' '.join(process.cmdline())}"
        except psutil.Error:
            continue
        found[process] = next((part for begin, part in PARTS.items() if begin in title), "ray, other")
    return found


def cpu_s(parts: Mapping[psutil.Process, str]) -> dict[str, float]:
    used: dict[str, float] = defaultdict(float)
    for process, part in parts.items():
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        used[part] += times.user + times.system
    return used


def pss_bytes(parts: Mapping[psutil.Process, str]) -> dict[str, int]:
    used: Counter[str] = Counter()
    for process, part in parts.items():
        try:
            used[part] += process.memory_full_info().pss
        except psutil.Error:
            continue
    return dict(used)


def totals(status: Mapping[str, Any]) -> dict[str, float]:
    """What was counted since the start: crops answered and dropped, states of events recorded."""
    readers = [part for name, part in status.items() if name.startswith("reader:")]
    recorded = sum(sum(part["recorded"].values()) for name, part in status.items() if names.kind_of(name) == "sink")
    return {
        "crops": sum(part.get("candidates", 0) for part in readers),
        "dropped": sum(sum(part.get("dropped", {}).values()) for part in readers),
        "states": recorded,
    }


def steady(supervisor: Any, seconds: float) -> dict[str, Any]:
    """CPU by part while nothing changes, and what was done meanwhile."""
    parts = processes()
    before, cpu_before, began_s = totals(cluster.status(supervisor)), cpu_s(parts), time.monotonic()
    time.sleep(seconds)
    cpu_after, took_s = cpu_s(parts), time.monotonic() - began_s
    asked_s = time.monotonic()
    status = cluster.status(supervisor)
    status_s = time.monotonic() - asked_s
    after = totals(status)
    lags = [part["lag_p95_s"] for name, part in status.items() if name.startswith("reader:") and part.get("lag_p95_s")]
    return {
        "cores": {part: (cpu_after[part] - cpu_before[part]) / took_s for part in sorted(cpu_after)},
        "pss_bytes": pss_bytes(parts),
        "a_second": {key: (after[key] - before[key]) / took_s for key in after},
        "lag_p95_worst_s": max(lags, default=None),
        "status_s": status_s,
    }


def made_ns(supervisor: Any) -> dict[str, int]:
    """When each camera began to be read."""
    status = cluster.status(supervisor)
    return {name: part["decode"]["made_ns"] for name, part in status.items() if name.startswith("reader:") and "decode" in part}


def changed(config: Config, supervisor: Any) -> dict[str, Any]:
    """One camera changes."""
    before = made_ns(supervisor)
    first = next(iter(config.cameras))
    cameras = config.cameras | {
        first: config.cameras[first].model_copy(update={"analysis_source": config.cameras[first].source})
    }
    began_s = time.monotonic()
    cluster.reload(config.model_copy(update={"cameras": cameras}))
    took_s = time.monotonic() - began_s
    after = made_ns(supervisor)
    return {"reload_s": took_s, "reload_touched": sum(after.get(name) != made for name, made in before.items())}


def killed(supervisor: Any) -> dict[str, Any]:
    """The supervisor dies."""
    before = made_ns(supervisor)
    began_s = time.monotonic()
    ray.kill(supervisor, no_restart=False)
    after: dict[str, int] = {}
    while after.keys() != before.keys() and time.monotonic() - began_s < 300:
        try:
            after = made_ns(supervisor)
        except ClusterError:
            time.sleep(0.1)
    touched = sum(after.get(name) != made for name, made in before.items())
    return {"supervisor_back_s": time.monotonic() - began_s, "supervisor_touched": touched}


def measure(cameras: int, load: Load, seconds: float, settle_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="scale") as name, cluster.private_cluster():
        config = configuration(Path(name), cameras)
        supervisor = supervisor_of(load)
        began_s = time.monotonic()
        cluster.deploy(config)
        started_s = time.monotonic() - began_s
        time.sleep(settle_s)
        measured = {"cameras": cameras, "start_s": started_s, "readers": len(cluster.readers()), **steady(supervisor, seconds)}
        measured |= changed(config, supervisor) | killed(supervisor)
        cluster.undeploy(cluster.running())
    return measured


def print_tables(runs: Sequence[Mapping[str, Any]]) -> None:
    parts = list(dict.fromkeys(part for run in runs for part in run["cores"]))
    print_table(
        ["cameras", "readers", "start, s", *(f"{part}, cores" for part in parts), "PSS, GB"],
        [
            [run["cameras"], run["readers"], f"{run['start_s']:.1f}"]
            + [f"{run['cores'].get(part, 0):.3f}" for part in parts]
            + [f"{sum(run['pss_bytes'].values()) / 1e9:.2f}"]
            for run in runs
        ],
    )
    named = {
        "lag_p95_worst_s": "lag p95, worst, s", "status_s": "status, s", "reload_s": "reload, s", "reload_touched": "touched",
        "supervisor_back_s": "supervisor back in, s", "supervisor_touched": "touched",
    }  # fmt: skip
    done = {"crops": "crops a s", "dropped": "dropped a s", "states": "states of events a s"}
    print_table(
        ["cameras", *done.values(), *named.values()],
        [[run["cameras"], *(run["a_second"][key] for key in done), *(run[key] for key in named)] for run in runs],
    )


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    for row in (columns, ["---"] * len(columns), *rows):
        print(f"| {' | '.join(f'{cell:.2f}' if isinstance(cell, float) else str(cell) for cell in row)} |")
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--cameras", type=lambda text: [int(n) for n in text.split(",")], default=[10, 100, 1000], metavar="N[,N...]"
    )
    parser.add_argument("--seconds", type=float, default=30, help="for which each number is watched")
    parser.add_argument("--settle", type=float, default=10, help="seconds after the start that do not count")
    parser.add_argument("--visits-an-hour", type=float, default=6, help="of each camera")
    parser.add_argument("--visit", type=float, default=10, help="seconds that a visit takes")
    parser.add_argument("--crops", type=int, default=1, help="in each of its five frames a second")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    chosen = parser.parse_args()
    load = Load(chosen.visits_an_hour, chosen.visit, chosen.crops)
    runs = [measure(cameras, load, chosen.seconds, chosen.settle) for cameras in chosen.cameras]
    if chosen.json:
        print(json.dumps({"load": asdict(load), "runs": runs}))
    else:
        print_tables(runs)


if __name__ == "__main__":
    main()
