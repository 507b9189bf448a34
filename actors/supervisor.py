"""The wanted state of the cluster, and how what runs becomes it."""

import itertools
import logging
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from actors import names
from actors.console import Console
from actors.detector import Detector
from actors.logs import log_to_servers
from actors.options import options
from actors.reader import Reader
from actors.reconcile import detectors_wanted, gpu_share, readers_wanted, reconcile, shared_out
from actors.sink import Sink
from actors.storage import Storage
from raycctv.config import Config, Notify, digest
from raycctv.errors import ClusterError
from raycctv.types import CameraName

log = logging.getLogger(__name__)

_CLASSES: dict[str, Any] = {"reader": Reader, "detector": Detector, "storage": Storage, "sink": Sink, "console": Console}

_ANSWER_S = 10.0
_STARTED_S = 1.0
_STOP_S = 30.0
_STOP_EACH_S = 2.0
"""What each camera may add: its recorder finishes a file, which is filed."""


@ray.remote
class Supervisor:
    """Starts what is wanted and missing, replaces what is wanted otherwise, stops what is not wanted.

    The configuration is an argument of its creation, so that Ray starts it with the same one when it dies; another
    configuration is another supervisor, which adopts what the last one started.
    """

    def __init__(self, config: Config, file: Path | None = None) -> None:
        log_to_servers("supervisor", None, config)
        self._config, self._file = config, file
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        cores, self._gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
        self._detectors = detectors_wanted(config.detection.actors, cores, self._gpus)
        self._lock = threading.Lock()
        self._started: dict[str, Any] = {}
        self._shares: dict[str, list[CameraName]] = {}
        self._apply()

    def digest(self) -> str:
        """Of the configuration that it holds."""
        return digest(self._config)

    def config(self) -> Config:
        """The configuration that it holds."""
        return self._config

    def ready(self, timeout_s: float) -> None:
        """Start what is missing, and return when all actors have started.

        Raises:
            RaycctvError: as the actor that could not start raised it (weights missing, folder not writable).
            ClusterError: some have not started in time; names them.
        """
        deadline_s = time.monotonic() + timeout_s
        self._apply()
        pending: dict[Any, str] = {self._handle(name).status.remote(): name for name in self._wanted()}
        while pending:
            answered, _ = ray.wait(list(pending), timeout=max(deadline_s - time.monotonic(), 0))
            if not answered:
                raise ClusterError(f"{', '.join(pending.values())} had not started after {timeout_s:g} s")
            ray.get(answered)
            for reference in answered:
                del pending[reference]

    def started(self) -> tuple[int, int]:
        """How many of the wanted actors answer within a second, and how many are wanted."""
        references: list[Any] = [self._handle(name).status.remote() for name in self._wanted()]
        answered, _ = ray.wait(references, num_returns=len(references), timeout=_STARTED_S)
        return len(answered), len(references)

    def status(self) -> dict[str, Any]:
        """Every actor's own status under its name; ``{"error": why}`` where it gives none."""
        answers: dict[str, dict[str, Any]] = {}
        pending: dict[str, Any] = {}
        for name in self._wanted():
            try:
                pending[name] = self._handle(name).status.remote()
            except ValueError:
                answers[name] = {"error": "does not run; `raycctv up` starts it again"}
        references: list[Any] = list(pending.values())
        if references:
            ray.wait(references, num_returns=len(references), timeout=_ANSWER_S)
        answers |= {name: _answer(reference) for name, reference in pending.items()}
        return {part: told for name in self._wanted() for part, told in self._told(name, answers[name]).items()}

    def tell(self, name: str) -> None:
        """Say again to a reader what it should read, or to the console what runs."""
        with self._lock:
            self._tell(name)

    def stop(self, keep_recording: bool = False) -> None:
        """End all actors: readers first, so that nothing new comes, then detectors, storage and the sink."""
        running = set(running_names())
        wanted = [name for name in reversed(self._wanted()) if name in running]
        for _, alike in itertools.groupby(wanted, key=names.kind_of):
            self._stop_all(list(alike), keep_recording)

    def _told(self, name: str, answer: dict[str, Any]) -> dict[str, Any]:
        """What an actor says, under its name; of a reader a part for each camera."""
        if names.kind_of(name) != "reader":
            return {name: answer}
        silent = answer if set(answer) == {"error"} else {"error": f"{name} does not read it yet"}
        return {names.reader(camera): answer.get(camera, silent) for camera in self._shares.get(name, ())}

    def _wanted(self) -> dict[str, str]:
        """Actor name: digest of what it is started with, in the order of starting."""
        config = self._config
        told = digest(config.model_copy(update={"cameras": {}}))
        shared = digest(_without_servers(config).model_copy(update={"cameras": {}}))
        logs = digest(config.logs) + ("" if config.loki is None else digest(config.loki))
        wanted = {names.SINK: told}
        if any(camera.recorded for camera in config.cameras.values()):
            wanted[names.STORAGE] = digest(_without_servers(config))
        wanted |= {names.detector(i): digest(config.detection) + logs for i in range(self._detectors)}
        wanted |= dict.fromkeys(self._shares, f"{shared}-{self._detectors}")  # a reader knows its detectors from its start on
        if config.console is not None:
            wanted[names.CONSOLE] = f"{digest(config.console)}-{config.recording.root}-{logs}-{self._file}"
        return wanted

    def _apply(self) -> None:
        with self._lock:
            self._share_out()
            wanted = self._wanted()
            actions = reconcile(wanted, _said("digest"))
            for name in actions.stop:
                log.info("stopping %s", name)
                self._stop_all([name], keep_recording=name in wanted)
            for name in actions.start:
                log.info("starting %s", name)
                self._start_one(name, wanted[name])
            for name in wanted:
                self._tell(name)

    def _share_out(self) -> None:
        cameras = list(self._config.cameras)
        current = {camera: name for name, reads in _said("cameras", "reader").items() for camera in reads or ()}
        cores = ray.cluster_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
        self._shares = shared_out(cameras, readers_wanted(len(cameras), self._config.cameras_per_reader, cores), current)

    def _tell(self, name: str) -> None:
        if name in self._shares:
            self._handle(name).read.remote({camera: self._config.cameras[camera] for camera in self._shares[name]})
        elif name == names.CONSOLE:
            self._handle(name).tell.remote(self._config)

    def _start_one(self, name: str, its_digest: str) -> None:
        config = self._config
        kind = names.kind_of(name)
        if name == names.SINK:
            self._create("sink", name, config, its_digest)
        elif name == names.STORAGE:
            self._create("storage", name, config, self._handle(names.SINK), its_digest)
        elif name == names.CONSOLE:
            self._create(kind, name, config, self._file, its_digest)
        elif kind == "detector":
            self._create(kind, name, name, config, self._handle(names.SINK), its_digest)
        else:
            detectors = [self._handle(names.detector(i)) for i in range(self._detectors)]
            shared = config.model_copy(update={"cameras": {}})
            self._create(kind, name, name, shared, detectors, self._handle(names.SINK), its_digest)

    def _create(self, kind: str, name: str, *arguments: Any) -> None:
        gpus = gpu_share(self._detectors, self._gpus) if kind == "detector" else 0.0
        self._started[name] = _CLASSES[kind].options(**options(kind, name, gpus)).remote(*arguments)

    def _handle(self, name: str) -> Any:
        """The actor of that name. One that failed to start has a handle, which says why, but its name is already gone.

        Raises:
            ValueError: an earlier life of this supervisor started it, and it has died.
        """
        return self._started.get(name) or handle(name)

    def _stop_all(self, actors: list[str], keep_recording: bool) -> None:
        """End actors of one kind, all at once."""
        handles = {name: handle(name) for name in actors}
        records = names.STORAGE in actors
        timeout_s = _STOP_S + _STOP_EACH_S * len(self._config.cameras) if records else _ANSWER_S
        arguments = [keep_recording] if records else []
        asked = {name: handle.stop.remote(*arguments) for name, handle in handles.items()}
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=timeout_s)
        for name, reference in asked.items():
            try:
                ray.get(reference, timeout=0)
            except (RayError, TimeoutError) as error:
                log.warning("%s did not stop by itself and is killed: %s", name, error)
            ray.kill(handles[name])


def _without_servers(config: Config) -> Config:
    """A configuration without what only the sink cares for."""
    return config.model_copy(update={"elasticsearch": None, "notify": Notify()})


def running_names() -> list[str]:
    """Of all our actors but the supervisor."""
    every = [
        entry["name"] for entry in ray.util.list_named_actors(all_namespaces=True) if entry["namespace"] == names.NAMESPACE
    ]
    return [name for name in every if name != names.SUPERVISOR]


def handle(name: str) -> Any:
    """The actor of that name.

    Raises:
        ValueError: there is none.
    """
    return ray.get_actor(name, namespace=names.NAMESPACE)


def _said(method: str, kind: str | None = None) -> dict[str, Any]:
    """What each running actor, or each of a kind, answers to ``method``; None of one that does not say."""
    asked: dict[str, Any] = {}
    for name in running_names():
        if kind in (None, names.kind_of(name)):
            with suppress(ValueError):  # gone meanwhile
                asked[name] = getattr(handle(name), method).remote()
    if asked:
        ray.wait(list(asked.values()), num_returns=len(asked), timeout=_ANSWER_S)
    return {name: _answered(name, reference) for name, reference in asked.items()}


def _answered(name: str, reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=0)
    except (RayError, TimeoutError) as error:
        log.warning("%s does not say what it runs, and is left as it is: %s", name, error)
        return None


def _answer(reference: Any) -> dict[str, Any]:
    try:
        return dict(ray.get(reference, timeout=0))
    except (RayError, TimeoutError) as error:
        return {"error": str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__}
