"""From a configuration and the nodes there are to every actor that should run, where, and with what. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from actors import names
from actors.placement import Node, spread, storage_nodes
from actors.reconcile import detectors_wanted, gpu_share, readers_wanted, shared_out
from raycctv.config import Camera, Config, Notify, digest
from raycctv.types import CameraName

_DETECTOR_CPUS = 0.5
"""What a detector reserves of the CPUs, as far as its node has so many for each; the jobs of others see that it is busy."""

NO_STORAGE = "waits: no node with the resource `storage` is alive"


@dataclass(frozen=True)
class Before:
    """How things are.

    Attributes:
        nodes: names of nodes of the last plan; a node that is not among them has come, and load is balanced anew.
        storage_nodes: names of all nodes that have ever kept footage.
        readers: camera: actor that reads it.
        located: actor: name of the node that it runs on.
        keepers: camera: storage actors that should record it, the first of them first.
        held: storage actor: cameras that it was told to record.
        recording: camera: storage actors that say that its footage comes.
    """

    nodes: Collection[str] | None = None
    storage_nodes: Collection[str] = ()
    readers: Mapping[CameraName, str] = field(default_factory=dict)
    located: Mapping[str, str] = field(default_factory=dict)
    keepers: Mapping[CameraName, Sequence[str]] = field(default_factory=dict)
    held: Mapping[str, Collection[CameraName]] = field(default_factory=dict)
    recording: Mapping[CameraName, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Placed:
    """An actor that should run.

    Attributes:
        digest: of what it is started with, apart from where.
        cpus, gpus: what it reserves of them.
    """

    node: Node
    digest: str
    cpus: float = 0.0
    gpus: float = 0.0

    @property
    def identity(self) -> str:
        """Another one where it must be replaced."""
        return f"{self.digest}@{self.node.id}"


@dataclass(frozen=True)
class Plan:
    """What should be.

    Attributes:
        actors: by name, in the order of starting.
        reads: reader: its cameras.
        keepers: camera: storage actors that should record it; the first one relays it, and its sink tells servers.
        records: storage actor: cameras that it records now: those that it should, and those that it hands over until all who
            should record them do.
        sinks: camera: sinks that are told its events, the first of them first.
        asks: reader: detectors that it asks.
        waits: name of an actor, or ``reader:CAMERA``: why it does not run.
        lacks: camera: why fewer storage actors record it than should.
    """

    actors: dict[str, Placed]
    reads: dict[str, list[CameraName]]
    keepers: dict[CameraName, list[str]]
    records: dict[str, list[CameraName]]
    sinks: dict[CameraName, list[str]]
    asks: dict[str, list[str]]
    waits: dict[str, str]
    lacks: dict[CameraName, str]

    @property
    def hands_over(self) -> bool:
        """Whether a camera is still recorded by somebody who should not for long."""
        return any(storage not in self.keepers[camera] for storage, own in self.records.items() for camera in own)

    def wanted(self) -> dict[str, str]:
        """Actor: identity, in the order of starting."""
        return {name: placed.identity for name, placed in self.actors.items()}


def plan(config: Config, nodes: Sequence[Node], before: Before) -> Plan:
    """What should run on these nodes. What can stay as it is stays; see :func:`actors.placement.spread`."""
    return _Planning(config, nodes, before).plan()


class _Planning:
    def __init__(self, config: Config, nodes: Sequence[Node], before: Before) -> None:
        self._config = config
        self._nodes = {node.name: node for node in nodes}
        self._before = before
        self._balance = before.nodes is not None and not set(self._nodes) <= set(before.nodes)
        self._waits: dict[str, str] = {}
        self._lacks: dict[CameraName, str] = {}
        keeping = storage_nodes(nodes, before.storage_nodes)
        alone = not any(node.storage for node in keeping)
        self._storages = {names.storage(None if alone else node.name): node for node in keeping}
        self._sinks = {name: names.sink(None if alone else node.name) for name, node in self._storages.items()}
        self._cores = sum(node.cpus for node in nodes)
        self._gpus = sum(node.gpus for node in nodes)

    def plan(self) -> Plan:
        keepers = self._keepers()
        reads, located = self._readers()
        detectors = self._detectors()
        actors = self._backstage(bool(keepers)) | detectors
        shared = digest(_without_servers(_settings(self._config)))
        actors |= {reader: Placed(located[reader], shared) for reader in reads}
        actors |= self._console()
        return Plan(
            actors=actors,
            reads=reads,
            keepers=keepers,
            records=self._records(keepers),
            sinks={camera: self._sinks_of(camera, keepers) for camera in self._config.cameras},
            asks={reader: _beside(located[reader], detectors) for reader in reads},
            waits=self._waits,
            lacks=self._lacks,
        )

    def _backstage(self, footage: bool) -> dict[str, Placed]:
        """Sinks, and storage where anything is recorded."""
        config = self._config
        told, kept = digest(_settings(config)), digest(_without_servers(_settings(config)))
        actors = {self._sinks[name]: Placed(node, told) for name, node in self._storages.items()}
        if footage:
            actors |= {name: Placed(node, kept) for name, node in self._storages.items()}
        if not self._storages:
            self._waits |= dict.fromkeys((names.SINK, names.STORAGE) if footage else (names.SINK,), NO_STORAGE)
        return actors

    def _console(self) -> dict[str, Placed]:
        """Beside footage: it shows that of the node that it runs on."""
        config, here = self._config, self._before.located.get(names.CONSOLE)
        nodes = list(self._storages.values()) or list(self._nodes.values())
        if config.console is None or not nodes:
            return {}
        node = next((node for node in nodes if node.name == here), nodes[0])
        return {names.CONSOLE: Placed(node, f"{digest(config.console)}-{config.recording.root}-{self._logs()}")}

    def _logs(self) -> str:
        return digest(self._config.logs) + ("" if self._config.loki is None else digest(self._config.loki))

    def _keepers(self) -> dict[CameraName, list[str]]:
        """Who should record each camera; as many as there should be, or as there are."""
        cameras = {name: camera for name, camera in self._config.cameras.items() if on_disk(camera)}
        keepers: dict[CameraName, list[str]] = {name: [] for name in cameras}
        alive = {name: [s for s in self._before.keepers.get(name, ()) if s in self._storages] for name in cameras}
        weights = {name: node.storage or 1.0 for name, node in self._storages.items()}
        for turn in range(max(map(self._replicas, cameras.values()), default=0)):
            current = {name: own[turn] for name, own in alive.items() if len(own) > turn}
            wanted = [name for name, camera in cameras.items() if self._replicas(camera) > turn]
            found = spread(
                wanted, weights, current, lambda name: self._may_keep(name, keepers[name], alive[name]), balance=self._balance
            )
            for name in wanted:
                if name in found:
                    keepers[name].append(found[name])
                elif turn:
                    replicas = self._replicas(cameras[name])
                    self._lacks.setdefault(name, f"waits: recorded by {turn} of {replicas} storage nodes; no other is alive")
        return keepers

    def _replicas(self, camera: Camera) -> int:
        return camera.replicas or self._config.recording.replicas

    def _may_keep(self, name: CameraName, taken: Sequence[str], alive: Sequence[str]) -> Collection[str]:
        """A pinned camera is recorded where it is read, if it can be; one that is relayed moves only when it must."""
        camera = self._config.cameras[name]
        free = [storage for storage in self._storages if storage not in taken]
        if camera.pull is not None and alive and not taken:
            return [alive[0]]
        pinned = [storage for storage in free if camera.node and self._storages[storage].fits(camera.node)]
        return pinned if pinned and not taken else free

    def _records(self, keepers: Mapping[CameraName, Sequence[str]]) -> dict[str, list[CameraName]]:
        records: dict[str, list[CameraName]] = {}
        for storage in self._storages if keepers else ():
            held = self._before.held.get(storage, ())
            records[storage] = [
                camera
                for camera, own in keepers.items()
                if storage in own or (camera in held and not set(own) <= set(self._before.recording.get(camera, ())))
            ]
        return records

    def _sinks_of(self, camera: CameraName, keepers: Mapping[CameraName, Sequence[str]]) -> list[str]:
        if keepers.get(camera):
            return [self._sinks[storage] for storage in keepers[camera]]
        sinks = list(self._sinks.values())
        return [sinks[crc32(camera.encode()) % len(sinks)]] if sinks else []

    def _readers(self) -> tuple[dict[str, list[CameraName]], dict[str, Node]]:
        """Cameras by reader, and where each runs."""
        at = self._cameras_at()
        reads: dict[str, list[CameraName]] = {}
        located: dict[str, Node] = {}
        for name, node in self._nodes.items():
            own = [camera for camera in self._config.cameras if at.get(camera) == name]
            current = {camera: self._before.readers[camera] for camera in own if camera in self._before.readers}
            apart = any(reader == names.reader(camera) for camera, reader in current.items())
            count = readers_wanted(len(own), self._config.cameras_per_reader, node.cpus, apart=apart)
            shares = shared_out(own, count, current, "" if node.head else name)
            reads |= {reader: cameras for reader, cameras in shares.items() if cameras}
            located |= dict.fromkeys(shares, node)
        return reads, located

    def _cameras_at(self) -> dict[CameraName, str]:
        """The node that each camera is read on."""
        located = self._before.located
        current = {camera: located[reader] for camera, reader in self._before.readers.items() if reader in located}
        at = spread(
            self._config.cameras, self._weights("cpus"), current, lambda name: self._pinned(name), balance=self._balance
        )
        for name in self._config.cameras.keys() - at.keys():
            wanted = self._config.cameras[name].node
            self._waits[names.reader(name)] = (
                f"waits: no node that is alive fits node: {wanted}" if wanted else "waits: no node"
            )
        return at

    def _pinned(self, name: CameraName) -> list[str] | None:
        wanted = self._config.cameras[name].node
        return None if wanted is None else [node.name for node in self._nodes.values() if node.fits(wanted)]

    def _detectors(self) -> dict[str, Placed]:
        """On the nodes with GPUs where there are any, else beside the readers."""
        count = detectors_wanted(self._config.detection.actors, self._cores, self._gpus)
        weights = self._weights("gpus" if self._gpus >= 1 else "cpus")
        at = spread(map(names.detector, range(count)), weights, self._before.located, balance=self._balance)
        on_node = Counter(at.values())
        found = {}
        for name, place in at.items():
            node = self._nodes[place]
            cpus, gpus = min(_DETECTOR_CPUS, node.cpus / on_node[place]), gpu_share(on_node[place], node.gpus)
            found[name] = Placed(node, f"{digest(self._config.detection)}{self._logs()}-{gpus:.3g}", cpus, gpus)
        return found

    def _weights(self, resource: str) -> dict[str, float]:
        """By node; nodes that have none of it take part where no node has any."""
        weights = {name: float(getattr(node, resource)) for name, node in self._nodes.items()}
        return weights if any(weights.values()) else dict.fromkeys(weights, 1.0)


def on_disk(camera: Camera) -> bool:
    """Whether storage has anything to do with it: it is recorded, or relayed."""
    return camera.recorded or camera.pull is not None


def _beside(node: Node, detectors: Mapping[str, Placed]) -> list[str]:
    """Detectors on the node, or all where there are none."""
    return [name for name, placed in detectors.items() if placed.node.id == node.id] or list(detectors)


def _settings(config: Config) -> Config:
    """A configuration without what only a plan and the console depend on."""
    recording = config.recording.model_copy(update={"replicas": 1})
    return config.model_copy(update={"cameras": {}, "cameras_per_reader": None, "recording": recording, "console": None})


def _without_servers(config: Config) -> Config:
    """A configuration without what only the sink cares for."""
    return config.model_copy(update={"elasticsearch": None, "notify": Notify()})
