"""What the actors are called, in the code and in the Ray dashboard."""

from raycctv.types import CameraName

NAMESPACE = "raycctv"
SUPERVISOR = "supervisor"
STORAGE = "storage"
SINK = "sink"

_READER = "reader:"
_DETECTOR = "detector:"


def reader(camera: CameraName) -> str:
    """The name of a camera's reader."""
    return f"{_READER}{camera}"


def detector(index: int) -> str:
    """The name of the detector with that number."""
    return f"{_DETECTOR}{index}"


def camera_of(name: str) -> CameraName | None:
    """The camera whose reader has that name, or None where it is no reader's."""
    return CameraName(name.removeprefix(_READER)) if name.startswith(_READER) else None


def kind_of(name: str) -> str:
    """``reader``, ``detector``, ``storage``, ``sink`` or ``supervisor``."""
    return name.partition(":")[0]
