"""What the console asks of the running cluster. Who serves it brings an implementation; tests bring their own."""

from typing import Any, Protocol

from raycctv.config import Config
from raycctv.types import CameraName, Picture

__all__ = ["Cluster", "Picture"]


class Cluster(Protocol):
    """All methods block and are called from several threads.

    Raises (every method):
        ClusterError: the cluster does not answer.
    """

    def status(self) -> dict[str, Any]:
        """What every actor says of itself, as ``raycctv status --json``."""
        ...

    def picture(self, camera: CameraName, width_px: int) -> Picture | None:
        """The camera's last decoded frame, at most so wide; None where there is none."""
        ...

    def reload(self, config: Config) -> None:
        """Make the cluster run a changed configuration."""
        ...

    def nodes(self) -> list[dict[str, Any]]:
        """Machines: ``name, address, alive, cpus, gpus, memory_bytes``."""
        ...
