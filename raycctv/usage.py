"""What the parts of raycctv cost on this machine: CPU and memory, by process."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

OTHER = "ray"
"""The part of processes that nobody claimed: descendants of ours that Ray started."""


@dataclass(frozen=True)
class Usage:
    """Between two looks.

    Attributes:
        cpu_cores: cores used on average, by part; 1.0 is one core all the time.
        rss_bytes: resident memory at the second look, by part. Pages that processes share count in each.
    """

    cpu_cores: dict[str, float]
    rss_bytes: dict[str, int]
    wall_s: float


class UsageMeter:
    """Sums the CPU time of processes by part. A process that ends between two looks keeps what it had at its last."""

    def __init__(self) -> None:
        self._spent: dict[tuple[int, float], tuple[str, float]] = {}
        self._base: dict[tuple[int, float], float] = {}
        self._rss: dict[str, int] = {}
        self._began_s: float | None = None
        self._looked_s = 0.0

    def look(self, parts: Mapping[int, str], now_s: float) -> None:
        """Read every process in ``parts`` (pid: part) and every descendant of this one (unclaimed: Ray's)."""
        found = {process.pid: OTHER for process in psutil.Process().children(recursive=True)} | dict(parts)
        rss: dict[str, int] = defaultdict(int)
        for pid, part in found.items():
            try:
                process = psutil.Process(pid)
                with process.oneshot():
                    key = (pid, process.create_time())
                    times = process.cpu_times()
                    rss[part] += process.memory_info().rss
            except psutil.Error:
                continue
            spent = times.user + times.system
            if key not in self._base:
                self._base[key] = spent if self._began_s is None else 0.0
            self._spent[key] = (part, spent)
        self._rss = dict(rss)
        self._began_s = now_s if self._began_s is None else self._began_s
        self._looked_s = now_s

    def usage(self) -> Usage:
        """From the first look to the last."""
        wall_s = max(self._looked_s - (self._began_s or 0.0), 1e-9)
        cores: dict[str, float] = defaultdict(float)
        for key, (part, spent) in self._spent.items():
            cores[part] += (spent - self._base[key]) / wall_s
        total = sum(cores.values())
        return Usage({"total": total, **cores}, {"total": sum(self._rss.values()), **self._rss}, wall_s)
