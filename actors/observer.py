"""What a trial measures: cameras, readers, recorders, and what all processes cost."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from actors import cluster, names
from raycctv.clock import NS_PER_S, SystemClock
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CAMERA_OFFLINE, CameraName, Event, Segment
from raycctv.usage import UsageMeter, increase, pss_bytes, slope_per_min

_STATUS_EVERY_S = 5.0
"""Time between two looks at which process is which: that changes only when one dies, and asking everybody costs."""

_DRAIN_S = 15.0


@dataclass(frozen=True)
class Sample:
    """One look, and what happened since the one before it.

    Attributes:
        at_s: since the measuring began.
        lag_p95_s: of the frames of all cameras; None where there was none.
        dropped: crops, for whatever reason.
    """

    at_s: float
    cpu_cores: dict[str, float]
    rss_bytes: dict[str, int]
    disk_bytes_per_s: float
    lag_p95_s: float | None
    dropped: int


class Lags:
    """Any number of lags in the same small memory: how many lay in each of 2000 classes, each 1 % longer than the one before.

    The shortest is a tenth of a millisecond; what is longer than 12 hours counts as that.
    """

    _SHORTEST_S = 1e-4
    _CLASSES = 2000
    _STEP = math.log(1.01)

    def __init__(self) -> None:
        self._counts = np.zeros(self._CLASSES, np.int64)

    def add(self, lags_s: Sequence[float]) -> None:
        ratios = np.maximum(np.asarray(lags_s, np.float64) / self._SHORTEST_S, 1.0)
        classes = np.minimum(np.log(ratios) / self._STEP, self._CLASSES - 1).astype(np.intp)
        np.add.at(self._counts, classes, 1)

    def percentile(self, percent: float) -> float | None:
        """Seconds, as exact as the classes are wide; None of no lags."""
        below = np.cumsum(self._counts)
        if not below[-1]:
            return None
        at = int(np.searchsorted(below, below[-1] * percent / 100))
        return round(self._SHORTEST_S * math.exp(self._STEP * (at + 0.5)), 4)


@dataclass
class _Tally:
    """One camera.

    Attributes:
        sent_s, since_ns: what it had sent when the measuring began, and when that was.
        counted: its reader's counters then.
        drops: its reader's at the last look.
    """

    sent_s: float
    since_ns: int
    counted: dict[str, int]
    drops: dict[str, int]
    dropped: Counter[str] = field(default_factory=Counter)
    lags: Lags = field(default_factory=Lags)


class Observer:
    """Counts from its creation on; what was before does not count.

    Call :meth:`look` once a second, :meth:`weigh` at the end, and :meth:`settle` when the cameras have stopped.
    """

    def __init__(self, server: RtmpServer, supervisor: Any, cameras: Mapping[CameraName, SimulatedCamera]) -> None:
        self._server = server
        self._supervisor = supervisor
        self._cameras = cameras
        self._readers = cluster.readers()
        self._clock = SystemClock()
        self._status: dict[str, Any] = {}
        self._samples: list[Sample] = []
        self._pss_bytes: dict[str, int] = {}
        self._ask()
        sampled = cluster.sample(self._readers)
        self._began_ns = self._ended_ns = self._clock.now_ns()
        self._tallies = {
            camera: _Tally(*simulated.account, self._counted(camera), sampled.get(camera, {}).get("dropped", {}))
            for camera, simulated in cameras.items()
        }
        self._meter = UsageMeter()
        self._first = self._last = self._meter.look(self._parts(), self._clock.monotonic_s())

    def look(self) -> None:
        """Take a sample."""
        if self._clock.monotonic_s() >= self._status_due_s:
            self._ask()
        lags_s, dropped = self._gather()
        look = self._meter.look(self._parts(), self._clock.monotonic_s())
        usage = look.since(self._last)
        self._last = look
        self._samples.append(
            Sample(
                at_s=round(look.at_s - self._first.at_s, 2),
                cpu_cores=_rounded(usage.cpu_cores),
                rss_bytes=usage.rss_bytes,
                disk_bytes_per_s=round(usage.written_bytes.get("recorder", 0) / usage.wall_s),
                lag_p95_s=round(float(np.percentile(lags_s, 95)), 4) if lags_s else None,
                dropped=dropped,
            )
        )

    def weigh(self) -> None:
        """Memory with each shared page counted once: too slow to do often."""
        self._pss_bytes = pss_bytes(self._parts())
        self._ended_ns = self._clock.now_ns()

    def settle(self) -> None:
        """Wait until every reader has seen its stream end, so that its frames and events are complete.

        Drops no longer count: crops that are under way when the cameras are taken away are the trial's doing.
        """
        deadline_s = self._clock.monotonic_s() + _DRAIN_S
        self._ask()
        while self._streaming() and self._clock.monotonic_s() < deadline_s:
            time.sleep(0.1)
            self._ask()

    def summary(self, segments: Sequence[Segment], events: Iterable[Event]) -> dict[str, Any]:
        """Fields of ``demo --json``."""
        usage = self._last.since(self._first)
        counted = [event for event in events if self._counts(event)]
        at_s = [sample.at_s for sample in self._samples]
        rss = {part: [sample.rss_bytes.get(part, 0) for sample in self._samples] for part in usage.rss_bytes}
        return {
            "cameras": [self._camera(camera, segments, counted) for camera in self._cameras],
            "cpu_cores": _rounded(usage.cpu_cores),
            "rss_bytes": usage.rss_bytes,
            "pss_bytes": self._pss_bytes,
            "rss_slope_bytes_per_min": {part: round(slope_per_min(at_s, sizes)) for part, sizes in rss.items()},
            "disk_bytes_per_s": round(usage.written_bytes.get("recorder", 0) / usage.wall_s),
            "events": dict(Counter(event.kind for event in counted)),
            "servers": self._status.get(names.SINK, {}).get("servers", {}),
            "samples": [asdict(sample) for sample in self._samples],
        }

    def _counts(self, event: Event) -> bool:
        """A camera is also away once it was stopped; its last packet may come just before that."""
        stopped = event.kind == CAMERA_OFFLINE and event.started_at_ns >= self._ended_ns - NS_PER_S
        return event.started_at_ns >= self._began_ns and not stopped

    def _camera(self, camera: CameraName, segments: Iterable[Segment], events: Iterable[Event]) -> dict[str, Any]:
        tally = self._tallies[camera]
        streamed_s = self._cameras[camera].online_s - tally.sent_s
        recorded_s = sum(recorded_ns(segment, tally.since_ns) for segment in segments if segment.camera == camera) / NS_PER_S
        grown = increase(tally.counted, self._counted(camera))
        return {
            "camera": camera,
            "streamed_s": round(streamed_s, 2),
            "recorded_s": round(recorded_s, 2),
            "coverage": round(recorded_s / streamed_s, 4) if streamed_s else 0.0,
            "frames": grown["frames"],
            "decoded_frames": min(grown["decoded_frames"], grown["frames"]),  # one may have come before all began
            "lag_p50_s": tally.lags.percentile(50),
            "lag_p95_s": tally.lags.percentile(95),
            "candidates": grown["candidates"],
            "dropped": dict(tally.dropped),
            "events": dict(Counter(event.kind for event in events if event.camera == camera)),
        }

    def _ask(self) -> None:
        """What every actor says of itself; what one that does not answer said last still holds."""
        answers = cluster.status(self._supervisor)
        self._status |= {name: part for name, part in answers.items() if set(part) != {"error"}}
        self._status_due_s = self._clock.monotonic_s() + _STATUS_EVERY_S

    def _counted(self, camera: CameraName) -> dict[str, int]:
        reader = self._status.get(names.reader(camera), {})
        return {key: reader.get(key, 0) for key in ("frames", "decoded_frames", "candidates")}

    def _streaming(self) -> bool:
        return any(self._status.get(names.reader(camera), {}).get("state") == "streaming" for camera in self._cameras)

    def _gather(self) -> tuple[list[float], int]:
        """Lags and the number of drops since the last time, over all cameras; both are added to the cameras' tallies."""
        lags_s: list[float] = []
        drops = 0
        for camera, sampled in cluster.sample(self._readers).items():
            tally = self._tallies[camera]
            grown = increase(tally.drops, sampled["dropped"])
            tally.drops = sampled["dropped"]
            tally.dropped.update({reason: count for reason, count in grown.items() if count})
            tally.lags.add(sampled["lags_s"])
            lags_s += sampled["lags_s"]
            drops += sum(grown.values())
        return lags_s, drops

    def _parts(self) -> dict[int, str]:
        """Which process is which part."""
        parts = dict.fromkeys(self._server.pids(), "rtmp")
        parts |= {simulated.pid: "simulator" for simulated in self._cameras.values() if simulated.pid is not None}
        for name, part in self._status.items():
            if "pid" in part:
                parts[part["pid"]] = "storage" if name == names.SINK else names.kind_of(name)
        for recorder in self._status.get(names.STORAGE, {}).get("recorders", {}).values():
            if recorder["pid"] is not None:
                parts[recorder["pid"]] = "recorder"
        return parts


def recorded_ns(segment: Segment, since_ns: int) -> int:
    """How much of a segment lies after an instant."""
    return max(0, min(segment.duration_ns, segment.started_at_ns + segment.duration_ns - since_ns))


def _rounded(cores: Mapping[str, float]) -> dict[str, float]:
    return {part: round(value, 3) for part, value in cores.items()}
