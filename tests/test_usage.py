import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support import until

from raycctv.clock import SystemClock
from raycctv.usage import OTHER, Look, UsageMeter, increase, pss_bytes, slope_per_min

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
            before = meter.look(parts, clock.monotonic_s())
            spent_s = cpu_s(busy.pid)
            until(lambda: cpu_s(busy.pid) > spent_s + 0.5, 20)
            after = meter.look(parts, clock.monotonic_s())
        finally:
            for process in (busy, idle, unclaimed):
                process.kill()
    usage = after.since(before)
    assert usage.cpu_cores["reader"] * usage.wall_s == pytest.approx(0.5, abs=0.2)
    assert usage.cpu_cores["storage"] == pytest.approx(0, abs=0.05)
    assert usage.cpu_cores["total"] == pytest.approx(sum(v for k, v in usage.cpu_cores.items() if k != "total"))
    assert usage.rss_bytes["reader"] > usage.rss_bytes["storage"] > 0
    assert OTHER in usage.rss_bytes
    assert "gone" not in usage.rss_bytes


def test_meter_books_what_is_written_and_keeps_what_ended_processes_used(tmp_path: Path) -> None:
    clock, meter = SystemClock(), UsageMeter()
    meter.look({}, clock.monotonic_s())
    copy = ["dd", "if=/dev/zero", f"of={tmp_path / 'written'}", "bs=100000", "count=30", "status=none"]
    with subprocess.Popen(["/bin/sh", "-c", f"{' '.join(copy)}; exec sleep 600"]) as shell:
        try:
            until(lambda: psutil.Process(shell.pid).name() == "sleep", 20)
            before = meter.look({}, clock.monotonic_s())
        finally:
            shell.kill()
    with (tmp_path / "more").open("wb") as file, subprocess.Popen(["sleep", "600"]) as writer:
        try:
            parts = {psutil.Process().pid: "storage", writer.pid: "recorder"}
            joined = meter.look(parts, clock.monotonic_s())
            file.write(bytes(700_000))
            file.flush()
            after = meter.look(parts, clock.monotonic_s())
        finally:
            writer.kill()
    usage = after.since(joined)
    assert usage.written_bytes["storage"] == pytest.approx(700_000, abs=50_000)
    assert usage.written_bytes["recorder"] == 0
    assert after.written_bytes[OTHER] >= before.written_bytes[OTHER]
    assert usage.cpu_cores[OTHER] == 0


def test_usage_is_what_came_between_two_looks() -> None:
    first = Look(10.0, {"reader": 4.0}, {"recorder": 100}, {"reader": 5})
    last = Look(14.0, {"reader": 6.0, "detector": 1.0}, {"recorder": 300}, {"reader": 7, "detector": 2})
    usage = last.since(first)
    assert usage.cpu_cores == {"total": 0.75, "reader": 0.5, "detector": 0.25}
    assert usage.written_bytes == {"recorder": 200}
    assert usage.rss_bytes == {"total": 9, "reader": 7, "detector": 2}
    assert usage.wall_s == 4.0


def test_shared_pages_count_once() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        try:
            pss = pss_bytes({process.pid: "reader"})
            rss = psutil.Process(process.pid).memory_info().rss
        finally:
            process.kill()
    assert 0 < pss["reader"] < rss
    assert pss["total"] == sum(size for part, size in pss.items() if part != "total")


def test_slope_is_the_growth_a_minute() -> None:
    assert slope_per_min([0, 1, 2, 3], [10, 12, 14, 16]) == pytest.approx(120)
    assert slope_per_min([0, 1, 2, 3], [10, 11, 10, 11]) == pytest.approx(12)
    assert slope_per_min([5], [10]) == 0
    assert slope_per_min([], []) == 0


def test_increase_of_counters_holds_over_a_new_beginning() -> None:
    assert increase({"frames": 10}, {"frames": 25, "superseded": 3}) == {"frames": 15, "superseded": 3}
    assert increase({"frames": 10, "decoded": 9}, {"frames": 4, "decoded": 4}) == {"frames": 4, "decoded": 4}
    assert increase({"superseded": 3}, {}) == {}
