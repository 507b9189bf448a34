"""How many pictures a second does each network run, on each backend and batch size, on one core, and in how much memory?

Each runs in a process of its own, pinned to one core, with one thread:

- SSDLite-MobileNetV2 (300 x 300) with its own weights on every backend of raycctv, pre- and post-processing included;
- torchvision's SSDLite320-MobileNetV3-Large (320 x 320), the same way, with random weights, which changes no speed;
- MobileNetV3-Small (224 x 224), what a cheap first look at a picture would be, and YOLO nano networks (640 x 640 and 320 x 320)
  where the `bench` extra is installed: bare, without post-processing, with random weights.

On a CPU every backend takes one picture at a time, but for the bare networks in torch, which are given whole batches. Memory is
the resident set of the process. The ratio is to torch eager with the same network, input and batch.
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
BARE_FILE = "bare.xml"
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


def opened(network: str, backend: str, folder: Path) -> Run:
    """The network, ready to run on one thread; ``folder`` is where :func:`make` has put it, if it did."""
    if network == MODEL:
        return load_backend(MODEL, backend, locate(MODEL), threads=1, min_score=0.3).infer
    if network == "ssdlite320_mobilenet_v3_large":
        return load_backend(network, backend, folder, threads=1, min_score=0.3).infer
    return _eager(_bare(network)) if backend == "torch" else _converted(folder / BARE_FILE)


def make(network: str, size_px: int, folder: Path) -> None:
    """Put a network with random weights into ``folder``, in the forms that the backends read without torch."""
    import torch

    if network == "ssdlite320_mobilenet_v3_large":
        from raycctv.detection.torchvision_ssdlite import TorchvisionSsdLite
        from raycctv.detection.weights import write_network

        detector = TorchvisionSsdLite()
        write_network(detector, detector.anchors(), size_px, folder)
        return
    import openvino

    pictures = (torch.zeros(1, size_px, size_px, 3, dtype=torch.uint8),)
    exported = torch.export.export(_bare(network), pictures)
    openvino.save_model(openvino.convert_model(exported), folder / BARE_FILE, compress_to_fp16=False)


def _bare(network: str) -> Any:
    """A torch module from uint8 (N, S, S, 3) to whatever the network says."""
    import torch

    built = _yolo(network) if network in YOLOS else _mobilenet_small()

    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = built.eval()

        def forward(self, pictures: torch.Tensor) -> Any:
            said = self.network(pictures.permute(0, 3, 1, 2).float() / 255)
            return said[0] if isinstance(said, tuple) else said

    return Scaled().eval()


def _mobilenet_small() -> Any:
    import torchvision

    return torchvision.models.mobilenet_v3_small(weights=None)


def _yolo(name: str) -> Any:
    """The network that the package builds from its own description, batch norms folded in, as it is exported."""
    os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())
    os.environ.setdefault("YOLO_VERBOSE", "false")
    tasks: Any = importlib.import_module("ultralytics.nn.tasks")
    network = tasks.DetectionModel(f"{name}.yaml", nc=80, verbose=False).fuse(verbose=False).eval()
    network.model[-1].export = True
    network.model[-1].format = "openvino"
    return network


def _eager(network: Any) -> Run:
    import torch

    torch.set_num_threads(1)
    network.to(memory_format=torch.channels_last)

    def run(images: Images) -> object:
        with torch.inference_mode():
            return network(torch.from_numpy(images))

    return run


def _converted(path: Path) -> Run:
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return lambda images: [request.infer([image[None]]) for image in images]


def measured(network: str, size_px: int, backend: str, folder: Path, seconds: float) -> list[Speed]:
    """All batch sizes, in this process."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    run = opened(network, backend, folder)
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
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, __file__, "--seconds", str(seconds), "--one", network, str(size_px), backend, folder]
        made = subprocess.run([*call, "--make"], capture_output=True, text=True, check=False) if network != MODEL else None
        done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        told = (made.stderr if made is not None and made.returncode else done.stderr).strip()
        return [Speed(network, size_px, backend, 0, 0, 0, 0, error=(told.splitlines() or ["no reason given"])[-1])]
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
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        network, size_px, backend, folder = options.one
        if options.make:
            make(network, int(size_px), Path(folder))
            return
        speeds = measured(network, int(size_px), backend, Path(folder), options.seconds)
        print(json.dumps([asdict(one) for one in speeds]))
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
