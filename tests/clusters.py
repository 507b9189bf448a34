"""Ray clusters of several nodes on this machine, for tests: each node is a raylet of its own."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import ray
from ray.cluster_utils import Cluster
from support import until

from actors import cluster, names
from raycctv.process import DetachedProcess
from raycctv.recording.recorder import RUN_DIR
from raycctv.sealing import SEAL_KEY, private_key


class Nodes:
    """Nodes by name. The head is called ``head`` and keeps no footage.

    Args:
        root: of footage, as the configuration has it, with ``{node}``.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._nodes: dict[str, Any] = {}
        self._cluster = Cluster(
            initialize_head=True, head_node_args={"num_cpus": 4, "node_name": "head", "include_dashboard": False}
        )

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, name: str, *, storage: bool = False, **labels: str) -> None:
        """Start a node, or one that was killed again."""
        resources = {"storage": 1} if storage else {}
        self._nodes[name] = self._cluster.add_node(num_cpus=4, node_name=name, resources=resources, labels=labels)

    def kill(self, name: str) -> None:
        """As if its power were cut: raylet, actors and recorders are gone at once; nothing is told to anybody."""
        node = self._nodes.pop(name)
        raylet = node.all_processes["raylet"][0].process.pid
        of_node = psutil.Process(raylet).children(recursive=True)
        recorders = Path(self._root.replace("{node}", name)) / RUN_DIR
        left = [DetachedProcess.adopt(file.stem, recorders) for file in recorders.glob("*.pid")]
        pids = [raylet, *(process.pid for process in of_node), *(process.pid for process in left if process is not None)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._cluster.remove_node(node, allow_graceful=False)

    def noticed(self, name: str) -> float:
        """Wait until Ray has noticed that a node is gone; returns the seconds that took."""
        return until(lambda: not _alive(name), 60)

    def end(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()  # type: ignore[no-untyped-call]


def _alive(name: str) -> bool:
    return any(node["Alive"] and node["NodeName"] == name for node in ray.nodes())  # type: ignore[no-untyped-call]


@contextmanager
def several_nodes(root: str) -> Iterator[Nodes]:
    """A cluster of our own, and a driver that is connected to it; ended with all that runs there."""
    before = dict(os.environ)
    os.environ.update(cluster._QUIET | {SEAL_KEY: private_key()})
    try:
        made = Nodes(root)
        try:
            ray.init(address=made.address, namespace=names.NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
            yield made
        finally:
            made.end()
    finally:
        os.environ.clear()
        os.environ.update(before)
