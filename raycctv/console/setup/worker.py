"""The process that tries settings: ``python -m raycctv.console.setup.worker``.

Standard input is one line, the job (:class:`.trial.Trial`); when it ends, so does the process. Standard output is a line of
JSON for each stretch of footage, ``{stretch, events: [old, new]}``, and at last ``{state, error?}``.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from raycctv.config import Camera, Config, StreamUrl
from raycctv.console.setup.settings import Settings
from raycctv.console.setup.trial import EVENTS
from raycctv.detection.backends import open_backend
from raycctv.errors import RaycctvError, StreamError
from raycctv.pipeline import Detector, Footage, analyze_footage
from raycctv.redact import redact
from raycctv.types import CameraName, Detections, Event

_LAST = 19
"""Nice value: whatever else this machine does goes first."""

_REMEMBERED = 200


class OutOfTime(Exception):
    """The time of the trial is over."""


class Remembering:
    """A detector that is asked once about crops that come again, as they do where settings agree.

    Attributes:
        asked: crops that it was asked about.
    """

    def __init__(self, detector: Detector) -> None:
        self.asked = 0
        self._detector = detector
        self._known: dict[bytes, Detections] = {}

    def infer(self, images: npt.NDArray[np.uint8]) -> list[Detections]:
        """As :meth:`Detector.infer`."""
        keys = [image.tobytes() for image in images]
        new = [i for i, key in enumerate(keys) if key not in self._known]
        if new:
            self.asked += len(new)
            self._known |= {keys[i]: found for i, found in zip(new, self._detector.infer(images[new]), strict=True)}
        answer = [self._known[key] for key in keys]
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return answer


class Comparison:
    """The job, stretch by stretch."""

    def __init__(self, job: dict[str, Any], detector: Detector) -> None:
        self._camera = CameraName(job["camera"])
        self._cameras = [_camera(settings) for settings in job["settings"]]
        self._config = Config.model_validate({**job["config"], "cameras": {self._camera: self._cameras[0]}})
        self._folder = Path(job["folder"])
        self._detector = detector
        self._until_s = time.monotonic() + job["budget_s"]

    def events(self, footage: Sequence[Footage]) -> list[list[Event]]:
        """What the old settings and the new make of a stretch.

        Raises:
            OutOfTime: before it was through.
        """
        return [self._events(f"{i}", camera, footage) for i, camera in enumerate(self._cameras)]

    def _events(self, which: str, camera: Camera, footage: Sequence[Footage]) -> list[Event]:
        found: dict[str, Event] = {}
        for report in analyze_footage(
            self._camera, footage, camera, self._config, self._detector, on_frame=lambda *_: self._check_time()
        ):
            event = report.event
            name = f"{which}-{event.id}.jpg"
            if report.snapshot_jpeg is not None:
                (self._folder / name).write_bytes(report.snapshot_jpeg)
            found[event.id] = replace(event, snapshot=name if (self._folder / name).exists() else None)
        return list(found.values())

    def _check_time(self) -> None:
        if time.monotonic() > self._until_s:
            raise OutOfTime


def _camera(settings: dict[str, Any]) -> Camera:
    return Settings.model_validate(settings).on(Camera(source=StreamUrl.parse("file:///footage")))


def run(job: dict[str, Any], say: Any) -> None:
    """Do the job; ``say`` is told what is written to standard output."""
    detection = Config.model_validate({**job["config"], "cameras": {job["camera"]: _camera(job["settings"][0])}}).detection
    backend = open_backend(detection.model, detection.backend, threads=1, min_score=detection.min_score)
    with backend:
        comparison = Comparison(job, Remembering(backend))
        for index, stretch in enumerate(job["stretches"]):
            try:
                events = comparison.events([Footage(Path(path), epoch_ns) for path, epoch_ns in stretch])
            except StreamError:  # rotation has deleted it meanwhile
                events = [[], []]
            say({"stretch": index, "events": [EVENTS.dump_python(of_one, mode="json") for of_one in events]})
    say({"state": "done"})


def main() -> None:
    """One job, from standard input."""
    os.nice(_LAST)
    answers = _reserved_output()
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()

    def say(what: dict[str, Any]) -> None:
        answers.write(json.dumps(what) + "\n")
        answers.flush()

    try:
        run(job, say)
    except OutOfTime:
        say({"state": "out of time"})
    except RaycctvError as error:
        say({"state": "failed", "error": redact(str(error))})


def _reserved_output() -> IO[str]:
    """Standard output for answers alone; what libraries print goes where errors go."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _end_with_input() -> None:
    while os.read(0, 4096):  # not by sys.stdin, whose lock the interpreter wants when it ends
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
