"""Ray clusters of several nodes on this machine, for tests: each is what ``ray start`` starts on a machine of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import ray
from support import until

from actors import cluster
from raycctv.process import DetachedProcess, die_with_parent
from raycctv.recording.recorder import RUN_DIR
from raycctv.rtmp.server import free_port
from raycctv.sealing import SEAL_KEY, private_key

HEAD = "head"
START_S = 180.0


class Nodes:
    """Nodes by name. The head is called ``head`` and keeps no footage.

    Args:
        root: of footage, as the configuration has it, with ``{node}``.
        environment: of every node.
    """

    def __init__(self, root: str, environment: Mapping[str, str]) -> None:
        self._root = root
        self._environment = dict(environment)
        self._port = free_port()
        self._nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.start_head()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start_head(self) -> None:
        """Start the head, or another one in its place."""
        Path(self._environment["RAY_TMPDIR"], "ray", "ray_current_cluster").unlink(missing_ok=True)  # nodes here are no head
        options = [f"--port={self._port}", "--include-dashboard=false", f"--ray-client-server-port={free_port()}"]
        self._start(HEAD, "--head", *options)

    def add(self, name: str, *, storage: bool = False, **labels: str) -> None:
        """Start a node, or one that was killed again; returns before it is alive.

        Wait for it before the next: of two that start at once on a machine, both may take the same socket.
        """
        resources = json.dumps({"storage": 1} if storage else {})
        self._start(name, f"--address={self.address}", f"--resources={resources}", f"--labels={_joined(labels)}")

    def kill(self, name: str) -> None:
        """As if its power were cut: raylet, actors and recorders are gone at once, and nobody is told anything."""
        pids = [process.pid for process in self._processes(name)] + self._recorders(name)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._nodes.pop(name).wait()

    def kill_ray(self, name: str) -> None:
        """All of Ray on a node; its recorders are not Ray's."""
        for process in self._processes(name):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._nodes.pop(name).wait()

    def run(self, code: str) -> str:
        """Run Python with the cluster connected, in a process of its own; returns what it prints."""
        whole = f"from actors import cluster\nwith cluster.connected({self.address!r}):\n    {code}"
        command = [sys.executable, "-c", whole]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True).stdout

    def await_alive(self, count: int) -> None:
        """Wait until so many nodes are alive."""
        self.run(f"import ray, time\n    while len([n for n in ray.nodes() if n['Alive']]) < {count}: time.sleep(0.1)")

    def end(self) -> None:
        for name in list(self._nodes):
            self.kill(name)

    def _start(self, name: str, *options: str) -> None:
        command = [
            cluster._ray(), "start", "--block", "--disable-usage-stats", "--node-ip-address=127.0.0.1", f"--node-name={name}",
            "--num-cpus=4", "--object-store-memory=150000000", "--min-worker-port=0", "--max-worker-port=0",
            f"--dashboard-agent-listen-port={free_port()}", *options,
        ]  # fmt: skip
        log = Path(self._environment["RAY_TMPDIR"], f"{name}.log")
        with log.open("wb") as output:
            self._nodes[name] = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                preexec_fn=die_with_parent,
            )  # fmt: skip
        if name == HEAD:
            until(lambda: _answers(self._port), START_S)

    def _processes(self, name: str) -> list[psutil.Process]:
        node = psutil.Process(self._nodes[name].pid)
        return [node, *node.children(recursive=True)]

    def _recorders(self, name: str) -> list[int]:
        run_dir = Path(self._root.replace("{node}", name)) / RUN_DIR
        found = [DetachedProcess.adopt(file.stem, run_dir) for file in run_dir.glob("*.pid")]
        return [process.pid for process in found if process is not None]


def alive() -> set[str]:
    """Names of the nodes that Ray takes for alive."""
    return {node["NodeName"] for node in ray.nodes() if node["Alive"]}  # type: ignore[no-untyped-call]


def noticed(name: str) -> float:
    """Wait until Ray has noticed that a node is gone; returns the seconds that took."""
    return until(lambda: name not in alive(), 60)


def joined(*names: str) -> None:
    """Wait until these nodes are alive."""
    until(lambda: set(names) <= alive(), START_S)


def _joined(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


@contextmanager
def several_nodes(root: str, environment: Mapping[str, str] | None = None, *, connect: bool = True) -> Iterator[Nodes]:
    """A cluster of our own, which begins with a head; ended with all that runs there.

    Args:
        environment: of every node.
        connect: be a driver of it. One does not outlive the head.
    """
    before = dict(os.environ)
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # where sockets lie, whose paths must be short
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(os.environ.update, before)
        stack.callback(os.environ.clear)
        os.environ.update(
            cluster._QUIET | {SEAL_KEY: private_key(), "RAY_TMPDIR": str(folder), "RAY_raylet_start_wait_time_s": "150"}
        )
        cluster._authenticate()
        nodes = Nodes(root, {**os.environ, **(environment or {})})
        stack.callback(nodes.end)
        if connect:
            stack.enter_context(cluster.connected(nodes.address))
        yield nodes
