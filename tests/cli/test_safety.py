"""Who reaches a Ray that `raycctv up` starts, and what they read there."""

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from machine import Machine, command_of, users_machine
from servers.prometheus import prometheus
from support import until

from raycctv.rtmp.server import free_port

SECRETS = {
    "GATE_PASSWORD": "first-of-the-secrets-81f3",
    "YARD_PASSWORD": "second-of-the-secrets-c27a",
    "YARD_KEY": "third-of-the-secrets-90be",
    "ELASTIC_PASSWORD": "fourth-of-the-secrets-55d1",
    "MQTT_PASSWORD": "fifth-of-the-secrets-e6a8",
    "WEBHOOK_TOKEN": "sixth-of-the-secrets-0b7c",
    "LOKI_PASSWORD": "seventh-of-the-secrets-d4f9",
}
SECRET = re.compile(rb"[a-z]{5,7}-of-the-secrets-[0-9a-f]{4}")

CONFIG = """
cameras:
  gate: {source: 'rtsp://admin:${GATE_PASSWORD}@127.0.0.1:1/gate'}
  yard: {pull: 'rtsp://admin:${YARD_PASSWORD}@127.0.0.1:1/yard', source: 'rtmp://127.0.0.1:1/live/yard?key=${YARD_KEY}'}
recording: {root: ROOT, segment_s: 5}
logs: {dir: ROOT/log}
elasticsearch: {url: 'http://elastic:${ELASTIC_PASSWORD}@127.0.0.1:1'}
loki: {url: 'http://loki:${LOKI_PASSWORD}@127.0.0.1:1'}
notify:
  webhook: 'http://127.0.0.1:1/hook?token=${WEBHOOK_TOKEN}'
  mqtt: 'mqtt://raycctv:${MQTT_PASSWORD}@127.0.0.1:1'
"""
"""Nobody answers: every error that may be told is told."""

LISTINGS = (
    "api/v0/actors?detail=1", "api/v0/tasks?detail=1&limit=10000", "api/v0/runtime_envs?detail=1", "api/v0/jobs?detail=1",
    "api/v0/workers?detail=1", "api/v0/nodes?detail=1", "api/v0/objects?detail=1", "api/v0/cluster_events?detail=1",
    "logical/actors", "nodes?view=summary", "api/jobs/", "api/cluster_status", "events", "test/dump",
)  # fmt: skip
"""What the dashboard and `ray list` ask of Ray."""

KEY_VALUES = """
import sys, ray
from actors import cluster
from ray.experimental.internal_kv import _internal_kv_get as get, _internal_kv_list as keys
from ray._private import ray_constants
spaces = [value for name, value in vars(ray_constants).items() if name.startswith("KV_NAMESPACE")]
with cluster.connected(None):
    for space in {*spaces, None, b"raycctv"}:
        for key in keys(b"", namespace=space):
            sys.__stdout__.buffer.write(key + b" " + (get(key, namespace=space) or b"") + bytes([10]))
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Machine]:
    """Ray runs before any secret is known to the one who starts it; then a job brings cameras whose secrets lie on its head."""
    folder = tmp_path_factory.mktemp("user")
    job = folder / "job"
    with users_machine(folder) as made:
        made.environment["RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR"] = str(folder / "dashboards")
        made.environment["RAY_PROMETHEUS_HOST"] = f"http://127.0.0.1:{free_port()}"
        made.environment["XDG_CONFIG_HOME"] = str(folder / "config")
        made.raycctv("up", made.write("before.yaml", "footage", hall="rtmp://127.0.0.1:1/live/hall"), *dashboard(made))
        job.mkdir()
        (job / "cameras.yaml").write_text(CONFIG.replace("ROOT", str(folder / "footage")))
        write_secrets(folder / "config" / "raycctv" / "secrets.env")
        said = made.submit(job, "raycctv", "up", "cameras.yaml")
        assert "running 2 cameras" in said
        until(lambda: "does not answer" in json.dumps(made.status()), 60)
        until(lambda: bool(made.status()["storage"]["recorders"]["gate"]["last_error"]), 60)
        yield made


def write_secrets(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch(0o600)
    path.write_text("".join(f"{name}={secret}\n" for name, secret in SECRETS.items()))


def dashboard(machine: Machine) -> tuple[str, str]:
    return "--dashboard-port", str(machine.dashboard_port)


def ask(machine: Machine, path: str, token: str | None) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{machine.dashboard_port}/{path}")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own dashboard
        body: bytes = answer.read()
    return body


def token() -> str:
    return Path.home().joinpath(".ray", "auth_token").read_text().strip()


def of_ray(machine: Machine) -> list[psutil.Process]:
    """The processes of this Ray: its head's, and what they started."""
    heads = [process for process in psutil.process_iter() if str(machine.ray_folder) in command_of(process)]
    return list({child.pid: child for head in heads for child in [head, *head.children(recursive=True)]}.values())


def test_every_port_is_on_loopback(machine: Machine) -> None:
    listening = {
        connection.laddr.ip
        for process in of_ray(machine)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    assert listening


def test_who_has_no_token_is_refused(machine: Machine) -> None:
    assert b"reader" in ask(machine, "api/v0/actors", token())
    for wrong in (None, "0" * 64):
        with pytest.raises(urllib.error.HTTPError) as refused:
            ask(machine, "api/v0/actors", wrong)
        with refused.value:
            assert refused.value.code in (401, 403)
    done = machine.run("raycctv", "status", RAY_AUTH_MODE="disabled")
    assert (done.returncode, done.stdout) == (1, "")
    assert "lets us in" in done.stderr


def test_actors_are_readable_where_operators_look(machine: Machine) -> None:
    """Ray's own command finds this Ray by itself."""
    listed = machine.run("ray", "list", "actors", "--format", "json", "--filter", "state=ALIVE", RAY_AUTH_MODE="token")
    found = {actor["name"]: actor["class_name"] for actor in json.loads(listed.stdout)}
    assert found.items() >= {"supervisor": "Supervisor", "reader:gate": "Reader", "reader:yard": "Reader"}.items()
    assert "detector:0" in found


def test_ray_writes_the_dashboards_of_its_metrics_tab(machine: Machine) -> None:
    """Where the containers' Grafana looks for them: tests/deploy/test_deployment.py."""
    written = json.loads((machine.folder / "dashboards" / "default_grafana_dashboard.json").read_text())
    assert written["uid"] == "rayDefaultDashboard"
    assert {variable["name"] for variable in written["templating"]["list"]} >= {"datasource"}


def test_prometheus_reads_all_nodes_by_what_ray_writes_and_the_dashboard_finds_it(machine: Machine, tmp_path: Path) -> None:
    written = machine.ray_folder / "ray" / "session_latest" / "metrics" / "prometheus" / "prometheus.yml"
    port = int(machine.environment["RAY_PROMETHEUS_HOST"].rpartition(":")[2])
    with prometheus(written, port, tmp_path) as server:
        until(lambda: server.values("ray_raycctv_camera_up", "camera").keys() >= {"gate", "yard"}, 90)
        assert server.values("ray_raycctv_camera_up", "camera")["gate"] == 0  # nobody answers
        assert b"running" in ask(machine, "api/prometheus_health", token())


@pytest.mark.parametrize("listing", LISTINGS)
def test_no_listing_holds_a_secret(machine: Machine, listing: str) -> None:
    assert not SECRET.findall(ask(machine, listing, token()))


def test_no_key_value_holds_a_secret(machine: Machine) -> None:
    command = [machine.environment["PATH"].split(":")[0] + "/python", "-c", KEY_VALUES]
    said = subprocess.run(command, env=machine.environment, cwd=machine.folder, capture_output=True, check=True).stdout
    assert len(said) > 1000
    assert not SECRET.findall(said)


def test_no_file_of_ray_or_of_raycctv_holds_a_secret(machine: Machine) -> None:
    files = [path for folder in (machine.ray_folder, machine.folder) for path in folder.rglob("*") if readable(path)]
    assert {"raylet.out", "storage.jsonl", "sink.jsonl", "events.jsonl"} <= {path.name for path in files}
    found = [path for path in files if SECRET.search(path.read_bytes())]
    private = [path for path in found if path.suffix == ".stderr" and path.stat().st_mode & 0o077 == 0]
    assert found == private
    for path in private:  # ffmpeg's last words: its next start, a moment later, takes the password out
        until(lambda path=path: not SECRET.search(path.read_bytes()), 30)  # type: ignore[misc]


def readable(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and "models" not in path.parts and path.name != "secrets.env"


def test_nothing_said_holds_a_secret(machine: Machine) -> None:
    for command in (("status",), ("status", "--json"), ("check", "job/cameras.yaml")):
        done = machine.run("raycctv", *command)
        assert not SECRET.findall((done.stdout + done.stderr).encode())


def test_no_command_line_holds_a_secret_but_that_of_ffmpeg(machine: Machine) -> None:
    """ffmpeg takes a camera's password in its arguments alone: docs/operations.md says who sees it."""
    told = [process for process in psutil.process_iter() if SECRET.search(command_of(process).encode())]
    assert {process.name() for process in told if process.is_running()} <= {"ffmpeg"}


def test_ray_itself_holds_no_secret_in_memory(machine: Machine) -> None:
    """Not the process that remembers every actor's arguments and the key-value store, and not the one that starts actors."""
    servers = [process for process in of_ray(machine) if process.name() in ("gcs_server", "raylet")]
    assert {process.name() for process in servers} == {"gcs_server", "raylet"}
    for process in servers:
        assert not secrets_in_memory(process.pid), process.name()
    reader = json.loads(machine.raycctv("status", "--json"))["reader:gate"]["pid"]
    assert secrets_in_memory(reader)  # who needs it has it, and this search finds it


def secrets_in_memory(pid: int) -> set[bytes]:
    found: set[bytes] = set()
    try:
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            for start, end in writable(pid):
                held = contents(memory, start, end)
                found |= set(SECRET.findall(held)) if b"-of-the-secrets-" in held else set()
    except PermissionError:
        pytest.skip("this machine does not let a process read another's memory")
    return found


def writable(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        where, rights, *_ = line.split()
        if rights.startswith("rw"):
            start, end = (int(part, 16) for part in where.split("-"))
            yield start, end


def contents(memory: Any, start: int, end: int) -> bytes:
    try:
        memory.seek(start)
        read: bytes = memory.read(end - start)
    except (OSError, ValueError):
        return b""
    return read


def test_ray_that_asks_for_no_token_works_and_is_warned_of(tmp_path: Path, weights: Path) -> None:
    """As somebody has started it by hand, long ago."""
    with users_machine(tmp_path) as machine:
        machine.environment |= {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"}
        command = [
            "ray",
            "start",
            "--head",
            "--block",
            "--disable-usage-stats",
            f"--port={free_port()}",
            "--include-dashboard=0",
        ]
        with (tmp_path / "ray.log").open("wb") as log:
            head = subprocess.Popen(command, env=machine.environment, stdout=log, stderr=log)
        try:
            until(lambda: "raycctv does not run" in machine.run("raycctv", "status").stderr, 150)
            done = machine.run("raycctv", "up", machine.write("cameras.yaml", "footage", hall="rtmp://127.0.0.1:1/live/hall"))
            assert done.returncode == 0, done.stderr
            assert "warning: this Ray asks for no token" in done.stderr
            assert machine.status()["reader:hall"]["state"] == "connecting"
            machine.raycctv("down")
        finally:
            head.terminate()
            head.wait(60)
