"""A Redis for a Ray head that keeps its state there."""

import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from typing import Self

import pytest
from support import until

from raycctv.process import die_with_parent
from raycctv.rtmp.server import free_port


class Redis:
    """On loopback, in memory, gone at the end. Tests are skipped where there is none."""

    def __init__(self) -> None:
        self.port = free_port()

    @property
    def environment(self) -> dict[str, str]:
        """What a Ray head needs to use it."""
        return {"RAY_REDIS_ADDRESS": f"127.0.0.1:{self.port}", "RAY_external_storage_namespace": "raycctv"}

    def __enter__(self) -> Self:
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("there is no redis-server; Debian's package is called so")
        self._folder = tempfile.mkdtemp(prefix="redis")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        until(self._answers, 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False
