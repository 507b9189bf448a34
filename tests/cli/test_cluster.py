"""``up``, ``status``, ``down`` and jobs: a Ray of their own, as a user has it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from support import until

from raycctv.detection.models import models_dir
from raycctv.rtmp.server import RtmpServer, free_port
from raycctv.simulate.camera import SimulatedCamera

BIN = Path(sys.executable).parent


class Machine:
    """A user's machine: its own cache, Ray's own temporary folder, and the commands."""

    def __init__(self, folder: Path, ray_folder: Path) -> None:
        self.folder = folder
        cache = folder / "cache"
        (cache / "raycctv").mkdir(parents=True)
        (cache / "raycctv" / "models").symlink_to(models_dir())
        self.dashboard_port = free_port()
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("RAY_")},
            "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(cache), "RAY_TMPDIR": str(ray_folder),
        }  # fmt: skip

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        whole = self.environment | environment
        return subprocess.run(arguments, capture_output=True, text=True, cwd=self.folder, env=whole, timeout=150, check=False)

    def raycctv(self, *arguments: str) -> str:
        done = self.run("raycctv", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.raycctv("status", "--json"))
        return answer

    def write(self, name: str, root: str, **cameras: str) -> str:
        text = "".join(f"  {camera}: {{source: '{url}'}}\n" for camera, url in cameras.items())
        settings = f"recording: {{root: {root}, segment_s: 5}}\nlogs: {{dir: {root}/log}}\n"
        (self.folder / name).write_text(f"cameras:\n{text}{settings}")
        return name


@pytest.fixture
def machine(tmp_path: Path, weights: Path) -> Iterator[Machine]:
    ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    made = Machine(tmp_path, ray_folder)
    yield made
    made.run("raycctv", "down")
    shutil.rmtree(ray_folder)
    assert not [process for process in psutil.process_iter() if str(ray_folder) in _command(process)]


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def pids(status: dict[str, Any]) -> dict[str, int]:
    recorders = {f"recorder:{name}": part["pid"] for name, part in status["storage"]["recorders"].items()}
    return {name: part["pid"] for name, part in status.items()} | recorders


def test_cameras_go_up_are_changed_and_go_down(machine: Machine, rtmp: RtmpServer, clip: Path) -> None:
    camera = SimulatedCamera("gate", clip, rtmp.url("gate"))
    camera.start()
    try:
        one = machine.write("one.yaml", "footage", gate=rtmp.url("gate"))
        two = machine.write("two.yaml", "footage", gate=rtmp.url("gate"), yard=rtmp.url("yard"))
        assert "running 1 cameras; Ray dashboard: http://127.0.0.1:" in machine.raycctv(
            "up", one, "--dashboard-port", str(machine.dashboard_port)
        )
        until(lambda: machine.status()["storage"]["recorders"]["gate"]["recording"], 30)
        first = pids(machine.status())

        assert machine.raycctv("reload", two) == "running 2 cameras; added yard\n"
        second = pids(machine.status())
        assert {name for name in first if second.get(name) != first[name]} == set()
        assert second.keys() - first.keys() == {"reader:yard", "recorder:yard"}

        table = machine.raycctv("status")
        assert "gate" in table
        assert "streaming" in table

        assert machine.raycctv("down", "--keep-recording") == "stopped and Ray too\n"
        assert psutil.pid_exists(first["recorder:gate"])
        done = machine.run("raycctv", "status")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "error: no Ray cluster runs on this machine; `raycctv up CONFIG` starts one\n"

        machine.raycctv("up", two, "--dashboard-port", str(machine.dashboard_port))
        assert pids(machine.status())["recorder:gate"] == first["recorder:gate"]
        machine.raycctv("down")
        until(lambda: not psutil.pid_exists(first["recorder:gate"]), 5)
        segments = [json.loads(line) for line in machine.raycctv("recordings", "-c", two, "--json").splitlines()]
    finally:
        camera.stop()
    assert {segment["camera"] for segment in segments} == {"gate"}
    assert sum(segment["duration_s"] for segment in segments) > 10
    gaps = [segment["started_at"] for segment in segments]
    assert gaps == sorted(gaps)


def test_job_goes_up_but_never_with_footage_in_its_own_copy(machine: Machine, rtmp: RtmpServer) -> None:
    lasting = str(machine.folder / "footage")
    first = machine.write("first.yaml", lasting, gate=rtmp.url("gate"))
    machine.write("job.yaml", lasting, gate=rtmp.url("gate"), yard=rtmp.url("yard"))
    machine.write("lost.yaml", "footage", gate=rtmp.url("gate"))
    machine.raycctv("up", first, "--dashboard-port", str(machine.dashboard_port))

    said = ""

    def submit(config: str) -> str:
        """Ray's dashboard is up before the agent that takes its jobs; until then it refuses them."""
        address = f"http://127.0.0.1:{machine.dashboard_port}"
        command = ("ray", "job", "submit", "--address", address, "--working-dir", str(code), "--", "raycctv", "up", config)

        def taken() -> bool:
            nonlocal said
            done = machine.run(*command, RAY_AUTH_MODE="token")
            said = done.stdout + done.stderr
            return "No available agent to submit job" not in said

        until(taken, 90)
        return said

    code = machine.folder / "job"
    code.mkdir()
    for name in ("job.yaml", "lost.yaml"):
        shutil.copy(machine.folder / name, code)
    said = submit("job.yaml")
    assert "running 2 cameras" in said
    assert "succeeded" in said
    assert set(machine.status()) == {"sink", "storage", "detector:0", "reader:gate", "reader:yard"}
    said = submit("lost.yaml")
    assert "lies in Ray's copy of the working directory" in said
    assert "failed" in said


def test_configuration_that_is_wrong_starts_nothing(machine: Machine) -> None:
    (machine.folder / "wrong.yaml").write_text("cameras: {a: {sorce: 'rtmp://h/l/a'}}\n")
    done = machine.run("raycctv", "up", "wrong.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("error: wrong.yaml: cameras.a.source")
    assert done.stderr.endswith("wrong.yaml: cameras.a.sorce: unknown key; did you mean 'source'?\n")
    assert machine.run("raycctv", "status").returncode == 1
    machine.write("right.yaml", "footage", gate="rtmp://127.0.0.1/live/gate")
    done = machine.run("raycctv", "reload", "right.yaml")
    assert (done.returncode, done.stderr) == (1, "error: no Ray cluster runs on this machine; `raycctv up CONFIG` starts one\n")
