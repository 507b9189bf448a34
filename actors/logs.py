"""How an actor's process logs."""

from typing import TYPE_CHECKING

from raycctv.config import Config
from raycctv.types import CameraName

if TYPE_CHECKING:
    from raycctv.sinks.loki import LokiHandler


def log_to_servers(component: str, camera: CameraName | None, config: Config, file: str | None = None) -> "LokiHandler | None":
    """Log to standard error, to the component's file and, where the configuration names one, to Loki; returns that handler."""
    from raycctv.sinks.component_log import configure

    if config.loki is None:
        configure(component, camera, config.logs, file=file)
        return None
    from raycctv.sinks.loki import LokiHandler

    loki = LokiHandler(config.loki, component, camera)
    configure(component, camera, config.logs, loki, file=file)
    return loki
