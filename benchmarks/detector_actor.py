"""What does Ray cost the detector: pictures a second through its actor, beside the bare backend?

The same backend, with the same crops, first bare in this process, then as the detector actor that a cluster has, asked by so
many cameras at once as readers ask it: two questions of two crops in flight each. Both have one thread. The detector gives way
to recording, which costs nothing while the machine has nothing else to do. Then one camera has forty questions waiting while
another asks one at a time: how long does that one wait, compared with when it is alone?
"""

import argparse
import json
import statistics
import sys
import time
from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt
import ray
from rich.progress import Progress

from actors.cluster import private_cluster
from actors.detector import Detector
from raycctv.config import Detection
from raycctv.detection.backends import open_backend

Images = npt.NDArray[np.uint8]
CROPS, IN_FLIGHT = 2, 2


def crops() -> Images:
    """uint8 (2, 300, 300, 3)."""
    return np.random.default_rng(0).integers(0, 256, (CROPS, 300, 300, 3), dtype=np.uint8)


def bare(settings: Detection, seconds: float) -> tuple[float, str]:
    """Pictures a second of the backend in this process, and its name."""
    images = crops()
    with open_backend(settings.model, settings.backend, threads=settings.threads, min_score=settings.min_score) as backend:
        backend.infer(images)
        began_s, done = time.monotonic(), 0
        while time.monotonic() - began_s < seconds:
            backend.infer(images)
            done += len(images)
        return done / (time.monotonic() - began_s), backend.name


def through_ray(detector: Any, cameras: int, seconds: float) -> float:
    """Pictures a second, all cameras together."""
    images = crops()
    flying = {detector.detect.remote(images, f"camera{n % cameras}"): n % cameras for n in range(cameras * IN_FLIGHT)}
    began_s, done = time.monotonic(), 0
    while time.monotonic() - began_s < seconds:
        ready, _ = ray.wait(list(flying), num_returns=1)
        for ref in ready:
            camera = flying.pop(ref)
            done += len(images)
            flying[detector.detect.remote(images, f"camera{camera}")] = camera
    spent_s = time.monotonic() - began_s
    ray.get(list(flying))
    return done / spent_s


def waits_s(detector: Any, seconds: float, greedy: int) -> float:
    """Median wait of a camera that asks once at a time, while another has ``greedy`` questions waiting."""
    images = crops()
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=10, help="measured time of each")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    settings = Detection(backend=options.backend)
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("bare", total=4)
        alone, name = bare(settings, options.seconds)
        bar.update(task, advance=1, description="through Ray")
        with private_cluster(cpus=2):
            actor: Any = Detector  # Ray has made more of the class than its stubs know
            detector = actor.options(num_cpus=1).remote(settings.model_copy(update={"backend": name}), "benchmark")
            ray.get(detector.detect.remote(crops(), "warm"))
            through = through_ray(detector, options.cameras, options.seconds)
            bar.update(task, advance=1, description="taking turns")
            unhurried_s, beside_s = waits_s(detector, options.seconds / 2, 0), waits_s(detector, options.seconds / 2, 40)
    found = {
        "backend": name,
        "cameras": options.cameras,
        "bare_images_per_s": alone,
        "ray_images_per_s": through,
        "ratio": through / alone,
        "wait_alone_s": unhurried_s,
        "wait_beside_greedy_s": beside_s,
    }
    if options.json:
        print(json.dumps(found))
        return
    print("| | |\n|---|---|")
    print(f"| {name}, bare | {alone:.0f} images/s |")
    print(f"| {name} through Ray, {options.cameras} cameras | {through:.0f} images/s |")
    print(f"| ratio | {through / alone:.2f} |")
    print(f"| a question of a camera that is alone waits | {1000 * unhurried_s:.0f} ms |")
    print(f"| beside one with 40 questions waiting | {1000 * beside_s:.0f} ms |")


if __name__ == "__main__":
    main()
