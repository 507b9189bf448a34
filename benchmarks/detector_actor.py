"""What does Ray cost the detector: pictures a second through its actor, beside the bare backend?

The detector has the first core and nobody else, everything else the last: bare, in an actor of one thread, and then as the
detector actor that a cluster has, asked by another actor for eight cameras that have two frames in flight each, as readers do.
Both are of one process and one thread, and the crops are the same. How long a call takes the detector apart from the network is
the time of a core that its threads take beyond the bare backend's. Then one camera has forty questions waiting while another
asks one at a time: how long does that one wait, compared with when it is alone?
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import ray
from rich.progress import Progress

from actors.cluster import private_cluster
from raycctv.config import Camera, Config, Detection, Logs, StreamUrl
from raycctv.sealing import Sealed
from raycctv.types import CameraName

Images = npt.NDArray[np.uint8]
IN_FLIGHT = 2
GREEDY = 40
"""Questions that a greedy camera has waiting. It is read by a process of its own, as cameras are: one process can have no more
than 16 MB of crops under way, whoever's they are."""

TURNS = 3
CORES = sorted(os.sched_getaffinity(0))


def crops(count: int) -> Images:
    """uint8 (count, 300, 300, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, 300, 300, 3), dtype=np.uint8)


class Bare:
    """The backend in an actor, asked by nobody through Ray."""

    def __init__(self, settings: Detection) -> None:
        from raycctv.detection.backends import open_backend
        from raycctv.load import DETECTING, give_way, keep_memory

        give_way(DETECTING)
        keep_memory()
        self._backend = open_backend(settings.model, settings.backend, threads=settings.threads, min_score=settings.min_score)

    def status(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "backend": self._backend.name}

    def images_per_s(self, count: int, seconds: float) -> tuple[float, float]:
        """And CPU seconds an image."""
        images = crops(count)
        self._backend.infer(images)
        began_s, before_s, done = time.monotonic(), time.process_time(), 0
        while time.monotonic() - began_s < seconds:
            self._backend.infer(images)
            done += count
        return done / (time.monotonic() - began_s), (time.process_time() - before_s) / done


class Asker:
    """Asks a detector as the readers of so many cameras do."""

    def images_per_s(self, detector: Any, cameras: int, count: int, seconds: float) -> tuple[float, int]:
        """And how many there were in all: the last are answered after the time is up."""
        images = crops(count)
        flying: dict[Future[Any], int] = {}
        for n in range(cameras * IN_FLIGHT):
            flying[detector.detect.remote(images, f"camera{n % cameras}").future()] = n % cameras
        began_s, done = time.monotonic(), 0
        while time.monotonic() - began_s < seconds:
            answered, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in answered:
                camera = flying.pop(future)
                done += len(future.result())
                flying[detector.detect.remote(images, f"camera{camera}").future()] = camera
        spent_s = time.monotonic() - began_s
        wait(flying)
        return done / spent_s, done + count * len(flying)

    def waits_s(self, detector: Any, seconds: float) -> float:
        """Median wait of a camera that asks once at a time."""
        images = crops(2)
        waits = []
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            asked_s = time.monotonic()
            ray.get(detector.detect.remote(images, "modest"))
            waits.append(time.monotonic() - asked_s)
        return statistics.median(waits)

    def is_greedy(self, detector: Any, waiting: int, seconds: float) -> None:
        """A camera that has so many questions waiting."""
        images = crops(2)
        hungry = [detector.detect.remote(images, "greedy") for _ in range(waiting)]
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            _, hungry = ray.wait(hungry, num_returns=1)
            hungry.append(detector.detect.remote(images, "greedy"))
        ray.get(hungry)


def pinned(actor: Any) -> int:
    """The actor's process, by pid, which has the first core alone from here on."""
    pid: int = ray.get(actor.status.remote())["pid"]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {CORES[0]})
    return pid


def until_waiting(detector: Any) -> None:
    """Returns when questions wait."""
    while not ray.get(detector.status.remote()).get("waiting", 1):
        time.sleep(0.02)


def cpu_s(pid: int) -> float:
    """Of a process, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compared(
    asker: Any, bare: Any, detector: Any, pid: int, cameras: int, count: int, seconds: float
) -> dict[str, float | int]:
    """Calls of so many crops beside the bare backend, in turns, so that what else the machine does disturbs both."""
    turn_s = seconds / TURNS
    bare_s, bare_cpu_s, through_s, through_cpu_s = (np.zeros(TURNS) for _ in range(4))
    for turn in range(TURNS):
        bare_s[turn], bare_cpu_s[turn] = ray.get(bare.images_per_s.remote(count, turn_s))
        before_s = cpu_s(pid)
        through_s[turn], images = ray.get(asker.images_per_s.remote(detector, cameras, count, turn_s))
        through_cpu_s[turn] = (cpu_s(pid) - before_s) / images
    return {
        "crops": count,
        "bare_images_per_s": float(np.median(bare_s)),
        "ray_images_per_s": float(np.median(through_s)),
        "ratio": float(np.median(through_s / bare_s)),
        "bare_cpu_ms_an_image": 1000 * float(np.median(bare_cpu_s)),
        "detector_cpu_ms_an_image": 1000 * float(np.median(through_cpu_s)),
    }


def measured(settings: Detection, cameras: int, counts: list[int], seconds: float, logs: Path, bar: Any) -> dict[str, Any]:
    """Everything, in one cluster."""
    from actors.detector import Detector

    own = Config(
        cameras={CameraName("any"): Camera(source=StreamUrl.parse("file:///any"))}, logs=Logs(dir=logs), detection=settings
    )
    remote: Any = ray.remote
    asker, greedy, bare = remote(Asker).remote(), remote(Asker).remote(), remote(Bare).remote(settings)
    pinned(bare)
    name = ray.get(bare.status.remote())["backend"]
    calls = []
    kind: Any = Detector
    detector = kind.remote("detector:0", Sealed.of(own), "")
    detector_pid = pinned(detector)
    for count in counts:
        calls.append(compared(asker, bare, detector, detector_pid, cameras, count, seconds))
        bar()
    alone_s = ray.get(asker.waits_s.remote(detector, seconds / 2))
    crowd = greedy.is_greedy.remote(detector, GREEDY, seconds)
    until_waiting(detector)
    beside_s = ray.get(asker.waits_s.remote(detector, seconds / 2))
    ray.get(crowd)
    return {
        "backend": name, "cameras": cameras, "calls": calls, "wait_alone_s": alone_s, "wait_beside_greedy_s": beside_s,
        "rss_bytes": psutil.Process(detector_pid).memory_info().rss,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=6, help="measured time of each")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--crops", type=int, action="append", help="crops in a call; may be given several times")
    parser.add_argument("--backend", action="append", help="may be given several times")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    counts, backends = options.crops or [1, 2, 4], options.backend or ["auto"]
    os.sched_setaffinity(0, {CORES[-1]})
    found = []
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar, tempfile.TemporaryDirectory() as logs:
        task = bar.add_task("asking", total=len(counts) * len(backends))
        for backend in backends:
            with private_cluster(cpus=4):
                settings = Detection(backend=backend)
                found.append(
                    measured(
                        settings, options.cameras, counts, options.seconds, Path(logs), lambda: bar.update(task, advance=1)
                    )
                )
    if options.json:
        print(json.dumps(found))
        return
    print("| backend | crops a call | bare, images/s | through Ray | ratio | CPU ms an image, bare | through Ray |")
    print("|---|---|---|---|---|---|---|")
    for one in found:
        for call in one["calls"]:
            cells = f"{call['bare_images_per_s']:.0f} | {call['ray_images_per_s']:.0f} | {call['ratio']:.2f}"
            cpu = f"{call['bare_cpu_ms_an_image']:.2f} | {call['detector_cpu_ms_an_image']:.2f}"
            print(f"| {one['backend']} | {call['crops']} | {cells} | {cpu} |")
    for one in found:
        print(f"\n{one['backend']}: a question waits {1000 * one['wait_alone_s']:.0f} ms alone, ", end="")
        print(f"{1000 * one['wait_beside_greedy_s']:.0f} ms beside a camera with 40 waiting")


if __name__ == "__main__":
    main()
