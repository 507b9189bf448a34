"""What must be done so that what runs becomes what is wanted. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from actors import names
from raycctv.config import Camera, digest
from raycctv.types import CameraName

_CROWDED = 4
"""Cameras to a core above which readers are shared: a process costs about 100 MB and, idle, nearly a hundredth of a core."""

_READERS_PER_CORE = 2
"""Shared readers to a core: what one of them computes in Python does not hold up the others."""


_CORES_PER_DETECTOR = 6
"""Cores that one detector's core is enough for: of the 1.58 that 32 moving cameras take the detector's are 0.25. Source:
``benchmarks/load_ramp.py``."""


Name = TypeVar("Name", bound=str)


@dataclass(frozen=True)
class Actions(Generic[Name]):
    """Names of actors, or of a reader's cameras, each in the order of starting."""

    stop: list[Name]
    start: list[Name]


def reconcile(wanted: Mapping[Name, str], observed: Mapping[Name, str | None]) -> Actions[Name]:
    """Compare actors by name and configuration digest; an observed digest is None where the actor did not say.

    An actor with another digest is stopped and started: an actor's arguments are those of its first start. One that did
    not answer is left alone, since Ray restarts it; one that is as wanted is not touched.
    """
    changed = [name for name, digest in wanted.items() if observed.get(name) not in (digest, None)]
    unwanted = [name for name in observed if name not in wanted]
    missing = [name for name in wanted if name not in observed]
    return Actions(stop=unwanted + changed, start=[name for name in wanted if name in missing or name in changed])


def changes(before: Mapping[CameraName, Camera], after: Mapping[CameraName, Camera]) -> dict[str, list[str]]:
    """Names of cameras ``added``, ``changed`` and ``removed``."""
    return {
        "added": [name for name in after if name not in before],
        "changed": [name for name in after if name in before and digest(after[name]) != digest(before[name])],
        "removed": [name for name in before if name not in after],
    }


def detectors_wanted(configured: int | None, cores: float, gpus: float) -> int:
    """How many detectors the cameras share: as configured, else one for each GPU, else one for each six cores."""
    return configured or int(gpus) or max(1, round(cores / _CORES_PER_DETECTOR))


def gpu_share(detectors: int, gpus: float) -> float:
    """What part of a GPU each detector reserves: all find room, and as few as can be share one."""
    return 1 / -(-detectors // int(gpus)) if gpus >= 1 else 0.0


def readers_wanted(cameras: int, per_reader: int | None, cores: float, *, apart: bool = False) -> int:
    """How many readers share the cameras of a node.

    Args:
        per_reader: cameras of one reader; None chooses one, but several where the cameras crowd the cores.
        apart: whether each has one of its own now: so it stays until there are twice as many as crowd the cores, since to share
            readers replaces all of them.
    """
    if per_reader is not None:
        return -(-cameras // per_reader)
    most = _CROWDED * cores * (2 if apart else 1)
    return cameras if cameras <= most else min(cameras, max(1, round(_READERS_PER_CORE * cores)))


def shared_out(
    cameras: Sequence[CameraName], readers: int, current: Mapping[CameraName, str], node: str = ""
) -> dict[str, list[CameraName]]:
    """Which reader, by actor name, reads which cameras. What can stay where it is read now stays; others go to the emptiest.

    A reader of one camera is called after it, shared ones by number, after that of the node where ``node`` names it.
    """
    if readers >= len(cameras):
        return {names.reader(camera): [camera] for camera in cameras}
    prefix = f"{node}-" if node else ""
    shares: dict[str, list[CameraName]] = {names.reader(f"{prefix}{number}"): [] for number in range(1, readers + 1)}
    most = -(-len(cameras) // readers)
    moved: list[CameraName] = []
    for camera in cameras:
        share = shares.get(current.get(camera, ""))
        (moved if share is None or len(share) == most else share).append(camera)
    for camera in moved:
        min(shares.values(), key=len).append(camera)
    return shares
