"""What several tests use and is no fixture."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from raycctv.types import CameraName, Event, Segment

NS = 1_000_000_000
T0_NS = 1_700_000_000 * NS
"""2023-11-14T22:13:20Z."""


def until(condition: Callable[[], bool], timeout_s: float, act: Callable[[], object] = lambda: None) -> float:
    """Waits for the condition, doing ``act`` before each look; returns how long that took."""
    began_s = time.monotonic()
    while True:
        act()
        if condition():
            return time.monotonic() - began_s
        assert time.monotonic() - began_s < timeout_s, f"still not so after {timeout_s:g} s"
        time.sleep(0.02)


def fill(ballast: Path) -> None:
    """Take what is still free on the disk of ``ballast``."""
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            pass


def segment(
    camera: str = "gate", start_s: float = 0, duration_s: float = 60, size_bytes: int = 1000, path: str = ""
) -> Segment:
    """A segment that begins so long after T0_NS."""
    path = path or f"{camera}/2023-11-14/{camera}_{start_s:g}.mp4"
    started_at_ns, duration_ns = T0_NS + round(start_s * NS), round(duration_s * NS)
    return Segment(CameraName(camera), path, started_at_ns, duration_ns, size_bytes, "h264", 640, 360)


def event(
    event_id: str = "e1",
    camera: str = "gate",
    kind: str = "person",
    start_s: float = 0,
    end_s: float | None = None,
    snapshot: str | None = None,
) -> Event:
    """An event that begins so long after T0_NS."""
    return Event(
        id=event_id,
        camera=CameraName(camera),
        kind=kind,
        started_at_ns=T0_NS + round(start_s * NS),
        ended_at_ns=None if end_s is None else T0_NS + round(end_s * NS),
        labels={} if kind == "motion" else {kind: 0.8},
        zones=("door",),
        box=(10, 20, 60, 120),
        score=0.8,
        model=None if kind == "motion" else "ssdlite_mobilenet_v2",
        snapshot=snapshot,
        why="a test",
    )
