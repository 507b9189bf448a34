"""What does Ray itself cost: a call with crops, an idle actor, and Ray's own processes?

Three parts, each on a Ray of its own without a dashboard page:

- calls: one actor asks another, one call at a time, with real crops of 300 x 300: as they are (through Ray's object store, or
  inside the call) or as JPEG. CPU is that of both actors and of the raylet, which keeps the object store.
- settings: what Ray's own processes and idle actors use, with Ray's defaults, with some of its intervals made longer,
  and as raycctv starts Ray.
- processes: the same as raycctv starts Ray, for as many readers as there may be, from one a camera to several cameras a reader.
  A reader here has loaded what readers load, and reads nothing.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import psutil
import ray

from actors.cluster import private_cluster
from raycctv.simulate.footage import vtest
from raycctv.simulate.scenes import PEOPLE, pictures

PARTS = ("calls", "settings", "processes")
SIDE_PX = 300
JPEG_QUALITY = 90
CROPS = (1, 2, 4, 8)
WAYS = {
    "nothing": "nothing",
    "raw": "as they are",
    "inside": "as they are, inside the call",
    "jpeg": f"as JPEG ({JPEG_QUALITY} %)",
}
WARM_UP_CALLS = 20
SETTLE_S = 8.0
STORE_BYTES = 200_000_000

SETTINGS: dict[str, dict[str, str]] = {
    "Ray's defaults": {},
    "log folder listed every 30 s, not 10 times a second": {
        "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
        "LOG_NAME_UPDATE_INTERVAL_S": "30",
    },
    "dashboard's figures every 30 s, not 5 s": {"REPORTER_UPDATE_INTERVAL_MS": "30000"},
    "metrics every 30 s, not 10 s": {"RAY_metrics_report_interval_ms": "30000"},
    "resources told every second, not 100 ms": {
        "RAY_raylet_report_resources_period_milliseconds": "1000",
        "RAY_gcs_pull_resource_loads_period_milliseconds": "10000",
    },
    "housekeeping seconds apart, no event statistics": {
        "RAY_memory_monitor_refresh_ms": "1000",
        "RAY_kill_idle_workers_interval_ms": "5000",
        "RAY_raylet_check_gc_period_milliseconds": "2000",
        "RAY_io_context_monitor_probe_interval_ms": "10000",
        "RAY_io_context_event_loop_lag_collection_interval_ms": "60000",
        "RAY_event_stats": "0",
    },
}
"""Groups of Ray's settings, which it reads from the environment. Source: Ray 2.60, ray_config_def.h, log_monitor.py,
reporter_consts.py."""

ALL = "all of these"

INSIDE = {"RAY_max_direct_call_object_size": "3000000"}
"""Eight crops travel inside the call; by default 100 kB do, and what is larger goes through the object store."""

ACTORS, SPARE = "actors", "spare workers"
KINDS = {
    "gcs_server": "gcs server",
    "/log_monitor.py": "log monitor",
    "/dashboard.py": "dashboard",
    "/monitor.py": "autoscaler's monitor",
    "ray::DashboardAgent": "dashboard agent",
    "ray::RuntimeEnvAgent": "runtime environment agent",
    "ray::IDLE": SPARE,
    "ray::": ACTORS,
}

OWN = "as raycctv starts Ray"

Images = npt.NDArray[np.uint8]
Cost = dict[str, dict[str, float]]
"""By process: ``count``, ``percent`` of a core in all, ``pss_mb`` in all."""


@ray.remote(num_cpus=0.01)
class Answerer:
    """Takes crops as a detector does, and looks at none of them."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)

    async def nothing(self) -> int:
        return 0

    async def raw(self, images: Images) -> int:
        return len(images)

    async def jpeg(self, coded: list[bytes]) -> int:
        return len([cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR) for one in coded])

    async def cpu_s(self) -> float:
        return time.process_time()


@ray.remote(num_cpus=0.01)
class Asker:
    """Asks as a reader does."""

    def __init__(self) -> None:
        cv2.setNumThreads(1)

    def ask(self, answerer: Any, way: str, crops: Images, calls: int) -> tuple[list[float], float]:
        """Seconds of each call, and CPU seconds of this process for all."""
        crops = crops.copy()  # what came with the call lies in the object store already
        spent_s = []
        before_s = time.process_time()
        for _ in range(calls):
            began_s = time.perf_counter()
            ray.get(self._question(answerer, way, crops))
            spent_s.append(time.perf_counter() - began_s)
        return spent_s, time.process_time() - before_s

    def _question(self, answerer: Any, way: str, crops: Images) -> Any:
        if way == "nothing":
            return answerer.nothing.remote()
        if way == "raw":
            return answerer.raw.remote(crops)
        return answerer.jpeg.remote([_jpeg(crop) for crop in crops])


@ray.remote(num_cpus=0.01)
class IdleReader:
    """A reader's process without its camera."""

    def __init__(self) -> None:
        import raycctv.live  # noqa: F401 - for its weight

    def ready(self) -> int:
        return os.getpid()


def _started(actor: Any) -> Any:
    """An actor of that class, of which Ray's decorator tells no type."""
    return actor.remote()


def _jpeg(crop: Images) -> bytes:
    done, coded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return coded.tobytes()


def real_crops(count: int) -> Images:
    """uint8 (count, 300, 300, 3): people of the footage, as large as a detector is given them."""
    some = islice(pictures(vtest(), PEOPLE["gate"]), 0, None, 20)
    enlarged = [
        cv2.resize(picture, (2 * SIDE_PX, 2 * SIDE_PX), interpolation=cv2.INTER_CUBIC) for picture in islice(some, count)
    ]
    return np.stack([picture[SIDE_PX // 2 :][:SIDE_PX, SIDE_PX // 2 :][:, :SIDE_PX] for picture in enlarged]).astype(np.uint8)


@contextmanager
def plain_ray() -> Iterator[None]:
    """A Ray of its own whose settings are those of the environment alone."""
    os.environ.update({"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"})
    with redirect_stdout(sys.stderr):  # what Ray has to say is no answer of ours
        ray.init(
            address="local", include_dashboard=False, object_store_memory=STORE_BYTES, log_to_driver=False,
            logging_level=logging.ERROR,
        )  # fmt: skip
        try:
            yield
        finally:
            ray.shutdown()


def called(count: int, ways: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each number of crops and way of sending them."""
    crops = real_crops(max(CROPS))
    with plain_ray():
        answerer, asker = _started(Answerer), _started(Asker)
        asked = [(way, many) for many in CROPS for way in ways if way != "nothing" or many == 1]
        return [_called(asker, answerer, way, crops[:many], count) for way, many in asked]


def calls(count: int) -> list[dict[str, Any]]:
    """The same with Ray's default, by which 100 kB travel inside a call, and with all crops inside."""
    usual = apart(["--called", "nothing,raw,jpeg", "--calls", str(count)], {})
    inside = apart(["--called", "raw", "--calls", str(count)], INSIDE)
    return sorted([*usual, *({**row, "way": "inside"} for row in inside)], key=lambda row: row["crops"])


def _called(asker: Any, answerer: Any, way: str, crops: Images, count: int) -> dict[str, Any]:
    ray.get(asker.ask.remote(answerer, way, crops, WARM_UP_CALLS))
    raylets = [process for process in psutil.Process().children(recursive=True) if _kind(process) == "raylet"]
    before_s = ray.get(answerer.cpu_s.remote()) + sum(map(_spent_s, raylets))
    spent_s, asking_s = ray.get(asker.ask.remote(answerer, way, crops, count))
    answering_s = ray.get(answerer.cpu_s.remote()) + sum(map(_spent_s, raylets)) - before_s
    carried = sum(len(_jpeg(crop)) for crop in crops) if way == "jpeg" else crops.nbytes if way == "raw" else 0
    return {
        "way": way,
        "crops": 0 if way == "nothing" else len(crops),
        "bytes": carried,
        "ms": 1000 * statistics.median(spent_s),
        "cpu_ms": 1000 * (asking_s + answering_s) / count,
    }


def _kind(process: psutil.Process) -> str | None:
    command = process.cmdline()
    if command and command[0].endswith("/raylet"):  # its arguments name what it starts
        return "raylet"
    words = " ".join(command[:4])
    return next((kind for mark, kind in KINDS.items() if mark in words), None)


def _spent_s(process: psutil.Process) -> float:
    """CPU seconds until now of all threads that still run, to the nanosecond. Source: proc(5), schedstat."""
    tasks = Path(f"/proc/{process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def idle(actors: int, seconds: float, *, own: bool) -> Cost:
    """What Ray's processes and so many idle readers use of this machine, once they have come to rest.

    Args:
        own: with the settings of a Ray that raycctv starts.
    """
    with private_cluster() if own else plain_ray():
        readers = [_started(IdleReader) for _ in range(actors)]
        ray.get([reader.ready.remote() for reader in readers])
        time.sleep(min(SETTLE_S, seconds))
        found = [(kind, process) for process in psutil.Process().children(recursive=True) if (kind := _kind(process))]
        before_s = [_spent_s(process) for _, process in found]
        began_s = time.monotonic()
        time.sleep(seconds)
        wall_s = time.monotonic() - began_s
        cost: Cost = defaultdict(lambda: dict.fromkeys(("count", "percent", "pss_mb"), 0.0))
        for (kind, process), spent_s in zip(found, before_s, strict=True):
            try:
                now_s, pss = _spent_s(process), process.memory_full_info().pss
            except (psutil.Error, OSError):  # a spare worker that Ray has ended meanwhile
                continue
            cost[kind]["count"] += 1
            cost[kind]["percent"] += 100 * (now_s - spent_s) / wall_s
            cost[kind]["pss_mb"] += pss / 1e6
        return dict(cost)


def apart(arguments: Sequence[str], environment: dict[str, str]) -> Any:
    """What this program measures in a process of its own: Ray reads its settings once."""
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def idle_apart(actors: int, seconds: float, environment: dict[str, str] | None) -> Cost:
    """With these settings; None is raycctv's own."""
    own = ["--own"] if environment is None else []
    cost: Cost = apart(["--idle", str(actors), "--seconds", str(seconds), *own], environment or {})
    return cost


def settings(actors: int, seconds: float) -> dict[str, Cost]:
    """By group of settings."""
    every = {name: value for group in SETTINGS.values() for name, value in group.items()}
    groups: dict[str, dict[str, str] | None] = {**SETTINGS, ALL: every, OWN: None}
    costs = {}
    for name, environment in groups.items():
        _say(f"settings: {name}")
        costs[name] = idle_apart(actors, seconds, environment)
    return costs


def processes(readers: Sequence[int], seconds: float) -> dict[int, Cost]:
    """By number of reader processes."""
    costs = {}
    for count in readers:
        _say(f"{count} reader processes")
        costs[count] = idle_apart(count, seconds, None)
    return costs


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def print_calls(rows: list[dict[str, Any]]) -> None:
    print("| crops a call | sent | kB | ms a call | CPU ms a call | CPU ms a crop |\n|---|---|---|---|---|---|")
    for row in rows:
        each = f"{row['cpu_ms'] / row['crops']:.2f}" if row["crops"] else ""
        cells = [WAYS[row["way"]], f"{row['bytes'] / 1e3:.0f}", f"{row['ms']:.2f}", f"{row['cpu_ms']:.2f}", each]
        print(f"| {row['crops']} | {' | '.join(cells)} |")


def print_settings(costs: dict[str, Cost]) -> None:
    kinds = [kind for kind in next(iter(costs.values())) if kind != SPARE]
    print(f"| % of a core | {' | '.join(kinds)} | all but the actors |\n|---|{'---|' * (len(kinds) + 1)}")
    for name, cost in costs.items():
        cells = [f"{cost[kind]['percent']:.2f}" for kind in kinds]
        own = sum(value["percent"] for kind, value in cost.items() if kind not in (ACTORS, SPARE))
        print(f"| {name} | {' | '.join(cells)} | {own:.2f} |")


def print_processes(costs: dict[int, Cost]) -> None:
    columns = ["reader processes", "their % of a core", "Ray's own % of a core", "their PSS, MB", "Ray's own PSS, MB"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for count, cost in costs.items():
        rest = [value for kind, value in cost.items() if kind != ACTORS]
        own, pss_mb = sum(value["percent"] for value in rest), sum(value["pss_mb"] for value in rest)
        print(f"| {count} | {cost[ACTORS]['percent']:.2f} | {own:.2f} | {cost[ACTORS]['pss_mb']:.0f} | {pss_mb:.0f} |")


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be given more than once")
    parser.add_argument("--calls", type=int, default=300, help="of each kind")
    parser.add_argument("--seconds", type=float, default=20, help="for which idle processes are watched")
    parser.add_argument("--actors", type=int, default=16, help="idle ones, while settings are tried")
    parser.add_argument("--readers", type=numbers, default=[4, 8, 16, 32], metavar="N[,N...]", help="processes")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--idle", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--called", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.called:
        print(json.dumps(called(options.calls, options.called.split(","))))
        return
    if options.idle is not None:
        print(json.dumps(idle(options.idle, options.seconds, own=options.own)))
        return
    measured: dict[str, Any] = {}
    for part in options.part or PARTS:
        if part == "calls":
            measured[part] = calls(options.calls)
        elif part == "settings":
            measured[part] = settings(options.actors, options.seconds)
        else:
            measured[part] = processes(options.readers, options.seconds)
    if options.json:
        print(json.dumps(measured))
        return
    show: dict[str, Callable[[Any], None]] = {
        "calls": print_calls,
        "settings": print_settings,
        "processes": print_processes,
    }
    for part, value in measured.items():
        show[part](value)
        print()


if __name__ == "__main__":
    main()
