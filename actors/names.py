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


def storage(node: str | None) -> str:
    """The name of the storage actor of a node, or of the only one."""
    return STORAGE if node is None else f"{STORAGE}:{node}"


def sink(node: str | None) -> str:
    """The name of the sink of a node, or of the only one."""
    return SINK if node is None else f"{SINK}:{node}"


def kind_of(name: str) -> str:
    """``reader``, ``detector``, ``storage``, ``sink``, ``console`` or ``supervisor``."""
    return name.partition(":")[0]
