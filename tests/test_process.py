"""Processes that outlive whoever started them."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support import until

from raycctv.backoff import Backoff
from raycctv.clock import ManualClock, SystemClock
from raycctv.errors import RecordingError
from raycctv.process import DetachedProcess, KeptProcess, stop_all

SLEEP = ["sleep", "600"]
DEAF = [sys.executable, "-c", "import signal, time; signal.signal(15, lambda *_: None); open('deaf', 'w'); time.sleep(600)"]
STARTER = """
import sys
from pathlib import Path
from raycctv.process import DetachedProcess
print(DetachedProcess.start("child", ["sleep", "600"], Path(sys.argv[1])).pid, flush=True)
"""


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "run"
    yield folder
    for file in folder.glob("*.pid"):
        process = DetachedProcess.adopt(file.stem, folder)
        if process is not None:
            process.stop(1)


def test_process_outlives_its_starter_in_a_session_of_its_own(run_dir: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, run_dir], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.kill()
    assert os.getsid(pid) == pid
    assert psutil.Process(pid).ppid() != os.getpid()
    adopted = DetachedProcess.adopt("child", run_dir)
    assert adopted is not None
    assert adopted.pid == pid
    assert adopted.runs(SLEEP)
    assert not adopted.runs(["sleep", "601"])


def test_process_runs_in_utc(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Jakarta")
    process = DetachedProcess.start("child", SLEEP, run_dir)
    assert psutil.Process(process.pid).environ()["TZ"] == "UTC"


def test_stop_is_idempotent_and_leaves_no_pid_file(run_dir: Path) -> None:
    process = DetachedProcess.start("child", SLEEP, run_dir)
    process.stop()
    process.stop()
    assert not process.alive()
    assert DetachedProcess.adopt("child", run_dir) is None
    assert not (run_dir / "child.pid").exists()


def test_frozen_process_is_stopped(run_dir: Path) -> None:
    process = DetachedProcess.start("child", SLEEP, run_dir)
    process.signal(signal.SIGSTOP)
    assert until(lambda: not process.alive(), 5, lambda: process.stop(2)) < 3


def test_deaf_process_is_killed(run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    process = DetachedProcess.start("child", DEAF, run_dir)
    until((tmp_path / "deaf").exists, 10)
    process.stop(0.2)
    assert not process.alive()


def test_several_are_stopped_together(run_dir: Path) -> None:
    processes = [DetachedProcess.start(f"child{n}", SLEEP, run_dir) for n in range(4)]
    stop_all(processes)
    assert not any(process.alive() for process in processes)


@pytest.mark.parametrize("key", ["start_ticks", "boot_id"])
def test_stranger_with_a_known_pid_is_neither_adopted_nor_hit(run_dir: Path, key: str) -> None:
    process = DetachedProcess.start("child", SLEEP, run_dir)
    pid_file = run_dir / "child.pid"
    identity = json.loads(pid_file.read_text())
    pid_file.write_text(json.dumps(identity | {key: 1 if key == "start_ticks" else "another boot"}))
    assert DetachedProcess.adopt("child", run_dir) is None
    assert process.alive()
    process.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_unreadable_pid_file_means_not_running(run_dir: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    run_dir.mkdir()
    (run_dir / "child.pid").write_text(text)
    assert DetachedProcess.adopt("child", run_dir) is None
    assert "taken as not running" in caplog.text


def test_password_in_a_command_is_in_no_file(run_dir: Path) -> None:
    complain = ["sh", "-c", "echo cannot open $0 >&2", "rtsp://admin:hunter2@cam/s"]
    process = DetachedProcess.start("child", complain, run_dir)
    until(lambda: not process.alive(), 5)
    assert process.last_words() == "cannot open rtsp://admin:***@cam/s"
    for file in run_dir.iterdir():
        assert "hunter2" not in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_folder_that_cannot_be_written_is_an_error() -> None:
    with pytest.raises(RecordingError, match="child: cannot be started in /proc/nowhere"):
        DetachedProcess.start("child", SLEEP, Path("/proc/nowhere"))


def test_process_whose_pid_cannot_be_written_down_does_not_run_on(run_dir: Path) -> None:
    (run_dir / "child.pid").mkdir(parents=True)  # in the way of the pid file, as a full disk is
    mark = f"{run_dir}/mark"
    with pytest.raises(RecordingError, match="child: cannot be started"):
        DetachedProcess.start("child", ["sh", "-c", "sleep 600", mark], run_dir)
    until(lambda: not [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])], 5)


def test_kept_process_is_started_again_with_backoff_that_resets(run_dir: Path) -> None:
    clock = ManualClock()
    kept = KeptProcess("child", ["sh", "-c", "echo no camera >&2"], run_dir, clock, Backoff(1, 4, settled_s=10))
    waits = []
    for _ in range(4):
        kept.check()
        until(lambda: kept.process is None, 5)
        starts = kept.starts
        began_s = clock.monotonic_s()
        kept.check()  # notices the end
        while kept.starts == starts:
            clock.advance(0.5)
            kept.check()
        waits.append(clock.monotonic_s() - began_s)
        until(lambda: kept.process is None, 5)
        if len(waits) == 3:
            clock.advance(20)  # this one lasted
    assert waits == [1, 2, 4, 1]
    assert kept.last_error == "no camera"


def running_pid(kept: KeptProcess) -> int:
    return kept.process.pid if kept.process is not None else 0


def test_kept_process_is_adopted_by_the_next_keeper_and_replaced_by_another_command(run_dir: Path) -> None:
    first = KeptProcess("child", SLEEP, run_dir, SystemClock())
    first.check()
    second = KeptProcess("child", SLEEP, run_dir, SystemClock())
    assert second.check()
    pid = running_pid(first)
    assert pid == running_pid(second) != 0
    assert second.starts == 0
    other = KeptProcess("child", ["sleep", "601"], run_dir, SystemClock())
    assert running_pid(first) == 0
    other.check()
    assert other.starts == 1
