"""cluster.yaml with Ray's own launcher, against real sshd on hosts of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from servers.hosts import Hosts, possible
from support import until

from raycctv.detection.models import models_dir

REPOSITORY = Path(__file__).resolve().parents[2]
VENV = Path(sys.prefix)
NEED_NETWORK = ("system_packages.sh", "virtual_environment.sh", "npm", "models install")
"""Set-up commands that fetch something. The test has it already: the hosts share this machine's programs and weights."""


def read(name: str) -> dict[str, Any]:
    wanted: dict[str, Any] = yaml.safe_load((REPOSITORY / name).read_text())
    return wanted


@pytest.mark.parametrize("name", ["cluster.yaml", "deploy/cluster-aws.yaml"])
def test_ray_takes_the_configuration(name: str) -> None:
    prepared = prepare_config(read(name))
    validate_config(prepared)


def test_every_set_up_command_names_what_is_there() -> None:
    said = " ".join(read("cluster.yaml")["setup_commands"] + read("deploy/cluster-aws.yaml")["setup_commands"])
    for script in ("scripts/system_packages.sh", "scripts/virtual_environment.sh", "requirements/npm.txt"):
        assert script in said
        assert (REPOSITORY / script).is_file()
    assert all(any(word in said for word in (needed, needed.upper())) for needed in NEED_NETWORK)


class Launcher:
    """Ray's launcher on the installer's machine, whose home has a token."""

    def __init__(self, folder: Path, hosts: Hosts) -> None:
        self._folder, self.hosts = folder, hosts
        self.name = f"raycctv-test-{os.getpid()}"
        home = folder / "home"
        (home / ".ray").mkdir(parents=True)
        self.token = home / ".ray" / "auth_token"
        self.token.write_text("0123456789abcdef" * 4)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.environment = {
            **kept, "HOME": str(home), "RAY_USAGE_STATS_ENABLED": "0", "PATH": f"{VENV}/bin:{os.environ['PATH']}",
        }  # fmt: skip
        self.config = folder / "cluster.yaml"
        self.config.write_text(yaml.safe_dump(self._shortened()))

    def _shortened(self) -> dict[str, Any]:
        head, *workers = self.hosts.hosts
        wanted = read("cluster.yaml")
        wanted["cluster_name"] = self.name
        wanted["provider"] |= {"head_ip": head.address, "worker_ips": [host.address for host in workers]}
        wanted["auth"] = {"ssh_user": "root", "ssh_private_key": str(self.hosts.key)}
        wanted["file_mounts"] |= {"~/raycctv": str(REPOSITORY), "~/.ray/auth_token": str(self.token)}
        kept = [command for command in wanted["setup_commands"] if not any(word in command for word in NEED_NETWORK)]
        wanted["setup_commands"] = [
            f"ln -sfn {VENV} ~/raycctv/.venv; mkdir -p ~/.cache/raycctv; ln -sfn {models_dir()} ~/.cache/raycctv/models",
            "grep -q PYTHONPATH ~/.bashrc || echo 'export PYTHONPATH=$HOME/raycctv' >> ~/.bashrc",
            *kept,
        ]
        return wanted

    def ray(self, verb: str, *arguments: str, check: bool = True) -> str:
        """What a command of the launcher says."""
        command = ["ray", verb, *(["--yes"] if verb in ("up", "down") else []), str(self.config), *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.environment, cwd=self._folder, timeout=400, check=False
        )
        said = done.stdout + done.stderr
        assert not check or done.returncode == 0, said
        return said


@pytest.fixture
def launcher(tmp_path: Path, weights: Path) -> Iterator[Launcher]:
    if not possible():
        pytest.skip("hosts of our own need root and Linux namespaces")
    with Hosts(tmp_path / "hosts", 2) as hosts:
        made = Launcher(tmp_path, hosts)
        yield made
    for state in Path("/tmp/ray").glob(f"cluster-{made.name}.*"):  # noqa: S108 - where Ray's launcher remembers clusters
        state.unlink()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_cluster_goes_up_runs_cameras_and_goes_down(launcher: Launcher, tmp_path: Path) -> None:
    head, worker = launcher.hosts.hosts
    worker.run("mkdir /srv/footage && mount -t tmpfs none /srv/footage")
    launcher.ray("up")
    until(lambda: "1.0 storage" in launcher.ray("exec", "ray status", check=False), 180)  # the worker has joined
    stranger = [sys.executable, "-c", f"import ray; ray.init('{head.address}:6379')"]
    refused = subprocess.run(
        stranger, env={**launcher.environment, "RAY_AUTH_MODE": "disabled"}, capture_output=True, check=False
    )
    assert refused.returncode != 0
    assert b"AuthenticationError" in refused.stderr
    (tmp_path / "cameras.yaml").write_text(
        "cameras: {gate: {source: 'rtmp://127.0.0.1:1/live/gate'}}\n"
        "recording: {root: /srv/footage}\nlogs: {dir: /srv/footage/log}\n"
    )
    launcher.ray("rsync-up", "cameras.yaml", "~/cameras.yaml")
    said = launcher.ray("submit", str(REPOSITORY / "scripts" / "submit.py"), "up", "cameras.yaml")
    assert "running 1 cameras; Ray dashboard: http://127.0.0.1:8265" in said
    said = launcher.ray("exec", "raycctv status --json")
    status = json.loads(said[said.index("{") : said.rindex("}") + 1])
    assert {name.partition(":")[0] for name in status} == {"sink", "storage", "detector", "reader"}
    assert status["storage:host1"]["node"] == "host1"  # whose disk it is
    listed = launcher.ray("exec", "ray list actors")
    assert "reader:gate" in listed
    launcher.ray("exec", "raycctv down")
    launcher.ray("down")
    until(lambda: not any("raylet" in host.run("ps ax") for host in (head, worker)), 60)
