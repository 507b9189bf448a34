"""Settings tried against footage that is there: a process of low priority, its progress, and what it has found so far."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from pydantic import TypeAdapter

from raycctv.clock import NS_PER_S
from raycctv.config import Config
from raycctv.console.setup.compare import Difference, difference
from raycctv.console.setup.settings import Settings
from raycctv.errors import RaycctvError
from raycctv.types import CameraName, Event, Segment

BUDGET_S = 180.0
"""Longest time of a trial."""

EVENTS = TypeAdapter(list[Event])
"""As the worker writes them and we read them."""

_STRETCH_S = 90.0
"""Footage that is analysed as one, first with the old settings and then with the new."""

_APART_S = 1.0
_SETTINGS = ("motion", "detection", "events", "decode")


class TrialRefused(RaycctvError):
    """Nothing can be tried now; says why."""


State = Literal["running", "done", "out of time", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a trial is.

    Attributes:
        state: ``done`` where all footage was tried.
        tried_s, footage_s: footage that was tried, of how much; the newest is tried first.
        error: why it failed.
    """

    state: State
    tried_s: float
    footage_s: float
    error: str | None = None


def stretches(segments: Sequence[Segment]) -> list[list[Segment]]:
    """Footage in pieces that are analysed as one, newest first, each in the order of time and without a gap."""
    found: list[list[Segment]] = []
    for segment in segments:
        last = found[-1] if found else []
        follows = last and segment.started_at_ns - last[-1].ended_at_ns <= _APART_S * NS_PER_S
        if follows and segment.ended_at_ns - last[0].started_at_ns <= _STRETCH_S * NS_PER_S:
            last.append(segment)
        else:
            found.append([segment])
    return found[::-1]


class Trial:
    """One trial. Cancel it, or wait for :attr:`progress` to say that it no longer runs. Thread-safe.

    Args:
        old, new: what is compared.
        folder: gets the pictures of the events; exists.
        budget_s: time after which it ends with what it has tried by then.
    """

    def __init__(
        self, camera: CameraName, config: Config, old: Settings, new: Settings, segments: Sequence[Segment], folder: Path,
        budget_s: float = BUDGET_S,
    ) -> None:  # fmt: skip
        pieces = stretches(segments)
        job = {
            "camera": camera,
            "config": {key: getattr(config, key).model_dump(mode="json") for key in _SETTINGS},
            "settings": [settings.model_dump(mode="json") for settings in (old, new)],
            "stretches": [[[str(config.recording.root / s.path), s.started_at_ns] for s in piece] for piece in pieces],
            "folder": str(folder),
            "budget_s": budget_s,
        }
        self.id = uuid4().hex
        self.camera = camera
        self.folder = folder
        self._lengths_s = [sum(segment.duration_ns for segment in piece) / NS_PER_S for piece in pieces]
        self._lock = threading.Lock()
        self._progress = Progress("running", 0.0, sum(self._lengths_s))
        self._found: list[Difference] = []
        self._worker = _started(job)
        self._listener = threading.Thread(target=self._listen, name=f"trial of {camera}", daemon=True)
        self._listener.start()

    @property
    def progress(self) -> Progress:
        with self._lock:
            return self._progress

    @property
    def difference(self) -> Difference:
        """Of all footage that was tried so far."""
        with self._lock:
            parts = self._found[::-1]
        return Difference(
            [event for part in parts for event in part.come],
            [event for part in parts for event in part.go],
            [pair for part in parts for pair in part.stay],
        )

    def cancel(self) -> None:
        """End it; what was found stays. Idempotent."""
        self._ended("cancelled")
        with suppress(ProcessLookupError):
            os.killpg(self._worker.pid, signal.SIGKILL)  # its libraries start processes, too
        self._listener.join()

    def _ended(self, state: State, error: str | None = None) -> None:
        with self._lock:
            if self._progress.state == "running":
                self._progress = replace(self._progress, state=state, error=error)

    def _listen(self) -> None:
        with self._worker as worker:  # closes its pipes
            assert worker.stdout is not None
            for line in worker.stdout:
                if line.endswith("\n"):  # else it was ended in the middle of it
                    self._heard(json.loads(line))
        code = worker.returncode
        self._ended("failed", f"the analysis ended by itself (exit code {code})")

    def _heard(self, said: dict[str, Any]) -> None:
        if "state" in said:
            self._ended(said["state"], said.get("error"))
            return
        found = difference(*(EVENTS.validate_python(events) for events in said["events"]))
        with self._lock:
            self._found.append(found)
            tried_s = sum(self._lengths_s[: said["stretch"] + 1])
            self._progress = replace(self._progress, tried_s=tried_s)


class Trials:
    """The last trial. One goes on at a time: it takes a core. Close it. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Trial | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="raycctv-trial-")

    def start(self, camera: CameraName, config: Config, old: Settings, new: Settings, segments: Sequence[Segment]) -> Trial:
        """Begin one; it takes the place of the last, and of one of the same camera that goes on.

        Raises:
            TrialRefused: one of another camera goes on, or there is no footage.
        """
        if not segments:
            raise TrialRefused(f"there is no footage of {camera} to try this on")
        with self._lock:
            if self._last is not None:
                if self._last.camera != camera and self._last.progress.state == "running":
                    raise TrialRefused(f"settings of {self._last.camera} are being tried; one trial goes on at a time")
                self._last.cancel()
                shutil.rmtree(self._last.folder, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(dir=self._folder.name))
            self._last = Trial(camera, config, old, new, segments, folder)
            return self._last

    def find(self, camera: CameraName, trial_id: str) -> Trial | None:
        """The last one, if it is that."""
        with self._lock:
            last = self._last
        return last if last is not None and (last.camera, last.id) == (camera, trial_id) else None

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            if self._last is not None:
                self._last.cancel()
            self._folder.cleanup()


def _started(job: dict[str, Any]) -> "subprocess.Popen[str]":
    """The worker with its job. It ends when its standard input does, so that it does not outlive whoever started it."""
    command = [sys.executable, "-m", "raycctv.console.setup.worker"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(job) + "\n")
    worker.stdin.flush()
    return worker
