"""What the System page shows, of what the actors say, the catalog and the disk."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from raycctv.clock import NS_PER_S, iso
from raycctv.console.accounts import Account
from raycctv.console.service import Service
from raycctv.console.states import parts_of
from raycctv.search import of_kind
from raycctv.types import NO_CAMERA, Event, Value

_RATE_NS = 3600 * NS_PER_S
"""Time over which the rate of recording is taken: an hour of 32 cameras is read in milliseconds."""

_DAY_S = 86400
_HEALTH = 20


class Node(BaseModel):
    """A machine of the cluster."""

    name: str
    address: str
    alive: bool
    cpus: float
    gpus: float
    memory_bytes: float


class Actor(BaseModel):
    """What an actor says of itself in a line."""

    name: str
    alive: bool
    pid: int | None
    summary: dict[str, float | int | str]
    error: str | None


class Detector(BaseModel):
    """A network that all cameras share.

    Attributes:
        load: share of the time between the last two looks in which it computed; None at the first.
    """

    name: str
    model: str
    backend: str
    device: str
    load: float | None
    crops: int


class Disk(BaseModel):
    """A disk with footage.

    Attributes:
        name: of the storage actor that keeps it.
        footage_bytes: None, as all that follows from the catalog, where other machines have disks too: theirs are not at hand.
        bytes_per_day: as in the last hour.
        days_left: until rotation must delete footage before its age, at that rate; None where nothing is written.
        oldest_at: when the oldest footage began.
    """

    name: str
    root: str
    free_bytes: int
    disk_bytes: int
    footage_bytes: int | None = None
    bytes_per_day: float | None = None
    min_free_bytes: int
    days_left: float | None = None
    oldest_at: str | None = None


class Server(BaseModel):
    """A server that events or logs go to."""

    name: str
    owed: int
    delivered: int
    refused: int
    last_error: str | None


class HealthEvent(BaseModel):
    """Something that is or was not well. ``camera`` is ``*`` where it concerns none."""

    id: str
    camera: str
    kind: str
    started_at: str
    ended_at: str | None
    why: str


class System(BaseModel):
    """All of it. ``dropped`` counts crops that were not asked about, by reason, since the readers started."""

    nodes: list[Node]
    actors: list[Actor]
    detectors: list[Detector]
    disks: list[Disk]
    servers: list[Server]
    dropped: dict[str, int]
    health: list[HealthEvent]
    errors: dict[str, str]


class DetectorLoads:
    """How busy detectors are, from what they have counted at two moments. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[float, Mapping[str, Any]] | None = None
        self._detectors: list[Detector] = []

    def of(self, status: Mapping[str, Any], now_s: float) -> list[Detector]:
        """Since the last look, if that was at another answer."""
        with self._lock:
            if self._last is None or self._last[1] is not status:
                before_s, before = self._last or (now_s, {})
                self._detectors = [
                    _detector(name, told, before.get(name, {}), now_s - before_s)
                    for name, told in status.items()
                    if name.startswith("detector:") and "busy_s" in told
                ]
                self._last = now_s, status
            return self._detectors


@contextmanager
def watched(parts: Service) -> Iterator[None]:
    """Loads are remembered while the console runs."""
    parts.parts[DetectorLoads] = DetectorLoads()
    yield


def system_of(parts: Service, account: Account) -> System:
    """How the cluster is, with the cameras that the account sees.

    Raises:
        ClusterError: the cluster does not answer.
    """
    status = parts.status()
    seen = {name: told for name, told in status.items() if _seen(name, account)}
    return System(
        nodes=[Node(**node) for node in parts.cluster.nodes()],
        actors=[_actor(name, told) for name, told in seen.items()],
        detectors=parts.part(DetectorLoads).of(status, parts.clock.monotonic_s()),
        disks=_disks(parts, parts_of(status, "storage")),
        servers=[
            _server(name, told) for sink in parts_of(status, "sink").values() for name, told in sink.get("servers", {}).items()
        ],
        dropped=_dropped(seen),
        health=_health(parts, account),
        errors=_errors(status) if account.cameras is None else {},
    )


def _seen(name: str, account: Account) -> bool:
    kind, _, camera = name.partition(":")
    return kind != "reader" or account.sees(camera)


def _actor(name: str, told: Mapping[str, Any]) -> Actor:
    summary = {
        key: value for key, value in told.items() if isinstance(value, int | float | str) and key not in ("pid", "error")
    }
    return Actor(name=name, alive=set(told) != {"error"}, pid=told.get("pid"), summary=summary, error=told.get("error") or None)


def _detector(name: str, told: Mapping[str, Any], before: Mapping[str, Any], passed_s: float) -> Detector:
    same = before.get("pid") == told.get("pid") and passed_s > 0
    load = min((told["busy_s"] - before["busy_s"]) / passed_s, 1.0) if same else None
    return Detector(name=name, load=load, crops=told["images"], **{key: told[key] for key in ("model", "backend", "device")})


def _errors(status: Mapping[str, Any]) -> dict[str, str]:
    return {what: words for part in parts_of(status, "storage").values() for what, words in part.get("errors", {}).items()}


def _disks(parts: Service, storages: Mapping[str, Mapping[str, Any]]) -> list[Disk]:
    known = {name: told for name, told in storages.items() if "free_bytes" in told}
    return [_disk(parts, name, told, alone=len(storages) == 1) for name, told in known.items()]


def _disk(parts: Service, name: str, told: Mapping[str, Any], *, alone: bool) -> Disk:
    keep = parts.config.recording.keep
    disk = Disk(
        name=name, root=told["root"], free_bytes=told["free_bytes"], disk_bytes=told["disk_bytes"],
        min_free_bytes=keep.min_free.of(told["disk_bytes"]),
    )  # fmt: skip
    if not alone:
        return disk
    footage_bytes, per_day, oldest_ns = sum(parts.catalog.sizes().values()), _bytes_per_day(parts), _oldest_ns(parts)
    room_bytes = disk.free_bytes - disk.min_free_bytes
    if keep.max_size is not None:
        room_bytes = min(room_bytes, keep.max_size - footage_bytes)
    return disk.model_copy(update={
        "footage_bytes": footage_bytes, "bytes_per_day": per_day, "oldest_at": None if oldest_ns is None else iso(oldest_ns),
        "days_left": max(room_bytes, 0) / per_day if per_day else None,
    })  # fmt: skip


def _bytes_per_day(parts: Service) -> float:
    now_ns = parts.clock.now_ns()
    recent = parts.catalog.segments(from_ns=now_ns - _RATE_NS)
    if not recent:
        return 0.0
    span_ns = min(now_ns - recent[0].started_at_ns, _RATE_NS + recent[0].duration_ns)
    return sum(segment.size_bytes for segment in recent) / max(span_ns, NS_PER_S) * _DAY_S * NS_PER_S


def _oldest_ns(parts: Service) -> int | None:
    cameras = parts.catalog.sizes()
    first = (next(parts.catalog.oldest(camera, value), None) for camera in cameras for value in Value)
    return min((segment.started_at_ns for segment in first if segment is not None), default=None)


def _server(name: str, told: Mapping[str, Any]) -> Server:
    owed, delivered = told.get("owed", told.get("queued", 0)), told.get("delivered", told.get("sent", 0))
    return Server(
        name=name, owed=owed, delivered=delivered, refused=told.get("refused", 0), last_error=told.get("last_error")
    )  # fmt: skip


def _dropped(status: Mapping[str, Any]) -> dict[str, int]:
    total: dict[str, int] = {}
    for told in status.values():
        for reason, count in (told.get("dropped") or {}).items() if isinstance(told.get("dropped"), dict) else ():
            total[reason] = total.get(reason, 0) + count
    return total


def _health(parts: Service, account: Account) -> list[HealthEvent]:
    newest = parts.catalog.events(search=of_kind("health"), limit=_HEALTH * 5)
    seen = [event for event in newest if event.camera == NO_CAMERA or account.sees(event.camera)]
    return [_told(event) for event in seen[:_HEALTH]]


def _told(event: Event) -> HealthEvent:
    return HealthEvent(
        id=event.id, camera=event.camera, kind=event.kind, started_at=iso(event.started_at_ns), why=event.why,
        ended_at=None if event.ended_at_ns is None else iso(event.ended_at_ns),
    )  # fmt: skip
