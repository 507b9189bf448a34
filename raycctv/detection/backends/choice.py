"""Which backend is the fastest on this machine: measured once, and remembered beside the models."""

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raycctv.detection.models import MANIFEST, file_sha256
from raycctv.errors import DetectorError

MEMORY = "fastest.json"
"""In the folder of all models."""

_BATCH = 8
_ROUNDS = 4
_PACKAGES = ("raycctv", "openvino", "onnxruntime", "torch")

logger = logging.getLogger(__name__)

Open = Callable[[str], Any]
"""From a backend's name to the backend, as a context manager; see :func:`raycctv.detection.backends.load_backend`."""


def choose(place: Path, names: Sequence[str], threads: int, open_backend: Open, *, cpu: str | None = None) -> str:
    """The fastest of the backends ``names`` for the model in the folder ``place``.

    What was measured for this CPU, model, number of threads and these versions holds; else it is measured now: about 2 s.

    Args:
        cpu: what this CPU is called; None looks it up.

    Raises:
        DetectorError: none of them runs.
    """
    memory = place.parent / MEMORY
    key = _key(place, names, threads, cpu or cpu_name())
    known = _remembered(memory)
    entry = known.get(key)
    if isinstance(entry, dict) and entry.get("backend") in names:
        return str(entry["backend"])
    speeds = {name: speed for name in names if (speed := images_per_s(name, open_backend)) is not None}
    if not speeds:
        raise DetectorError(f"none of the backends {', '.join(names)} can run {place.name} on this machine")
    best = max(speeds, key=lambda name: speeds[name])
    logger.info("%s runs fastest on %s: %s images/s", place.name, best, {name: round(s) for name, s in speeds.items()})
    _remember(memory, {**known, key: {"backend": best, "images_per_s": {name: round(s, 1) for name, s in speeds.items()}}})
    return best


def images_per_s(name: str, open_backend: Open) -> float | None:
    """Of a batch of eight, at best; None where the backend does not run."""
    pictures: npt.NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (_BATCH, 300, 300, 3), dtype=np.uint8)
    try:
        with open_backend(name) as backend:
            backend.infer(pictures)
            spent_s = [_timed(lambda: backend.infer(pictures)) for _ in range(_ROUNDS)]
    except (DetectorError, ImportError) as error:
        logger.info("%s does not run here: %s", name, error)
        return None
    return _BATCH / min(spent_s)


def cpu_name() -> str:
    """As the system calls it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _timed(run: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


def _key(place: Path, names: Sequence[str], threads: int, cpu: str) -> str:
    facts = [cpu, place.name, file_sha256(place / MANIFEST), threads, *names, *map(_version, _PACKAGES)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _remembered(memory: Path) -> dict[str, Any]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(memory: Path, known: dict[str, Any]) -> None:
    """Whole or not at all; where the folder cannot be written it is measured again next time."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=memory.parent, prefix=f".{MEMORY}-", delete=False) as file:
            json.dump(known, file, indent=2)
        Path(file.name).replace(memory)
    except OSError as error:
        logger.info("which backend is fastest is not remembered: %s", error)
