"""What the actors are called, in the code and in the Ray dashboard."""

NAMESPACE = "raycctv"
SUPERVISOR = "supervisor"
STORAGE = "storage"
SINK = "sink"
CONSOLE = "console"

_READER = "reader:"
_DETECTOR = "detector:"


def reader(which: str) -> str:
    """The name of a reader: after its camera, or by number where it has several. A camera's part of a status is called so."""
    return f"{_READER}{which}"


def detector(index: int) -> str:
    """The name of the detector with that number."""
    return f"{_DETECTOR}{index}"


def kind_of(name: str) -> str:
    """``reader``, ``detector``, ``storage``, ``sink``, ``console`` or ``supervisor``."""
    return name.partition(":")[0]
