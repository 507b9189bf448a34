"""Is this machine busy, and who gives way then?"""

import contextlib
import ctypes
import os
import zlib
from pathlib import Path

import psutil

from raycctv.clock import Clock
from raycctv.types import CameraName, Pressure

_LOOK_S = 2.0
"""Time between two looks."""

_SMOOTHING = 0.4
"""Weight of the last look: about five seconds count."""

_SPREAD = 0.1
_HYSTERESIS = 0.05


class CpuLoad:
    """Whether more of this machine's CPU is in use than ``share``, whoever uses it; or more than half of what that leaves.

    Many ask on one machine. If all took the same share for the limit they would all save at once and spend at once; so each
    camera has its own, up to 0.1 above or below (half of that where the machine is full), and only as many save as must.
    """

    def __init__(self, camera: CameraName, share: float, clock: Clock) -> None:
        spread = (zlib.crc32(camera.encode()) % 1000 / 1000 * 2 - 1) * _SPREAD
        self._limits = {Pressure.BUSY: share + spread, Pressure.FULL: (1 + share) / 2 + spread / 2}
        self._clock = clock
        self._pressure = Pressure.NONE
        self._looked_s = clock.monotonic_s()
        self._times = _cpu_times()
        self._load: float | None = None

    def pressure(self) -> Pressure:
        """``NONE``, ``BUSY`` or ``FULL``. Cheap: looks every two seconds at most."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            self._look()
        return self._pressure

    def _look(self) -> None:
        used_s, whole_s = _cpu_times()
        used_before_s, whole_before_s = self._times
        self._times = used_s, whole_s
        load = (used_s - used_before_s) / max(whole_s - whole_before_s, 1e-6)
        self._load = load if self._load is None else self._load + _SMOOTHING * (load - self._load)
        passed = [level for level, limit in self._limits.items() if self._load > limit - self._slack(level)]
        self._pressure = max(passed, default=Pressure.NONE)

    def _slack(self, level: Pressure) -> float:
        """What is reached is left a little below."""
        return _HYSTERESIS if self._pressure >= level else 0.0


READING, DETECTING = 19, 5
"""Nice values, 0 being recording's: reading, the lowest that there is, saves when it falls behind; a verdict that comes late is
of no use to anybody, and what is read is read for it. Source: setpriority(2)."""


def give_way(nice: int) -> None:
    """Let this process have less of the CPU where others want it: analysis can wait, recording cannot.

    Needs no rights where it has been nicer until now; else it stays as it is.
    """
    with contextlib.suppress(PermissionError):
        _set_priority(nice)


def go_first() -> None:
    """Take back what Ray's workers give way by (15), as far as this user may: what this process starts inherits it."""
    with contextlib.suppress(PermissionError):
        _set_priority(0)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20
_LARGEST_KEPT_BYTES = 32 << 20
"""The most that it takes. Source: mallopt(3), malloc.h."""


def keep_memory() -> None:
    """Let this process keep up to 64 MB of what it frees, rather than give it back to the system.

    Crops and answers are some 100 kB each, too large for the C library to keep by itself, and the system clears every page
    that it gives out again: 420 pages a crop, a quarter of the time of one in 8-bit integers. Does nothing without glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)


def _set_priority(nice: int) -> None:
    """Of all threads: Linux gives each its own, and those that it starts inherit it. Source: setpriority(2), BUGS."""
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)


def _cpu_times() -> tuple[float, float]:
    """CPU seconds in use and in all, of all cores since boot."""
    times = psutil.cpu_times()
    idle_s = times.idle + getattr(times, "iowait", 0.0)
    whole_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return whole_s - idle_s, whole_s
