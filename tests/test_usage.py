import subprocess
import sys

import psutil
import pytest
from support import until

from raycctv.clock import SystemClock
from raycctv.usage import OTHER, UsageMeter

BUSY = "while True: pass"


def cpu_s(pid: int) -> float:
    return psutil.Process(pid).cpu_times().user


def test_meter_books_cpu_and_memory_by_part() -> None:
    clock, meter = SystemClock(), UsageMeter()
    with (
        subprocess.Popen([sys.executable, "-c", BUSY]) as busy,
        subprocess.Popen(["sleep", "600"]) as idle,
        subprocess.Popen(["sleep", "600"]) as unclaimed,
    ):
        try:
            until(lambda: cpu_s(busy.pid) > 0.2, 20)
            parts = {busy.pid: "reader", idle.pid: "storage", 2**22 + 5: "gone"}
            meter.look(parts, clock.monotonic_s())
            spent_s = cpu_s(busy.pid)
            until(lambda: cpu_s(busy.pid) > spent_s + 0.5, 20)
            meter.look(parts, clock.monotonic_s())
        finally:
            for process in (busy, idle, unclaimed):
                process.kill()
    usage = meter.usage()
    assert usage.cpu_cores["reader"] * usage.wall_s == pytest.approx(0.5, abs=0.2)
    assert usage.cpu_cores["storage"] == pytest.approx(0, abs=0.05)
    assert usage.cpu_cores["total"] == pytest.approx(sum(v for k, v in usage.cpu_cores.items() if k != "total"))
    assert usage.rss_bytes["reader"] > usage.rss_bytes["storage"] > 0
    assert OTHER in usage.rss_bytes
    assert "gone" not in usage.rss_bytes
