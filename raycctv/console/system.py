"""What the System page shows, of what the actors say, the catalog and the disk."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from raycctv.clock import NS_PER_S, iso
from raycctv.console.accounts import Account
from raycctv.console.service import Service
from raycctv.types import NO_CAMERA, Event

_RATE_NS = 24 * 3600 * NS_PER_S
"""Time over which the rate of recording is taken."""

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


class Disk(BaseModel):
    """The disk of the footage. ``days_left`` is None where nothing is written, or where rotation will make room before."""

    root: str
    free_bytes: int
    disk_bytes: int
    footage_bytes: int
    bytes_per_day: float
    min_free_bytes: int
    days_left: float | None
    oldest_at: str | None


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
    disk: Disk | None
    servers: list[Server]
    dropped: dict[str, int]
    health: list[HealthEvent]
    errors: dict[str, str]


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
        disk=_disk(parts, status.get("storage", {})),
        servers=[_server(name, told) for name, told in status.get("sink", {}).get("servers", {}).items()],
        dropped=_dropped(seen),
        health=_health(parts, account),
        errors=dict(status.get("storage", {}).get("errors", {})) if account.cameras is None else {},
    )


def _seen(name: str, account: Account) -> bool:
    kind, _, camera = name.partition(":")
    return kind != "reader" or account.sees(camera)


def _actor(name: str, told: Mapping[str, Any]) -> Actor:
    summary = {
        key: value for key, value in told.items() if isinstance(value, int | float | str) and key not in ("pid", "error")
    }
    return Actor(name=name, alive=set(told) != {"error"}, pid=told.get("pid"), summary=summary, error=told.get("error") or None)


def _disk(parts: Service, storage: Mapping[str, Any]) -> Disk | None:
    if "free_bytes" not in storage:
        return None
    footage_bytes = sum(parts.catalog.sizes().values())
    per_day, oldest_ns = _rate(parts)
    min_free_bytes = parts.config.recording.keep.min_free.of(storage["disk_bytes"])
    room_bytes = max(storage["free_bytes"] - min_free_bytes, 0)
    return Disk(
        root=storage["root"], free_bytes=storage["free_bytes"], disk_bytes=storage["disk_bytes"], footage_bytes=footage_bytes,
        bytes_per_day=per_day, min_free_bytes=min_free_bytes, days_left=room_bytes / per_day if per_day else None,
        oldest_at=None if oldest_ns is None else iso(oldest_ns),
    )  # fmt: skip


def _rate(parts: Service) -> tuple[float, int | None]:
    """Bytes a day, over the last day or since the first footage of it; and when the oldest footage begins."""
    now_ns = parts.clock.now_ns()
    recent = parts.catalog.segments(from_ns=now_ns - _RATE_NS)
    oldest_ns = min((segment.started_at_ns for segment in recent), default=None)
    if oldest_ns is None or now_ns <= oldest_ns:
        return 0.0, oldest_ns
    span_s = (now_ns - oldest_ns) / NS_PER_S
    return sum(segment.size_bytes for segment in recent) / span_s * _DAY_S, oldest_ns


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
    from raycctv.search import of_kind

    newest = parts.catalog.events(search=of_kind("health"), limit=_HEALTH * 5)
    seen = [event for event in newest if event.camera == NO_CAMERA or account.sees(event.camera)]
    return [_told(event) for event in seen[:_HEALTH]]


def _told(event: Event) -> HealthEvent:
    return HealthEvent(
        id=event.id, camera=event.camera, kind=event.kind, started_at=iso(event.started_at_ns), why=event.why,
        ended_at=None if event.ended_at_ns is None else iso(event.ended_at_ns),
    )  # fmt: skip
