"""The local event log: one JSON object a line, one line for each state of an event. What must not lose anything."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raycctv.clock import iso
from raycctv.errors import RecordingError
from raycctv.types import Category, Event, category_of

LOG_NAME = "events.jsonl"
SNAPSHOTS = "snapshots"


def to_json(event: Event, segments: Sequence[str]) -> dict[str, Any]:
    """An event as raycctv writes it everywhere. Instants are ISO 8601 in UTC.

    Args:
        segments: paths of its footage relative to the recording root, as far as it is closed.
    """
    return {
        "id": event.id,
        "camera": event.camera,
        "kind": event.kind,
        "category": category_of(event.kind),
        "started_at": iso(event.started_at_ns),
        "ended_at": None if event.ended_at_ns is None else iso(event.ended_at_ns),
        "labels": event.labels,
        "zones": list(event.zones),
        "box": list(event.box),
        "score": event.score,
        "segments": list(segments),
        "model": event.model,
        "snapshot": event.snapshot,
        "why": event.why,
    }


class _Line(BaseModel):
    """What a line must hold."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    camera: str
    kind: str
    category: Category | None = None  # lines of earlier versions have none
    started_at: str
    ended_at: str | None
    labels: dict[str, float]
    zones: list[str]
    box: Annotated[list[int], Field(min_length=4, max_length=4)]
    score: float
    segments: list[str]
    model: str | None
    snapshot: str | None
    why: str


FIELDS = tuple(_Line.model_fields)
"""Of an event as raycctv writes it, in their order."""


def check(folder: Path) -> tuple[int, list[tuple[str, str]]]:
    """How many lines the logs in ``folder`` hold, and those that are none of ours: (file and line, what is wrong)."""
    lines, bad = 0, []
    for path in sorted(folder.glob(f"{LOG_NAME}*")):
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            lines += 1
            try:
                _Line.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                bad.append((f"{path.name}, line {number}", f"{'.'.join(map(str, first['loc']))} {first['msg']}".strip()))
    return lines, bad


class EventLog:
    """Appends to ``<folder>/events.jsonl``; renames it to ``.1`` and so on when it has grown to ``max_size_bytes``.

    A line is on disk when :meth:`write` returns. The half line that a crash leaves is closed at the next start, so that
    it spoils no other.

    Raises:
        RecordingError: the folder cannot be written.
    """

    def __init__(self, folder: Path, max_size_bytes: int, backups: int) -> None:
        self._path = folder / LOG_NAME
        self._max_size_bytes = max_size_bytes
        self._backups = backups
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._open()
            self._heal()
        except OSError as error:
            raise RecordingError(f"logs.dir: {folder} cannot be written: {error.strerror}") from error

    def write(self, line: dict[str, Any]) -> None:
        """Append one object.

        Raises:
            RecordingError: it is not on disk (the disk is full, say); nothing of it is left in the file.
        """
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
        size_bytes = os.fstat(self._descriptor).st_size
        try:
            if size_bytes and size_bytes + len(data) > self._max_size_bytes:
                self._rotate()
                size_bytes = 0
            written = os.write(self._descriptor, data)
            if written < len(data):
                os.truncate(self._descriptor, size_bytes)
                raise RecordingError(f"{self._path}: the disk is full")
            os.fsync(self._descriptor)
        except OSError as error:
            raise RecordingError(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Idempotent."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)

    def _heal(self) -> None:
        size_bytes = os.fstat(self._descriptor).st_size
        if size_bytes and os.pread(self._descriptor, 1, size_bytes - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def _rotate(self) -> None:
        """Where this fails, the next write tries again, and until then nothing is written to the wrong file."""
        for number in range(self._backups - 1, 0, -1):
            older = self._path.with_name(f"{LOG_NAME}.{number}")
            if older.exists():
                older.replace(self._path.with_name(f"{LOG_NAME}.{number + 1}"))
        if self._path.exists():
            self._path.replace(self._path.with_name(f"{LOG_NAME}.1"))
        full, self._descriptor = self._descriptor, self._open()
        os.close(full)


def write_snapshot(folder: Path, event: Event, jpeg: bytes) -> str:
    """Keep an event's picture, whole or not at all; returns its path relative to ``folder``.

    Raises:
        RecordingError: it cannot be written.
    """
    relative = Path(SNAPSHOTS, iso(event.started_at_ns)[:10], f"{event.id}.jpg")
    path = folder / relative
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(jpeg)
        draft.replace(path)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error.strerror}") from error
    return relative.as_posix()
