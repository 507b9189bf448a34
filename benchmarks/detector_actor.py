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
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
from rich.progress import Progress

from actors.cluster import private_cluster
from raycctv.config import Camera, Config, Detection, Logs, StreamUrl
from raycctv.types import CameraName

Images = npt.NDArray[np.uint8]
IN_FLIGHT = 2
CORES = sorted(os.sched_getaffinity(0))


def crops(count: int) -> Images:
    """uint8 (count, 300, 300, 3)."""
    return np.random.default_rng(0).integers(0, 256, (count, 300, 300, 3), dtype=np.uint8)


class Bare:
    """The backend in an actor, asked by nobody."""

    def __init__(self, settings: Detection) -> None:
        from raycctv.detection.backends import open_backend
        from raycctv.load import DETECTING, give_way, keep_memory

        give_way(DETECTING)
        keep_memory()
        self._backend = open_backend(settings.model, settings.backend, threads=settings.threads, min_score=settings.min_score)

    def status(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "backend": self._backend.name}

    def images_per_s(self, count: int, seconds: float) -> float:
        images = crops(count)
        self._backend.infer(images)
        began_s, done = time.monotonic(), 0
        while time.monotonic() - began_s < seconds:
            self._backend.infer(images)
            done += count
        return done / (time.monotonic() - began_s)


class Asker:
    """Asks a detector as the readers of so many cameras do."""

    def images_per_s(self, detector: Any, cameras: int, count: int, seconds: float) -> float:
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
        return done / spent_s

    def waits_s(self, detector: Any, seconds: float, greedy: int) -> float:
        """Median wait of a camera that asks once at a time, while another has ``greedy`` questions waiting."""
        images = crops(2)
        hungry = deque(detector.detect.remote(images, "greedy") for _ in range(greedy))
        waits = []
        began_s = time.monotonic()
        while time.monotonic() - began_s < seconds:
            asked_s = time.monotonic()
            ray.get(detector.detect.remote(images, "modest"))
            waits.append(time.monotonic() - asked_s)
            done, _ = ray.wait(list(hungry), num_returns=len(hungry), timeout=0) if hungry else ([], [])
            hungry = deque([ref for ref in hungry if ref not in set(done)])
            hungry.extend(detector.detect.remote(images, "greedy") for _ in done)
        ray.get(list(hungry))
        return statistics.median(waits)


class Nobody:
    """Takes the place of the sink."""

    def detector_is_busy(self, name: str, share: float) -> None: ...


def pinned(actor: Any) -> int:
    """The actor's process, by pid, which has the first core alone from here on."""
    pid: int = ray.get(actor.status.remote())["pid"]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), {CORES[0]})
    return pid


def cpu_s(pid: int) -> float:
    """Of a process, so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(settings: Detection, cameras: int, counts: list[int], seconds: float, logs: Path, bar: Any) -> dict[str, Any]:
    """Everything, in one cluster."""
    from actors.detector import Detector

    own = Config(
        cameras={CameraName("any"): Camera(source=StreamUrl.parse("file:///any"))}, logs=Logs(dir=logs), detection=settings
    )
    remote: Any = ray.remote
    asker, bare = remote(Asker).remote(), remote(Bare).remote(settings)
    pinned(bare)
    name = ray.get(bare.status.remote())["backend"]
    calls = []
    alone: dict[int, float] = {count: ray.get(bare.images_per_s.remote(count, seconds / 2)) for count in counts}
    kind: Any = Detector
    detector = kind.remote("detector:0", own, remote(Nobody).remote(), "")
    detector_pid = pinned(detector)
    for count in counts:
        before_s = cpu_s(detector_pid)
        through = ray.get(asker.images_per_s.remote(detector, cameras, count, seconds))
        spent_ms = 1000 * (cpu_s(detector_pid) - before_s) / (through * seconds)
        again = ray.get(bare.images_per_s.remote(count, seconds / 2))
        bare_s = (alone[count] + again) / 2
        calls.append(
            {
                "crops": count,
                "bare_images_per_s": bare_s,
                "ray_images_per_s": through,
                "ratio": through / bare_s,
                "detector_cpu_ms_an_image": spent_ms,
            }
        )
        bar()
    waits = [ray.get(asker.waits_s.remote(detector, seconds / 2, greedy)) for greedy in (0, 40)]
    return {
        "backend": name, "cameras": cameras, "calls": calls, "wait_alone_s": waits[0], "wait_beside_greedy_s": waits[1],
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
    print("| backend | crops a call | bare, images/s | through Ray | ratio | CPU of the detector, ms an image |")
    print("|---|---|---|---|---|---|")
    for one in found:
        for call in one["calls"]:
            cells = f"{call['bare_images_per_s']:.0f} | {call['ray_images_per_s']:.0f} | {call['ratio']:.2f}"
            print(f"| {one['backend']} | {call['crops']} | {cells} | {call['detector_cpu_ms_an_image']:.2f} |")
    for one in found:
        print(f"\n{one['backend']}: a question waits {1000 * one['wait_alone_s']:.0f} ms alone, ", end="")
        print(f"{1000 * one['wait_beside_greedy_s']:.0f} ms beside a camera with 40 waiting")


if __name__ == "__main__":
    main()
