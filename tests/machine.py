"""A user's machine, on which the commands run: with a Ray of its own, and nothing that another test has."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from support import until

from raycctv.detection.models import models_dir
from raycctv.rtmp.server import free_port

BIN = Path(sys.executable).parent


class Machine:
    """A user's machine: its own cache, Ray's own temporary folder, and the commands."""

    def __init__(self, folder: Path, ray_folder: Path) -> None:
        self.folder, self.ray_folder = folder, ray_folder
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

    def submit(self, folder: Path, *command: str) -> str:
        """What a job says that runs ``command`` in a copy of ``folder``.

        Ray's dashboard is up before the agent that takes its jobs; until then it refuses them.
        """
        said = ""
        address = f"http://127.0.0.1:{self.dashboard_port}"
        whole = ("ray", "job", "submit", "--address", address, "--working-dir", str(folder), "--", *command)

        def taken() -> bool:
            nonlocal said
            done = self.run(*whole, RAY_AUTH_MODE="token")
            said = done.stdout + done.stderr
            return "No available agent to submit job" not in said

        until(taken, 90)
        return said

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.raycctv("status", "--json"))
        return answer

    def write(self, name: str, root: str, **cameras: str) -> str:
        text = "".join(f"  {camera}: {{source: '{url}'}}\n" for camera, url in cameras.items())
        settings = f"recording: {{root: {root}, segment_s: 5}}\nlogs: {{dir: {root}/log}}\n"
        (self.folder / name).write_text(f"cameras:\n{text}{settings}")
        return name


@contextmanager
def users_machine(folder: Path) -> Iterator[Machine]:
    """A machine whose user works in ``folder``; nothing of it is left at the end."""
    ray_folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    made = Machine(folder, ray_folder)
    yield made
    made.run("raycctv", "down")
    shutil.rmtree(ray_folder)
    assert not [process for process in psutil.process_iter() if str(ray_folder) in command_of(process)]


def command_of(process: psutil.Process) -> str:
    """Its command line; empty when it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
