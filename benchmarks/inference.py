"""How many pictures a second does each network run, on each backend and batch size, on one core, and in how much memory?

Each runs in a process of its own, pinned to one core, with one thread:

- SSDLite-MobileNetV2 (300 x 300) with its own weights on every backend of raycctv, pre- and post-processing included;
- torchvision's SSDLite320-MobileNetV3-Large (320 x 320), the same way, with random weights, which changes no speed;
- MobileNetV3-Small (224 x 224), what a cheap first look at a picture would be, and YOLO nano networks (640 x 640 and 320 x 320)
  where the `bench` extra is installed: bare, without post-processing, with random weights.

raycctv's backends take one picture at a time on a CPU; the bare networks are given whole batches. Memory is the resident set of
the process. The ratio is to torch eager with the same network, input and batch.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from rich.progress import Progress

from raycctv.detection.backends import BACKENDS, load_backend
from raycctv.detection.models import locate

MODEL = "ssdlite_mobilenet_v2"
BATCHES = (1, 2, 4, 8)
YOLOS = ("yolov5n", "yolov8n")
REFERENCE = "torch"

Images = npt.NDArray[np.uint8]
Run = Callable[[Images], object]


@dataclass(frozen=True)
class Speed:
    """One backend at one batch size.

    Attributes:
        images_per_s: the median of the calls.
        rss_bytes: of the process after all calls of this size.
        ratio: to :data:`REFERENCE` of the same network and batch size; None where that did not run.
        error: why it did not run; all else is 0 then.
    """

    network: str
    input_px: int
    backend: str
    batch: int
    images_per_s: float
    ms_per_image: float
    rss_bytes: int
    ratio: float | None = None
    error: str | None = None


def subjects(names: list[str] | None) -> list[tuple[str, int, str]]:
    """Network, input size and backend of all that is measured."""
    every = [
        *((MODEL, 300, backend) for backend in BACKENDS),
        *(("ssdlite320_mobilenet_v3_large", 320, backend) for backend in ("torch", "openvino")),
        *(("mobilenet_v3_small", 224, backend) for backend in ("torch", "openvino")),
        *((yolo, size_px, backend) for yolo in YOLOS for size_px in (640, 320) for backend in ("torch", "openvino")),
    ]
    return [one for one in every if names is None or one[0] in names or one[2] in names]


def opened(network: str, backend: str) -> Run:
    """The network, ready to run on one thread."""
    if network == MODEL:
        return load_backend(MODEL, backend, locate(MODEL), threads=1, min_score=0.3).infer
    if network == "ssdlite320_mobilenet_v3_large":
        return _second(backend)
    return _bare(_torchvision_small() if network == "mobilenet_v3_small" else _yolo(network), backend)


def _second(backend: str) -> Run:
    """torchvision's detector with random weights, in the form in which raycctv installs it."""
    from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite
    from raycctv.detection.weights import write_network

    folder = Path(tempfile.mkdtemp())
    network = TorchvisionSsdLite()
    write_network(network, network.anchors(), 320, folder)
    return load_backend("ssdlite320_mobilenet_v3_large", backend, folder, threads=1, min_score=0.3).infer


def _torchvision_small() -> Any:
    import torchvision

    return torchvision.models.mobilenet_v3_small(weights=None)


def _yolo(name: str) -> Any:
    """The network that the package builds from its own description, batch norms folded in."""
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())
    os.environ.setdefault("YOLO_VERBOSE", "false")
    tasks: Any = importlib.import_module("ultralytics.nn.tasks")
    return tasks.DetectionModel(f"{name}.yaml", nc=80, verbose=False).fuse(verbose=False)


def _bare(network: Any, backend: str) -> Run:
    """From uint8 (N, S, S, 3) to whatever the network says."""
    import torch

    torch.set_num_threads(1)

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network.eval()

        def forward(self, pictures: torch.Tensor) -> Any:
            said = self.network(pictures.permute(0, 3, 1, 2).float() / 255)
            return said[0] if isinstance(said, tuple) else said

    scaled = Scaled().eval()
    if backend == "torch":
        scaled.to(memory_format=torch.channels_last)

        def eager(images: Images) -> object:
            with torch.inference_mode():
                return scaled(torch.from_numpy(images))

        return eager
    import openvino

    core, requests = openvino.Core(), dict[int, Any]()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}

    def converted(images: Images) -> object:
        if len(images) not in requests:
            model = openvino.convert_model(scaled, example_input=torch.from_numpy(images), input=[images.shape])
            requests[len(images)] = core.compile_model(model, "CPU", settings).create_infer_request()
        return requests[len(images)].infer([images])

    return converted


def measured(network: str, size_px: int, backend: str, seconds: float) -> list[Speed]:
    """All batch sizes, in this process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run = opened(network, backend)
    speeds = []
    for batch in BATCHES:
        pictures = np.random.default_rng(0).integers(0, 256, (batch, size_px, size_px, 3), dtype=np.uint8)
        run(pictures)
        spent_s: list[float] = []
        while len(spent_s) < 3 or sum(spent_s) < seconds:
            began_s = time.perf_counter()
            run(pictures)
            spent_s.append(time.perf_counter() - began_s)
        each_s = float(np.median(spent_s)) / batch
        speeds.append(Speed(network, size_px, backend, batch, 1 / each_s, 1000 * each_s, psutil.Process().memory_info().rss))
    return speeds


def in_a_process(network: str, size_px: int, backend: str, seconds: float) -> list[Speed]:
    """As :func:`measured`, in a process of its own; what does not run is one line with the reason."""
    command = [sys.executable, __file__, "--one", network, str(size_px), backend, "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return [Speed(network, size_px, backend, 0, 0, 0, 0, error=reason)]
    return [Speed(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def compared(speeds: list[Speed]) -> Iterator[Speed]:
    """With their ratios to the reference."""
    reference = {(s.network, s.input_px, s.batch): s.images_per_s for s in speeds if s.backend == REFERENCE}
    for speed in speeds:
        base = reference.get((speed.network, speed.input_px, speed.batch))
        yield speed if not base or speed.error else Speed(**{**asdict(speed), "ratio": speed.images_per_s / base})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", action="append", help="this network or backend; may be given several times")
    parser.add_argument("--seconds", type=float, default=1.0, help="measured time for each batch size")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        network, size_px, backend = options.one
        print(json.dumps([asdict(one) for one in measured(network, int(size_px), backend, options.seconds)]))
        return
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        wanted = bar.track(subjects(options.only), description="running")
        speeds = list(compared([speed for one in wanted for speed in in_a_process(*one, options.seconds)]))
    if options.json:
        print(json.dumps([asdict(speed) for speed in speeds]))
        return
    print("| network | backend | batch | images/s | ms an image | RSS, MB | times torch eager |\n|---|---|---|---|---|---|---|")
    for s in speeds:
        if s.error:
            print(f"| {s.network} {s.input_px} | {s.backend} | | {s.error} | | | |")
            continue
        ratio = "" if s.ratio is None else f"{s.ratio:.1f}"
        cells = f"{s.batch} | {s.images_per_s:.0f} | {s.ms_per_image:.1f} | {s.rss_bytes / 1e6:.0f} | {ratio}"
        print(f"| {s.network} {s.input_px} | {s.backend} | {cells} |")


if __name__ == "__main__":
    main()
