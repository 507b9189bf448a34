"""A real Prometheus for tests."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from support import until

from raycctv.process import die_with_parent


class Prometheus:
    """Answers on a port of loopback."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            return requests.get(f"{self._url}/-/ready", timeout=2).ok
        except requests.ConnectionError:
            return False

    def values(self, query: str, label: str) -> dict[str, float]:
        """What a query says now, by a label."""
        answer = requests.get(f"{self._url}/api/v1/query", {"query": query}, timeout=10)
        return {series["metric"].get(label, ""): float(series["value"][1]) for series in answer.json()["data"]["result"]}


@contextmanager
def prometheus(configuration: Path, port: int, folder: Path) -> Iterator[Prometheus]:
    """Runs with this configuration; its data goes into ``folder``."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed; scripts/system_packages.sh test does it")
    command = [program, f"--config.file={configuration}", f"--storage.tsdb.path={folder}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
    server = Prometheus(port)
    try:
        until(server.ready, 30)
        yield server
    finally:
        process.terminate()
        process.wait(20)
