"""Reaching a Ray cluster, and raycctv on it."""

import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from actors import names
from actors.options import options
from actors.supervisor import Supervisor
from raycctv.config import Config, digest
from raycctv.errors import ClusterError, RaycctvError

_START_S = 180.0
_ANSWER_S = 30.0
_OBJECT_STORE_BYTES = 200_000_000
"""Crops are the only large objects, 270 kB each and gone at once."""

_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray 2.60 warns about a default that it is going to change
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent from a machine that watches cameras
    "RAY_TIME_BETWEEN_ACTOR_RESTARTS_MS": "500",
}


@contextmanager
def private_cluster(cpus: int | None = None) -> Iterator[None]:
    """A Ray of our own on this machine, without a dashboard, gone at the end."""
    os.environ.update(_QUIET)
    ray.init(
        address="local", num_cpus=cpus, include_dashboard=False, namespace=names.NAMESPACE,
        object_store_memory=_OBJECT_STORE_BYTES, log_to_driver=False, logging_level=logging.ERROR,
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connected to the cluster at ``address``, or where None to the one that this machine belongs to.

    Raises:
        ClusterError: there is none.
    """
    os.environ.update(_QUIET)
    try:
        ray.init(address=address or "auto", namespace=names.NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RayError, ValueError, TimeoutError, RuntimeError) as error:
        where = f"at {address}" if address else "on this machine"
        raise ClusterError(f"no Ray cluster answers {where}; `raycctv up CONFIG` starts one") from error
    try:
        yield
    finally:
        ray.shutdown()


def start_head(dashboard_port: int = 8265) -> None:
    """Start a Ray head on this machine that goes on after this process, with its dashboard on loopback.

    Raises:
        ClusterError: it did not start; holds Ray's last words.
    """
    command = [
        _ray(), "start", "--head", "--disable-usage-stats", "--node-ip-address=127.0.0.1", "--port=0",
        "--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard_port}",
        f"--object-store-memory={_OBJECT_STORE_BYTES}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **_QUIET}, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise ClusterError(f"ray start failed: {' '.join(words)}")


def stop_head() -> None:
    """End every Ray process of this machine."""
    subprocess.run([_ray(), "stop"], capture_output=True, check=False)


def running() -> Any | None:
    """The supervisor, if raycctv runs on the connected cluster."""
    try:
        return ray.get_actor(names.SUPERVISOR, namespace=names.NAMESPACE)
    except ValueError:
        return None


def deploy(config: Config) -> Any:
    """Make the cluster run ``config``; returns the supervisor when every actor has started.

    What already runs as wanted is not touched; see :func:`actors.reconcile.reconcile`.

    Raises:
        RaycctvError: what hindered an actor: weights missing, a folder that cannot be written.
        ClusterError: the actors did not start in time.
    """
    supervisor = running()
    if supervisor is not None and str(ray.get(supervisor.digest.remote(), timeout=_START_S)) != digest(config):
        ray.kill(supervisor)
        _await_gone()
        supervisor = None
    if supervisor is None:
        kind: Any = Supervisor
        supervisor = kind.options(**options("supervisor", names.SUPERVISOR)).remote(config)
    with _own_errors("the actors did not start"):
        ray.get(supervisor.ready.remote(), timeout=_START_S)
    return supervisor


def status(supervisor: Any) -> dict[str, Any]:
    """The status of every actor under its name.

    Raises:
        ClusterError: the supervisor does not answer.
    """
    with _own_errors("the supervisor does not answer"):
        answer: dict[str, Any] = dict(ray.get(supervisor.status.remote(), timeout=_ANSWER_S))
    return answer


def undeploy(supervisor: Any, *, keep_recording: bool = False) -> None:
    """End raycctv on the cluster; Ray itself goes on."""
    with _own_errors("the actors did not stop"):
        ray.get(supervisor.stop.remote(keep_recording), timeout=_START_S)
    ray.kill(supervisor)


@contextmanager
def _own_errors(what: str) -> Iterator[None]:
    """Ray's wrappers off: an error that an actor raised on purpose is that error, everything else a ClusterError."""
    try:
        yield
    except RayTaskError as error:
        raise _cause(error, what) from error
    except GetTimeoutError as error:
        raise ClusterError(f"{what} in time; `ray list actors` shows which") from error
    except RayError as error:
        raise _cause(error, what) from error


def _cause(error: BaseException, what: str) -> RaycctvError:
    """The RaycctvError at the bottom of Ray's chain of wrappers, or a ClusterError with its last line."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RaycctvError):
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    last = [line.strip() for line in str(error).splitlines() if line.strip()][-1:]
    return ClusterError(f"{what}: {' '.join(last) or type(error).__name__}")


def _await_gone() -> None:
    """Until Ray has taken the supervisor's name back."""
    deadline = time.monotonic() + _ANSWER_S
    while running() is not None and time.monotonic() < deadline:
        time.sleep(0.02)


def _ray() -> str:
    """Ray's command line, the one beside this Python."""
    beside = Path(sys.executable).with_name("ray")
    return str(beside) if beside.exists() else shutil.which("ray") or "ray"
