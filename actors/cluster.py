"""Reaching a Ray cluster, and raycctv on it."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._raylet import Config as RayConfig  # type: ignore[attr-defined]  # Cython, without stubs
from ray.exceptions import RayError

from actors import names, nodes
from actors.fleet import handle, running_names
from actors.options import options
from actors.supervisor import Supervisor
from actors.unwrapping import last_line, own_errors
from raycctv.config import Config
from raycctv.errors import ClusterError, ConfigError
from raycctv.process import DetachedProcess
from raycctv.sealing import SEAL_KEY, Sealed, private_key
from raycctv.types import CameraName, Watch

_LOOPBACK = "127.0.0.1"
_SPELT_OTHERWISE = "127.000.000.001"
"""The same, spelt as Ray 2.60 does not know it: ``127.0.0.1`` and ``localhost`` it takes for the machine's address on the
network, where a Ray on loopback does not answer. Source: _private/services.py, resolve_ip_for_localhost."""

_ON_LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""``0`` puts every port of a Ray that starts on loopback, on Linux too. Source: Ray 2.60, _private/services.py,
get_node_ip_address; src/ray/rpc/grpc_server.cc."""

_HEAD = "ray-head"
_START_S = 180.0
_START_EACH_S = 10.0
"""What each camera may add where few cores start many processes."""

_SUPERVISOR_CPUS = 0.01
"""Ray 2.60 heeds a wish for a node only of what reserves something."""

_STOP_S = 30.0
_ANSWER_S = 30.0
_SAMPLE_S = 5.0
_OBJECT_STORE_BYTES = 200_000_000
"""Crops are the only large objects, 270 kB each and gone at once."""

_JOB_COPY = "working_dir_files"
"""Where Ray puts the copy of a job's working directory. Source: Ray 2.60, _private/runtime_env/working_dir.py."""

_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray 2.60 warns about a default that it is going to change
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent from a machine that watches cameras
    "RAY_TIME_BETWEEN_ACTOR_RESTARTS_MS": "500",
    "RAY_worker_niceness": "0",  # each actor takes its own: without rights none can take back what Ray gives away (15)
    "RAY_max_direct_call_object_size": "1200000",  # four crops travel within the call, at half the cost of the object store
    # what Ray does by itself, a third as often: benchmarks/ray_transfer.py
    "LOG_NAME_UPDATE_INTERVAL_S": "30",
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
    "REPORTER_UPDATE_INTERVAL_MS": "15000",
    "RAY_metrics_report_interval_ms": "15000",
    "RAY_raylet_report_resources_period_milliseconds": "1000",
    "RAY_gcs_pull_resource_loads_period_milliseconds": "10000",
    "RAY_memory_monitor_refresh_ms": "1000",
    "RAY_kill_idle_workers_interval_ms": "5000",
    "RAY_raylet_check_gc_period_milliseconds": "2000",
    # a node that is gone is noticed after 5 s, by default after 15; one that hangs, after 15
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    # what would grow for half an hour: calls that are remembered (by default 100000), and holes that glibc leaves in its heaps
    "RAY_task_events_max_num_task_in_gcs": "2000",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "16777216",
}
"""Settings of a Ray that we start. Those of one that others have started are theirs."""


@contextmanager
def private_cluster(cpus: int | None = None) -> Iterator[None]:
    """A Ray of our own on this machine, without a dashboard, gone at the end.

    Raises:
        ClusterError: it does not start.
    """
    os.environ.update(_QUIET)
    with _apart(), redirect_stdout(sys.stderr):  # what Ray has to say is no answer of ours
        try:
            ray.init(
                address="local", num_cpus=cpus, include_dashboard=False, namespace=names.NAMESPACE,
                object_store_memory=_OBJECT_STORE_BYTES, log_to_driver=False, logging_level=logging.ERROR,
            )  # fmt: skip
        except Exception as error:  # Ray 2.60 raises just that when a node does not come up in its 30 s
            ray.shutdown()
            raise ClusterError(f"Ray did not start: {last_line(error)}") from error
        try:
            yield
        finally:
            ray.shutdown()


@contextmanager
def _apart() -> Iterator[None]:
    """A Ray that starts here is this machine's alone: on loopback, and with a key of its own for what is sealed.

    The machine's token may come, go or change meanwhile.
    """
    own = {_ON_LOOPBACK: "0", SEAL_KEY: private_key()}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    ray_constants.ENABLE_RAY_CLUSTER = False  # what Ray has read of it when it was imported
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before[_ON_LOOPBACK] != "0"
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def connected(address: str | None) -> Iterator[str]:
    """Connected to the cluster at ``address``, or where None to the one that this machine belongs to.

    Yields the URL of its dashboard, empty where it has none.

    Raises:
        ClusterError: there is none.
    """
    os.environ.update(_QUIET)
    _authenticate()
    where = address or local_address()
    if where is None:
        raise ClusterError("no Ray cluster runs on this machine; `raycctv up CONFIG` starts one")
    try:
        context = ray.init(address=_here(where), namespace=names.NAMESPACE, log_to_driver=False, logging_level=logging.CRITICAL)
    except (ConnectionError, RayError, ValueError, TimeoutError, RuntimeError) as error:
        raise ClusterError(f"no Ray cluster lets us in at {where}; `ray status --address {where}` says more") from error
    try:
        with redirect_stdout(sys.stderr):
            yield f"http://{context.dashboard_url}" if context.dashboard_url else ""
    finally:
        ray.shutdown()


def local_address() -> str | None:
    """The cluster that this machine belongs to: ``RAY_ADDRESS``, else that of the last ``ray start`` here, if it answers.

    Ray's own ``auto`` would also take any other Ray that happens to run here, such as a demo's.
    """
    if os.environ.get("RAY_ADDRESS"):
        return os.environ["RAY_ADDRESS"]
    try:
        address = _last_started().read_text().strip()
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=2):
            return address
    except (OSError, ValueError):
        return None


def _here(address: str) -> str:
    """An address on loopback such that Ray looks for it there."""
    host, _, port = address.rpartition(":")
    return f"{_SPELT_OTHERWISE}:{port}" if host in (_LOOPBACK, "localhost") else address


def start_head(dashboard_port: int = 8265) -> None:
    """Start a Ray head on this machine that goes on after this process, all its ports on loopback.

    They ask for Ray's token besides, which lies in ``~/.ray/auth_token`` for this user alone. Other machines cannot join it:
    a cluster of several is one that ``ray up`` or ``ray start`` has started.

    Raises:
        ClusterError: it did not start; holds Ray's last words.
    """
    port = _free_port()
    command = [
        _ray(), "start", "--head", "--block", "--disable-usage-stats", f"--port={port}", "--include-dashboard=true",
        f"--dashboard-host={_LOOPBACK}", f"--dashboard-port={dashboard_port}", f"--object-store-memory={_OBJECT_STORE_BYTES}",
        f"--dashboard-agent-listen-port={_free_port()}",  # where other Rays run, its own choice is taken
    ]  # fmt: skip
    os.environ.update(_QUIET | {_ON_LOOPBACK: "0"})
    if not _has_token():
        subprocess.run([_ray(), "get-auth-token", "--generate"], capture_output=True, check=False)
        with suppress(OSError):
            _token_file().chmod(0o600)
    _authenticate()
    stop_head()
    head = DetachedProcess.start(_HEAD, command, _run_dir())
    deadline_s = time.monotonic() + _START_S
    while not (local_address() or "").endswith(f":{port}"):
        if not head.alive() or time.monotonic() > deadline_s:
            head.stop()
            raise ClusterError(f"Ray did not start: {head.last_words() or 'it said nothing'}")
        time.sleep(0.05)
    _last_started().write_text(_here(f"{_LOOPBACK}:{port}"))  # for Ray's own commands


def stop_head() -> bool:
    """End the Ray head that :func:`start_head` started, and nobody else's. Returns whether there was one."""
    head = DetachedProcess.adopt(_HEAD, _run_dir())
    if head is not None:
        head.stop(_STOP_S)
    return head is not None


def running() -> Any | None:
    """The supervisor, if raycctv runs on the connected cluster."""
    try:
        return ray.get_actor(names.SUPERVISOR, namespace=names.NAMESPACE)
    except ValueError:
        return None


def deploy(config: Config, watch: Watch = lambda *_: None, file: Path | None = None) -> Any:
    """Make the cluster run ``config``; returns the supervisor when every actor has started that can.

    What already runs as wanted is not touched; see :func:`actors.reconcile.reconcile`.

    Args:
        watch: is told, about once a second, how many actors have started.
        file: that the configuration was read from, which the console changes; None leaves it as it was.

    Raises:
        RaycctvError: what hindered an actor: weights missing, a folder that cannot be written.
        ConfigError: footage or logs would go with Ray's copy of a job's working directory.
        ClusterError: the actors did not start in time.
    """
    _check_lasting("recording.root", config.recording.root)
    _check_lasting("logs.dir", config.logs.dir)
    supervisor = running()
    if supervisor is None:
        kind: Any = Supervisor
        head = next(node for node in nodes.alive() if node.head)
        chosen = options("supervisor", names.SUPERVISOR, min(_SUPERVISOR_CPUS, head.cpus))
        supervisor = kind.options(**chosen, scheduling_strategy=nodes.on(head.id, soft=True)).remote()
    timeout_s = _START_S + _START_EACH_S * len(config.cameras)
    _apply(supervisor, config, file, timeout_s)
    _await_actors(supervisor, timeout_s, watch)
    return supervisor


def reload(config: Config, watch: Watch = lambda *_: None, file: Path | None = None) -> dict[str, list[str]]:
    """Make the raycctv that runs on the cluster run ``config`` instead, touching only what changed.

    Returns the names of cameras ``added``, ``changed`` and ``removed``. May be called by an actor, which must not be one that
    the supervisor starts.

    Raises:
        ClusterError: it does not run.
        RaycctvError: as for :func:`deploy`.
    """
    _check_lasting("recording.root", config.recording.root)
    _check_lasting("logs.dir", config.logs.dir)
    supervisor = running()
    if supervisor is None:
        raise ClusterError("raycctv does not run on this Ray cluster; `raycctv up CONFIG` starts it")
    timeout_s = _START_S + _START_EACH_S * len(config.cameras)
    changed = _apply(supervisor, config, file, timeout_s)
    _await_actors(supervisor, timeout_s, watch)
    return changed


def _apply(supervisor: Any, config: Config, file: Path | None, timeout_s: float) -> dict[str, list[str]]:
    with own_errors("the supervisor does not answer"):
        asked: Any = supervisor.apply.remote(Sealed.of(config), file)
        changed: dict[str, list[str]] = ray.get(asked, timeout=timeout_s + _ANSWER_S)
    return changed


def _await_actors(supervisor: Any, timeout_s: float, watch: Watch) -> None:
    deadline_s = time.monotonic() + timeout_s + _ANSWER_S
    with own_errors("the actors did not start"):
        ready: Any = supervisor.ready.remote(timeout_s)
        while not ray.wait([ready], timeout=0)[0] and time.monotonic() < deadline_s:
            watch("starting actors", *ray.get(supervisor.started.remote(), timeout=timeout_s + _ANSWER_S))
        ray.get(ready, timeout=_ANSWER_S)


def _check_lasting(key: str, folder: Path) -> None:
    if _JOB_COPY in folder.parts:
        raise ConfigError(
            f"{key}: {folder} lies in Ray's copy of the working directory and goes with it; write /an/absolute/folder"
        )


def status(supervisor: Any) -> dict[str, Any]:
    """The status of every actor under its name.

    Raises:
        ClusterError: the supervisor does not answer.
    """
    with own_errors("the supervisor does not answer"):
        answer: dict[str, Any] = dict(ray.get(supervisor.status.remote(), timeout=_ANSWER_S))
    return answer


def in_a_job() -> bool:
    """Whether this process is a submitted job, whose output everybody reads who sees the dashboard."""
    return "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ


def first_password() -> tuple[str, str] | None:
    """Name and password of the console's first administrator, where it was made now; told once."""
    with own_errors("the console does not answer"):
        told: tuple[str, str] | None = ray.get(handle(names.CONSOLE).first_password.remote(), timeout=_ANSWER_S)
    return told


def readers() -> list[Any]:
    """The readers that run, to be sampled."""
    return [handle(name) for name in running_names() if names.kind_of(name) == "reader"]


def sample(readers: Iterable[Any]) -> dict[CameraName, dict[str, Any]]:
    """What readers have gathered by camera since they were last asked; nothing of one that does not answer now."""
    asked: list[Any] = [reader.sample.remote() for reader in readers]
    answered, _ = ray.wait(asked, num_returns=len(asked), timeout=_SAMPLE_S)
    samples: dict[CameraName, dict[str, Any]] = {}
    for reference in answered:
        with suppress(RayError):
            samples |= ray.get(reference)
    return samples


def undeploy(supervisor: Any, *, keep_recording: bool = False) -> None:
    """End raycctv on the cluster; Ray itself goes on."""
    with own_errors("the actors did not stop"):
        ray.get(supervisor.stop.remote(keep_recording), timeout=_START_S)
    ray.kill(supervisor)


def _authenticate() -> None:
    """Show this machine's token to clusters that ask for one, which those that :func:`start_head` starts do.

    Ray's own ``ray start`` does so wherever there is a token, ``ray.init`` only when told. It has read its settings when it
    was imported, and must read them again. Source: Ray 2.60, _private/authentication/authentication_token_setup.py.
    """
    if "RAY_AUTH_MODE" not in os.environ and _has_token():
        os.environ["RAY_AUTH_MODE"] = "token"
        RayConfig.initialize("")


def _has_token() -> bool:
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    return named or _token_file().is_file()


def _token_file() -> Path:
    return Path.home() / ".ray" / "auth_token"


def _last_started() -> Path:
    """Where ``ray start`` writes its address. Source: Ray 2.60, _common/utils.py, get_ray_address_file."""
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - Ray's own choice
    return Path(folder, "ray", "ray_current_cluster")


def _run_dir() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "raycctv", "run")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _ray() -> str:
    """Ray's command line, the one beside this Python."""
    beside = Path(sys.executable).with_name("ray")
    return str(beside) if beside.exists() else shutil.which("ray") or "ray"
