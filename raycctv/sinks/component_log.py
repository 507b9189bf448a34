"""What each component says, as JSON lines in a file of its own: ``<logs.dir>/<component>.jsonl``, ``reader-<camera>.jsonl``.

Whatever becomes of Loki, a record is in the file first. A process that serves several cameras has a thread for each, which says
so once (:data:`CAMERA`).
"""

import json
import logging
import os
from contextvars import ContextVar
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from raycctv.clock import iso
from raycctv.config import Logs
from raycctv.redact import redact
from raycctv.sinks.event_log import LOG_NAME
from raycctv.types import CameraName

log = logging.getLogger(__name__)

KIND = "log"
"""Of a line in a component's log; a line in the event log has the event's kind."""

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""On standard error, where Ray keeps it. The ingest pipeline for component lines reads it."""

_NS = 1e9

CAMERA: ContextVar[CameraName | None] = ContextVar("camera", default=None)
"""The camera that this thread serves."""


class Line(BaseModel):
    """What a line holds.

    ``camera`` is None where the component serves none alone; ``exception`` is a traceback.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    time: str
    level: Literal["debug", "info", "warning", "error", "critical"]
    component: str
    camera: str | None
    kind: Literal["log"]
    logger: str
    message: str
    pid: int
    exception: str | None


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, without passwords."""

    def __init__(self, component: str, camera: CameraName | None) -> None:
        super().__init__()
        self._component, self._camera = component, camera

    def line(self, record: logging.LogRecord) -> dict[str, Any]:
        """The fields of :class:`Line`."""
        return {
            "time": iso(round(record.created * _NS)),
            "level": record.levelname.lower(),
            "component": self._component,
            "camera": self._camera or CAMERA.get(),
            "kind": KIND,
            "logger": record.name,
            "message": redact(record.getMessage()),
            "pid": record.process or os.getpid(),
            "exception": redact(self.formatException(record.exc_info)) if record.exc_info else None,
        }

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.line(record), ensure_ascii=False)


def configure(component: str, camera: CameraName | None, logs: Logs, *others: logging.Handler, file: str | None = None) -> None:
    """Let this process log to standard error, to its file and to ``others``. Where there can be no file, to the rest.

    Args:
        file: name without ``.jsonl``, where it is not after component and camera.
    """
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    formatter = JsonFormatter(component, camera)
    stderr = logging.StreamHandler()
    stderr.setFormatter(logging.Formatter(_TEXT))
    handlers: list[logging.Handler] = [stderr, *others]
    name = file or (component if camera is None else f"{component}-{camera}")
    try:
        logs.dir.mkdir(parents=True, exist_ok=True)
        handlers.append(
            RotatingFileHandler(
                logs.dir / f"{name}.jsonl",
                maxBytes=logs.component_max_size,
                backupCount=logs.component_backups,
                encoding="utf-8",
            )
        )
    except OSError as error:
        log.warning("logs.dir: %s cannot be written: %s", logs.dir, error.strerror)
    for handler in handlers[1:]:
        handler.setFormatter(formatter)
    for old in list(root.handlers):
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        root.addHandler(handler)


def check(folder: Path) -> tuple[int, list[tuple[str, str]]]:
    """How many lines the components' logs hold, and those that are none of ours: (file and line, what is wrong)."""
    lines, bad = 0, []
    for path in sorted(folder.glob("*.jsonl*")):
        if path.name.startswith(LOG_NAME):
            continue
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            lines += 1
            try:
                Line.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                bad.append((f"{path.name}, line {number}", f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()))
    return lines, bad
