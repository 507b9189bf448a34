"""``up``, ``status``, ``down`` and jobs: a Ray of their own, as a user has it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from machine import Machine, users_machine
from support import until

from raycctv.rtmp.server import RtmpServer, free_port
from raycctv.simulate.camera import SimulatedCamera


@pytest.fixture
def machine(tmp_path: Path, weights: Path) -> Iterator[Machine]:
    with users_machine(tmp_path) as made:
        yield made


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
    job = machine.folder / machine.write("job.yaml", lasting, gate=rtmp.url("gate"), yard=rtmp.url("yard"))
    job.write_text(f"{job.read_text()}console: {{port: {free_port()}}}\n")
    machine.write("lost.yaml", "footage", gate=rtmp.url("gate"))
    machine.raycctv("up", first, "--dashboard-port", str(machine.dashboard_port))

    code = machine.folder / "job"
    code.mkdir()
    for name in ("job.yaml", "lost.yaml"):
        shutil.copy(machine.folder / name, code)
    said = machine.submit(code, "raycctv", "up", "job.yaml")
    assert "running 2 cameras" in said
    assert "succeeded" in said
    assert "log in as" not in said  # the log of a job is read by everybody who sees the dashboard
    assert "raycctv console password" in said
    assert set(machine.status()) == {"console", "sink", "storage", "detector:0", "reader:gate", "reader:yard"}
    said = machine.submit(code, "raycctv", "up", "lost.yaml")
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


def test_up_tells_where_the_console_is_and_its_first_password_once(machine: Machine, clip: Path) -> None:
    name = machine.write("console.yaml", "footage", gate=f"file://{clip}")
    port = free_port()
    with (machine.folder / name).open("a") as file:
        file.write(f"console: {{port: {port}}}\n")
    first = machine.raycctv("up", name, "--dashboard-port", str(machine.dashboard_port)).splitlines()
    assert f"console: http://127.0.0.1:{port}" in first
    (told,) = [line for line in first if line.startswith("log in as admin with the password ")]
    form = {"name": "admin", "password": told.split()[7]}
    assert requests.post(f"http://127.0.0.1:{port}/login", data=form, allow_redirects=False, timeout=10).status_code == 303
    again = machine.raycctv("up", name)
    assert f"console: http://127.0.0.1:{port}" in again
    assert "password" not in again
    assert machine.status()["console"]["url"] == f"http://127.0.0.1:{port}"
