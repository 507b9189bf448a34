"""The actors of the cluster as they are, and what makes of them what a plan wants."""

import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._private.state import actors as actor_table  # Ray's public listing asks the dashboard, which need not run
from ray.exceptions import RayError

from actors import names, nodes
from actors.console import Console
from actors.detector import Detector
from actors.options import options
from actors.plan import Placed, Plan
from actors.reader import Reader
from actors.reconcile import reconcile
from actors.sink import Sink
from actors.storage import Storage
from actors.unwrapping import last_line
from raycctv.backoff import Backoff
from raycctv.config import Camera, CameraRetention, Config, digest
from raycctv.sealing import Sealed
from raycctv.types import CameraName

log = logging.getLogger(__name__)

_CLASSES: dict[str, Any] = {"reader": Reader, "detector": Detector, "storage": Storage, "sink": Sink, "console": Console}

_STATES = ("ALIVE", "RESTARTING", "PENDING_CREATION", "DEPENDENCIES_UNREADY")

_ANSWER_S = 10.0
_RECORDING_S = 1.0
_STOP_S = 30.0
_STOP_EACH_S = 2.0
"""What each camera may add: its recorder finishes a file, which is filed."""

_AGAIN_S, _AGAIN_MOST_S = 1.0, 60.0
"""Waits before an actor that did not start, or died for good, is started again."""


@dataclass(frozen=True)
class Running:
    """An actor that Ray runs, starts or restarts.

    Attributes:
        node_id: where; None while it is not known.
        digest: of what it was started with; None where it has not said so.
        cameras: what it held when it was first seen.
    """

    id: str
    node_id: str | None
    digest: str | None
    cameras: tuple[CameraName, ...] = ()

    @property
    def identity(self) -> str | None:
        """As :attr:`actors.plan.Placed.identity`; None where it is not known."""
        return None if None in (self.digest, self.node_id) else f"{self.digest}@{self.node_id}"


class _Attempts:
    """When an actor may be started again."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._backoff = Backoff(_AGAIN_S, _AGAIN_MOST_S, settled_s=_AGAIN_MOST_S)
        self._began_s = self._next_s = -float("inf")

    def due(self) -> bool:
        return time.monotonic() >= self._next_s

    def began(self) -> None:
        now_s = time.monotonic()
        self._next_s = now_s + self._backoff.after(lasted_s=now_s - self._began_s)
        self._began_s = now_s


class Fleet:
    """Not thread-safe."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}
        self._said: dict[str, tuple[str, tuple[CameraName, ...]]] = {}
        self._placed: dict[str, str] = {}
        self._asked: dict[str, Any] = {}
        self._config: Config | None = None
        self._digests: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._telling: dict[str, Any] = {}
        self._attempts: dict[str, _Attempts] = {}

    def observe(self) -> dict[str, Running]:
        """All our actors but the supervisor. One that is new to us is asked what it is."""
        table = {actor: entry for state in _STATES for actor, entry in actor_table(actor_state_name=state).items()}
        found: dict[str, tuple[str, str | None]] = {}
        for name in running_names():
            actor = self._id_of(name, table)
            entry = table.get(actor) or (actor_table(actor_id=actor) if actor else {})  # it may change while we list
            if entry and entry["State"] != "DEAD":
                node = entry["Address"]["NodeID"] if entry["State"] == "ALIVE" else self._placed.get(actor)
                found[name] = actor, node
        self._ask(found)
        self._forget({actor for actor, _ in found.values()})
        return {name: Running(actor, node, *self._said.get(actor, (None, ()))) for name, (actor, node) in found.items()}

    def recording(self, storages: Iterable[str]) -> dict[CameraName, set[str]]:
        """Camera: those of these storage actors that say, within a second, that its footage comes."""
        asked = {name: self.handle(name).recording.remote() for name in storages if name in self._handles}
        answered: dict[CameraName, set[str]] = {}
        if asked:
            ray.wait(list(asked.values()), num_returns=len(asked), timeout=_RECORDING_S)
        for name, reference in asked.items():
            with suppress(RayError, TimeoutError):
                for camera in ray.get(reference, timeout=0):
                    answered.setdefault(camera, set()).add(name)
        return answered

    def carry_out(self, plan: Plan, config: Config, file: Path | None, running: Mapping[str, Running]) -> None:
        """Stop what should not run, start what should, and tell everybody what they have not been told.

        Args:
            file: that the configuration was read from.
        """
        wanted = plan.wanted()
        actions = reconcile(wanted, {name: actor.identity for name, actor in running.items()})
        for name in actions.stop:
            log.info("stopping %s", name)
        stays = [name for name in actions.stop if name in wanted and running[name].node_id == plan.actors[name].node.id]
        self.stop(actions.stop, len(config.cameras), keep_recording=stays)
        for name in actions.start:
            self._start(name, plan.actors[name], config, file)
        self._learn(config)
        self._check_told()
        for name in wanted:
            self._tell(name, plan, config)

    def tell(self, name: str, plan: Plan, config: Config) -> None:
        """Say again to a reader or to storage what it should do: it has forgotten."""
        self._told.pop(name, None)
        self._learn(config)
        self._tell(name, plan, config)

    def telling(self) -> dict[Any, str]:
        """Calls that tell an actor what to do and were not answered yet, with its name."""
        return {reference: name for name, reference in list(self._telling.items())}

    def try_at_once(self) -> None:
        """Forget what did not start before."""
        self._attempts.clear()

    def handle(self, name: str) -> Any:
        """The actor of that name. One that failed to start has a handle, which says why, but its name is already gone.

        Raises:
            ValueError: it does not run, and was not started here.
        """
        if name not in self._handles:
            self._handles[name] = handle(name)
        return self._handles[name]

    def stop(self, actors: Sequence[str], cameras: int, *, keep_recording: Iterable[str] = ()) -> None:
        """End actors: readers first, so that nothing new comes, then detectors, storage and sinks; those of a kind at once."""
        order = ("console", "reader", "detector", "storage", "sink")
        for kind, alike in itertools.groupby(sorted(actors, key=lambda name: order.index(names.kind_of(name))), names.kind_of):
            self._stop_all(kind, list(alike), cameras, set(keep_recording))

    def _id_of(self, name: str, table: Mapping[str, Any]) -> str:
        """The id of the actor that has the name now; empty where it has just gone."""
        known = self._handles.get(name)
        if known is None or known._actor_id.hex() not in table:
            try:
                known = handle(name)
            except ValueError:
                return ""
            self._handles[name] = known
        return str(known._actor_id.hex())

    def _ask(self, found: Mapping[str, tuple[str, str | None]]) -> None:
        """What those are that have not said it yet. Only who is asked for the first time is waited for."""
        new = []
        for name, (actor, _) in found.items():
            if actor not in self._said and actor not in self._asked:
                self._asked[actor] = self._handles[name].holds.remote()
                new.append(self._asked[actor])
        if new:
            ray.wait(new, num_returns=len(new), timeout=_ANSWER_S)
        for actor, reference in list(self._asked.items()):
            if ray.wait([reference], timeout=0)[0]:
                del self._asked[actor]
                with suppress(RayError):  # it is asked again
                    its_digest, cameras = ray.get(reference)
                    self._said[actor] = its_digest, tuple(cameras)

    def _forget(self, ids: set[str]) -> None:
        for known in (self._said, self._asked, self._placed):
            for gone in known.keys() - ids:
                del known[gone]

    def _start(self, name: str, placed: Placed, config: Config, file: Path | None) -> None:
        attempts = self._attempts.get(name)
        if attempts is None or attempts.identity != placed.identity:
            attempts = self._attempts[name] = _Attempts(placed.identity)
        if not attempts.due():
            return
        attempts.began()
        log.info("starting %s on %s", name, placed.node.name)
        kind = names.kind_of(name)
        own = config.on(placed.node.name)
        arguments = [Sealed.of(own), placed.digest, file] if kind == "console" else [Sealed.of(_settings(own)), placed.digest]
        chosen = options(kind, name, placed.cpus, placed.gpus)
        made = _CLASSES[kind].options(**chosen, scheduling_strategy=nodes.on(placed.node.id)).remote(name, *arguments)
        self._handles[name] = made
        self._said[made._actor_id.hex()] = placed.digest, ()
        self._placed[made._actor_id.hex()] = placed.node.id

    def _tell(self, name: str, plan: Plan, config: Config) -> None:
        """Only what it does not know; who has died and come again has another id, and what Ray starts anew asks."""
        kind = names.kind_of(name)
        if name not in self._handles:
            return
        if kind == "reader":
            self._tell_reader(name, plan, config)
        elif kind == "storage":
            self._tell_storage(name, plan, config)
        elif kind == "detector":
            self._tell_detector(name, plan)
        elif kind == "sink":
            self._tell_sink(name, plan)
        elif self._is_news(name, self._digests[""]):
            self._telling[name] = self._handles[name].tell.remote(Sealed.of(config.on(plan.actors[name].node.name)))

    def _tell_reader(self, name: str, plan: Plan, config: Config) -> None:
        cameras = {camera: config.cameras[camera] for camera in plan.reads[name]}
        detectors = [self._handles[asked] for asked in plan.asks[name] if asked in self._handles]
        sinks = {camera: [self._handles[sink] for sink in plan.sinks[camera] if sink in self._handles] for camera in cameras}
        others = itertools.chain(detectors, *sinks.values())
        if self._is_news(name, *self._of(cameras), *(other._actor_id.hex() for other in others)):
            self._telling[name] = self._handles[name].read.remote(Sealed.of(cameras), detectors, sinks)

    def _tell_storage(self, name: str, plan: Plan, config: Config) -> None:
        relays = {camera: plan.keepers[camera][0] == name for camera in plan.records.get(name, ())}
        keep = {camera: own.keep for camera, own in config.cameras.items() if own.keep != CameraRetention()}
        sink = self._handles.get(names.SINK + name.removeprefix(names.STORAGE))
        told = [sink._actor_id.hex()] if sink is not None else []
        if self._is_news(name, *told, *self._of(relays), *map(str, relays.values()), "keep", *self._of(keep)):
            cameras = {camera: _as_kept(config.cameras[camera], relayed) for camera, relayed in relays.items()}
            self._telling[name] = self._handles[name].record.remote(Sealed.of((cameras, keep)), sink)

    def _tell_detector(self, name: str, plan: Plan) -> None:
        sink = next((self._handles[other] for other in plan.actors if names.kind_of(other) == "sink"), None)
        if sink is not None and self._is_news(name, sink._actor_id.hex()):
            self._telling[name] = self._handles[name].report_to.remote(sink)

    def _tell_sink(self, name: str, plan: Plan) -> None:
        cameras = [camera for camera, sinks in plan.sinks.items() if name in sinks]
        if self._is_news(name, *cameras):
            self._telling[name] = self._handles[name].serve.remote(cameras)

    def _check_told(self) -> None:
        """Who died before it took in what it was told is told again."""
        for name, reference in list(self._telling.items()):
            if ray.wait([reference], timeout=0)[0]:
                del self._telling[name]
                try:
                    ray.get(reference)
                except RayError as error:
                    log.warning("%s was not reached and is told again: %s", name, last_line(error))
                    self._told.pop(name, None)

    def _learn(self, config: Config) -> None:
        """Digests once for each configuration, rather than at each look; that of all of it under no name."""
        if config is not self._config:
            self._config = config
            self._digests = {name: digest(camera) for name, camera in config.cameras.items()} | {"": digest(config)}

    def _of(self, cameras: Iterable[CameraName]) -> Iterator[str]:
        return (f"{camera}={self._digests[camera]}" for camera in cameras)

    def _is_news(self, name: str, *facts: str) -> bool:
        """Whether the actor that has the name now was not told just that."""
        news = " ".join((self._handles[name]._actor_id.hex(), *facts))
        if self._told.get(name) == news:
            return False
        self._told[name] = news
        return True

    def _stop_all(self, kind: str, actors: Sequence[str], cameras: int, keep_recording: set[str]) -> None:
        timeout_s = _STOP_S + _STOP_EACH_S * cameras if kind == "storage" else _ANSWER_S
        asked: dict[str, Any] = {}
        for name in actors:
            with suppress(ValueError):
                arguments = [name in keep_recording] if kind == "storage" else []
                asked[name] = self.handle(name).stop.remote(*arguments)
        if asked:
            ray.wait(list(asked.values()), num_returns=len(asked), timeout=timeout_s)
        for name, reference in asked.items():
            try:
                ray.get(reference, timeout=0)
            except (RayError, TimeoutError) as error:
                log.warning("%s did not stop by itself and is killed: %s", name, error)
            ray.kill(self._handles.pop(name))
            self._told.pop(name, None)


def _settings(config: Config) -> Config:
    """A configuration without its cameras: who needs to know of them is told."""
    return config.model_copy(update={"cameras": {}})


def _as_kept(camera: Camera, relayed: bool) -> Camera:
    """Only the first of those who should record it relays it; the others would be refused by the server."""
    return camera if relayed else camera.model_copy(update={"pull": None})


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
