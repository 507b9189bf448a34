"""When a machine counts as busy."""

import os
import subprocess
import sys

import pytest

from raycctv import load
from raycctv.clock import ManualClock
from raycctv.load import CpuLoad
from raycctv.types import CameraName, Pressure


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """CPU seconds used, and in all, so far; changed by the test."""
    now = [0.0, 0.0]
    monkeypatch.setattr(load, "_cpu_times", lambda: (now[0], now[1]))
    return now


def passed(clock: ManualClock, times: list[float], share: float, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1.0)
        times[0] += share
        times[1] += 1.0


def test_load_above_the_limits_is_noticed_and_so_is_its_end(times: list[float]) -> None:
    clock = ManualClock()
    cpu = CpuLoad(CameraName("gate"), 0.6, clock)
    free, busy, full = Pressure.NONE, Pressure.BUSY, Pressure.FULL
    for share, expected in ((0.3, free), (0.73, busy), (0.99, full), (0.73, busy), (0.3, free), (0.99, full), (0.3, free)):
        for _ in range(20):
            passed(clock, times, share, 2)
            cpu.pressure()
        assert cpu.pressure() is expected


def test_more_cameras_save_the_busier_the_machine_is(times: list[float]) -> None:
    clock = ManualClock()
    cameras = [CpuLoad(CameraName(f"camera{i}"), 0.7, clock) for i in range(32)]
    saving = []
    for share in (0.5, 0.65, 0.7, 0.75, 0.9):
        for _ in range(20):
            passed(clock, times, share, 2)
            for cpu in cameras:
                cpu.pressure()
        saving.append(sum(cpu.pressure() > Pressure.NONE for cpu in cameras))
    assert saving == sorted(saving)
    assert saving[0] == 0
    assert 8 < saving[2] < 28
    assert saving[-1] == 32


def test_real_machine_gives_its_times() -> None:
    used_s, whole_s = load._cpu_times()
    assert 0 < used_s < whole_s


def test_process_that_keeps_memory_is_not_given_new_pages_for_each_crop() -> None:
    code = """if True:
        import resource, sys, numpy as np
        from raycctv.load import keep_memory
        crops = np.ones((2, 300, 300, 3), np.uint8)
        def faults():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(100):
                held = [crops.copy() for _ in range(3)]
                del held
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        faults()
        print(faults())
        keep_memory()
        faults()
        print(faults())
    """
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain)
    before, after = map(int, done.stdout.split())
    assert after < before / 10
