"""What the parts of raycctv cost on this machine: CPU, memory and bytes written, by process."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil

OTHER = "ray"
"""The part of processes that nobody claimed: descendants of ours that Ray started."""

_Key = tuple[int, float]
"""A process: its pid and when it was created."""


@dataclass(frozen=True)
class Usage:
    """Between two looks.

    Attributes:
        cpu_cores: cores used on average, by part; 1.0 is one core all the time.
        rss_bytes: resident memory at the second look, by part. Pages that processes share count in each.
        written_bytes: handed to the kernel by writing, by part.
    """

    cpu_cores: dict[str, float]
    rss_bytes: dict[str, int]
    written_bytes: dict[str, int]
    wall_s: float


@dataclass(frozen=True)
class Look:
    """Sums since the meter's first look, by part, and memory now.

    Attributes:
        at_s: on the monotonic clock.
    """

    at_s: float
    cpu_s: dict[str, float]
    written_bytes: dict[str, int]
    rss_bytes: dict[str, int]

    def since(self, earlier: "Look") -> Usage:
        """What was used from ``earlier`` to this look."""
        wall_s = max(self.at_s - earlier.at_s, 1e-9)
        cores = {part: (spent_s - earlier.cpu_s.get(part, 0.0)) / wall_s for part, spent_s in self.cpu_s.items()}
        written = {part: count - earlier.written_bytes.get(part, 0) for part, count in self.written_bytes.items()}
        return Usage(
            {"total": sum(cores.values()), **cores}, {"total": sum(self.rss_bytes.values()), **self.rss_bytes}, written, wall_s
        )


class UsageMeter:
    """Sums what processes use by part. A process that ends between two looks keeps what it had used at its last.

    What a process has used since the last look goes to the part that it is at this look.
    """

    def __init__(self) -> None:
        self._seen: dict[_Key, tuple[float, int]] | None = None
        self._cpu_s: dict[str, float] = defaultdict(float)
        self._written_bytes: dict[str, int] = defaultdict(int)

    def look(self, parts: Mapping[int, str], now_s: float) -> Look:
        """Read every process in ``parts`` (pid: part) and every descendant of this one (unclaimed: Ray's)."""
        first = self._seen is None
        seen = self._seen = self._seen or {}
        rss: dict[str, int] = defaultdict(int)
        for process, part in _processes(parts):
            try:
                with process.oneshot():
                    key = (process.pid, process.create_time())
                    times = process.cpu_times()
                    spent = (times.user + times.system, process.io_counters().write_chars)
                    rss[part] += process.memory_info().rss
            except psutil.Error:
                continue
            cpu_s, written_bytes = seen.get(key, spent if first else (0.0, 0))
            self._cpu_s[part] += spent[0] - cpu_s
            self._written_bytes[part] += spent[1] - written_bytes
            seen[key] = spent
        return Look(now_s, dict(self._cpu_s), dict(self._written_bytes), dict(rss))


def pss_bytes(parts: Mapping[int, str]) -> dict[str, int]:
    """Memory by part of the same processes, with each shared page counted once in all: what they really take together.

    Reads every mapping of every process, which takes tens of milliseconds for each.
    """
    pss: dict[str, int] = defaultdict(int)
    for process, part in _processes(parts):
        try:
            pss[part] += process.memory_full_info().pss
        except psutil.Error:
            continue
    return {"total": sum(pss.values()), **pss}


def slope_per_min(at_s: Sequence[float], values: Sequence[float]) -> float:
    """Growth a minute of values over time, by least squares; 0 of fewer than two."""
    return float(np.polyfit(at_s, values, 1)[0]) * 60 if len(set(at_s)) > 1 else 0.0


def increase(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """By how much counters have grown. Where one is smaller than before, what counts has begun anew, and all from 0."""
    anew = any(after.get(key, 0) < count for key, count in before.items())
    return dict(after) if anew else {key: count - before.get(key, 0) for key, count in after.items()}


def _processes(parts: Mapping[int, str]) -> Iterator[tuple[psutil.Process, str]]:
    """Those of ``parts`` that run, and all other descendants of this process."""
    found = {process.pid: OTHER for process in psutil.Process().children(recursive=True)} | dict(parts)
    for pid, part in found.items():
        try:
            yield psutil.Process(pid), part
        except psutil.NoSuchProcess:
            continue
