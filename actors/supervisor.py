"""The wanted state of the cluster, and how what runs becomes it."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from actors import names, nodes, wanted
from actors.fleet import Fleet, Running
from actors.logs import log_to_servers
from actors.plan import Before, Plan, plan
from actors.reconcile import changes
from actors.unwrapping import last_line
from actors.wanted import Wanted
from raycctv.config import Config
from raycctv.errors import ClusterError
from raycctv.sealing import Sealed
from raycctv.types import CameraName

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_ANSWER_S = 10.0
_STARTED_S = 1.0


@ray.remote
class Supervisor:
    """Starts what is wanted and missing, replaces what is wanted otherwise, stops what is not wanted.

    It is told what is wanted by :meth:`apply`, and keeps that in the cluster's store, where its next life finds it. Once a
    second it looks which nodes and actors there are: what died with its node starts on another one. It adopts what runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._fleet = Fleet()
        self._plan: Plan | None = None
        self._nodes: set[str] | None = None
        self._error = ""
        self._wanted = wanted.remembered()
        if self._wanted is not None:
            _log(self._wanted.config)
        threading.Thread(target=self._run, name="look", daemon=True).start()

    def apply(self, sealed: Sealed[Config], file: Path | None = None) -> dict[str, list[str]]:
        """Make the cluster run this, and remember it; returns the names of cameras ``added``, ``changed`` and ``removed``.

        Args:
            file: that it was read from; None leaves it as it was.
        """
        with self._lock:
            before, config = self._wanted, sealed.open()
            self._wanted = Wanted(config, before.file if file is None and before is not None else file)
            wanted.remember(self._wanted)
            _log(config)
            self._fleet.try_at_once()
            self._look()
            return changes({} if before is None else before.config.cameras, config.cameras)

    def config(self) -> Sealed[Config]:
        """What it was told last.

        Raises:
            ClusterError: nothing yet.
        """
        if self._wanted is None:
            raise ClusterError("nothing is wanted of this cluster yet; `raycctv up CONFIG` says what")
        return Sealed.of(self._wanted.config)

    def ready(self, timeout_s: float) -> None:
        """Return when all actors that can have started and know what to do; :meth:`status` says who waits for a node.

        Raises:
            RaycctvError: as the actor that could not start raised it (weights missing, folder not writable).
            ClusterError: some have not started in time; names them.
        """
        deadline_s = time.monotonic() + timeout_s
        pending: dict[Any, str] = {self._fleet.handle(name).status.remote(): name for name in self._names()}
        for waiting in (pending, self._fleet.telling()):
            while waiting:
                answered, _ = ray.wait(list(waiting), timeout=max(deadline_s - time.monotonic(), 0))
                if not answered:
                    raise ClusterError(f"{', '.join(waiting.values())} had not started after {timeout_s:g} s")
                ray.get(answered)
                for reference in answered:
                    del waiting[reference]

    def started(self) -> tuple[int, int]:
        """How many of the wanted actors answer within a second, and how many are wanted."""
        references: list[Any] = [self._fleet.handle(name).status.remote() for name in self._names()]
        answered, _ = ray.wait(references, num_returns=len(references), timeout=_STARTED_S)
        return len(answered), len(references)

    def status(self) -> dict[str, Any]:
        """Every actor's own status under its name, and the ``node`` that it runs on; ``{"error": why}`` where it gives none."""
        planned = self._plan
        if planned is None:
            return {}
        pending: dict[str, Any] = {}
        answers: dict[str, dict[str, Any]] = {}
        for name in planned.actors:
            try:
                pending[name] = self._fleet.handle(name).status.remote()
            except ValueError:
                answers[name] = {"error": "does not run; it is started again"}
        if pending:
            ray.wait(list(pending.values()), num_returns=len(pending), timeout=_ANSWER_S)
        answers |= {name: _answer(reference) for name, reference in pending.items()}
        return _parts(planned, answers)

    def tell(self, name: str) -> None:
        """Say again to an actor what it should do."""
        with self._lock:
            if self._plan is not None and self._wanted is not None and name in self._plan.actors:
                self._fleet.tell(name, self._plan, self._wanted.config)

    def stop(self, keep_recording: bool = False) -> None:
        """End all actors: readers first, so that nothing new comes, then detectors, storage and sinks."""
        self._stopped.set()
        with self._lock:
            wanted.forget()
            running = list(self._fleet.observe())
            cameras = len(self._wanted.config.cameras) if self._wanted is not None else 0
            self._fleet.stop(running, cameras, keep_recording=running if keep_recording else ())

    def _names(self) -> list[str]:
        return [] if self._plan is None else list(self._plan.actors)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._lock:
                    if not self._stopped.is_set():
                        self._look()
                self._error = ""
            except Exception as error:  # Ray's head may be away; what runs goes on meanwhile
                if str(error) != self._error:
                    log.exception("the cluster could not be looked at; going on")
                self._error = str(error)
            self._stopped.wait(_LOOK_S)

    def _look(self) -> None:
        """Compare what is wanted with what runs, and make it so."""
        if self._wanted is None:
            return
        alive = nodes.alive()
        known = self._storage_nodes({node.name for node in alive if node.storage > 0})
        running = self._fleet.observe()
        before = self._before(running, {node.id: node.name for node in alive}, known)
        self._plan = plan(self._wanted.config, alive, before)
        self._nodes = {node.name for node in alive}
        self._fleet.carry_out(self._plan, *self._wanted, running)

    def _storage_nodes(self, now: set[str]) -> set[str]:
        known = wanted.storage_nodes()
        if not now <= known:
            wanted.remember_storage_nodes(known | now)
        return known | now

    def _before(self, running: Mapping[str, Running], alive: Mapping[str, str], storage_nodes: set[str]) -> Before:
        """As it was planned, or where nothing was, as what runs says."""
        planned = self._plan
        reads: Mapping[str, Sequence[CameraName]]
        held: Mapping[str, Sequence[CameraName]]
        if planned is None:
            located = {
                name: alive[actor.node_id] for name, actor in running.items() if actor.node_id and actor.node_id in alive
            }
            reads = {name: actor.cameras for name, actor in running.items() if names.kind_of(name) == "reader"}
            held = {name: actor.cameras for name, actor in running.items() if names.kind_of(name) == "storage"}
            keepers = _turned(held)
        else:
            located = {name: alive[placed.node.id] for name, placed in planned.actors.items() if placed.node.id in alive}
            reads, held, keepers = planned.reads, planned.records, planned.keepers
        return Before(
            nodes=self._nodes,
            storage_nodes=storage_nodes,
            readers={camera: own[0] for camera, own in _turned(reads).items()},
            located=located,
            keepers=keepers,
            held=held,
            recording=self._fleet.recording(held) if planned is not None and planned.hands_over else {},
        )


def _log(config: Config) -> None:
    """As the configuration says on the node that this runs on."""
    here = ray.get_runtime_context().get_node_id()
    name = next((node.name for node in nodes.alive() if node.id == here), "")
    log_to_servers("supervisor", None, config.on(name))


def _turned(cameras: Mapping[str, Sequence[CameraName]]) -> dict[CameraName, list[str]]:
    """Actors by camera, of cameras by actor."""
    found: dict[CameraName, list[str]] = defaultdict(list)
    for name, own in cameras.items():
        for camera in own:
            found[camera].append(name)
    return found


def _parts(planned: Plan, answers: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """What each actor says, under its name; of a reader a part for each camera; and why something waits."""
    parts: dict[str, Any] = {}
    for name, answer in answers.items():
        where = {} if set(answer) == {"error"} else {"node": planned.actors[name].node.name}
        if names.kind_of(name) != "reader":
            parts[name] = {**answer, **where}
            continue
        silent = answer if set(answer) == {"error"} else {"error": f"{name} does not read it yet"}
        for camera in planned.reads.get(name, ()):
            told = answer.get(camera, silent)
            parts[names.reader(camera)] = {**told, **where} if told is not silent else silent
    parts |= {name: {"error": why} for name, why in planned.waits.items()}
    for name, why in planned.lacks.items():
        recorder = parts.get(planned.keepers[name][0], {}).get("recorders", {}).get(name)
        if recorder is not None:
            recorder["waits"] = why
    return parts


def _answer(reference: Any) -> dict[str, Any]:
    try:
        return dict(ray.get(reference, timeout=0))
    except (RayError, TimeoutError) as error:
        return {"error": last_line(error)}
