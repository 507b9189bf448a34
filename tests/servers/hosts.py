"""Hosts on this machine: each has a network address, processes, a home and a ``/srv`` of its own, and is reached by SSH.

They are Linux namespaces, so they need root. The programs on them are this machine's.
"""

import contextlib
import itertools
import os
import shlex
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import psutil
from support import until

_numbers = itertools.count()

_BOOT = """
sed 's,^root:\\(.*\\):/root:,root:\\1:{home}:,' /etc/passwd > {folder}/passwd
mkdir -p /tmp/ray
mount --bind {folder}/passwd /etc/passwd
mount --bind {folder}/ray /tmp/ray
mount --bind {folder}/srv /srv
mount -t tmpfs none /run
mount -t proc proc /proc
mkdir /run/sshd
hostname {name}
cd /
exec /usr/sbin/sshd -D -e -f /dev/null -h {key} -o StrictModes=no -o PidFile=none -o AcceptEnv=LANG
"""
"""What becomes the first process of a host: when it ends, so do all others."""


@dataclass
class Host:
    """One host. ``folder`` holds its ``home``, its ``srv`` and, as ``ray``, its ``/tmp/ray``."""

    name: str
    address: str
    folder: Path
    init_pid: int = 0

    def run(self, command: str) -> str:
        """What a shell on the host prints, as its root."""
        inside = ["nsenter", "--all", "--target", str(self.init_pid), "env", f"HOME={self.folder}/home", "bash", "-c", command]
        return subprocess.run(inside, capture_output=True, text=True, check=True).stdout


class Hosts:
    """Hosts in a network of their own, with an SSH key that all of them accept."""

    def __init__(self, folder: Path, count: int) -> None:
        number = (os.getpid() + next(_numbers)) % 250
        self._bridge, self._net = f"rcctv{number}", f"10.213.{number}"
        self._folder = folder
        self.key = folder / "key"
        self.hosts = [Host(f"host{i}", f"{self._net}.{10 + i}", folder / f"host{i}") for i in range(count)]
        self._stack = ExitStack()

    def __enter__(self) -> "Hosts":
        self._folder.mkdir(parents=True, exist_ok=True)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        with self._stack:
            _run("ip", "link", "add", self._bridge, "type", "bridge")
            self._stack.callback(_run, "ip", "link", "del", self._bridge)
            _run("ip", "addr", "add", f"{self._net}.1/24", "dev", self._bridge)
            _run("ip", "link", "set", self._bridge, "up")
            for host in self.hosts:
                self._boot(host)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._stack.close()

    def _boot(self, host: Host) -> None:
        home = host.folder / "home"
        for folder in (home / ".ssh", home / ".cache", host.folder / "ray", host.folder / "srv"):
            folder.mkdir(parents=True)
        (home / ".ssh" / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        quoted = {"folder": host.folder, "home": home, "key": self.key, "name": host.name}
        script = _BOOT.format(**{key: shlex.quote(str(value)) for key, value in quoted.items()})
        apart = ["unshare", "--net", "--pid", "--mount", "--uts", "--ipc", "--fork", "--kill-child", "--propagation", "private"]
        with (host.folder / "sshd.log").open("wb") as said:
            outer = subprocess.Popen([*apart, "sh", "-euc", script], stdout=said, stderr=said)
        self._stack.callback(_end, outer)
        until(lambda: bool(psutil.Process(outer.pid).children()), 10)
        host.init_pid = psutil.Process(outer.pid).children()[0].pid
        self._connect(host)
        until(lambda: b"listening" in (host.folder / "sshd.log").read_bytes(), 10)

    def _connect(self, host: Host) -> None:
        outside = f"{self._bridge}{host.name}"[-15:]
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", str(host.init_pid))
        _run("ip", "link", "set", outside, "master", self._bridge, "up")
        inside = ("nsenter", "--net", "--target", str(host.init_pid), "ip")
        _run(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run(*inside, "link", "set", device, "up")
        _run(*inside, "route", "add", "default", "via", f"{self._net}.1")


def possible() -> bool:
    """Whether this machine lets us make hosts."""
    tried = ["unshare", "--net", "--pid", "--mount", "--fork", "sh", "-c", "mount -t proc proc /proc && ip link set lo up"]
    return os.geteuid() == 0 and subprocess.run(tried, capture_output=True, check=False).returncode == 0


def _end(outer: "subprocess.Popen[bytes]") -> None:
    """End a host's first process, and with it the host."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for init in psutil.Process(outer.pid).children():
            init.send_signal(signal.SIGKILL)
    outer.wait(20)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
