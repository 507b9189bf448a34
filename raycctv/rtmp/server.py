"""A local nginx with the RTMP module, for the demo, the load test and the tests. Runs as whoever starts it."""

import getpass
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

import psutil

from raycctv.errors import ServerError
from raycctv.process import die_with_parent
from raycctv.rtmp.config import APPLICATION, RtmpSettings, find_module, render

_READY_S = 10.0
_STOP_S = 5.0
_ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class StreamStat:
    """One stream as the server sees it.

    Attributes:
        publishing: whether its camera is connected; players alone make a stream too.
        clients: connections, the camera's included.
    """

    name: str
    publishing: bool
    clients: int
    bytes_in: int
    bytes_out: int


class RtmpServer:
    """Runs while used as a context manager, and ends with its owner even when that is killed.

    Args:
        folder: for its configuration, log and temporary files.
        rtmp_port, http_port: free ones are chosen where None.
    """

    def __init__(self, folder: Path, rtmp_port: int | None = None, http_port: int | None = None) -> None:
        self.rtmp_port = rtmp_port or free_port()
        self.http_port = http_port or free_port()
        self._folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def url(self, stream: str) -> str:
        """Where ``stream`` is published and played."""
        return f"rtmp://{_ADDRESS}:{self.rtmp_port}/{APPLICATION}/{stream}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: nginx or its module is missing, a port is in use, or nginx refuses to run.
        """
        for port in (self.rtmp_port, self.http_port):
            _check_free(port)
        command = [*_nginx(), "-c", str(self._write_configuration()), "-p", str(self._folder), "-e", str(self._error_log)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
        deadline = time.monotonic() + _READY_S
        while not self._answers():
            if self._process.poll() is not None:
                raise ServerError(f"nginx does not run: {self._last_words()}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServerError(f"nginx did not answer on port {self.http_port} within {_READY_S:g} s: {self._last_words()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it; players and publishers are cut off. Idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._process = None

    def restart(self) -> None:
        """Stop and start on the same ports."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """The master and its workers, for accounting; none where it does not run."""
        if self._process is None or self._process.poll() is not None:
            return []
        return [self._process.pid, *(child.pid for child in psutil.Process(self._process.pid).children())]

    def streams(self) -> list[StreamStat]:
        """What is published and played now.

        Raises:
            ServerError: it does not answer.
        """
        try:
            with urllib.request.urlopen(self._stat_url, timeout=5) as answer:  # noqa: S310 - as the line below
                document = ElementTree.fromstring(answer.read())  # noqa: S314 - our own server on loopback
        except (OSError, ElementTree.ParseError) as error:
            raise ServerError(f"the RTMP server does not answer at {self._stat_url}: {error}") from error
        return [_stat(stream) for stream in document.iterfind("./server/application/live/stream")]

    @property
    def _stat_url(self) -> str:
        return f"http://{_ADDRESS}:{self.http_port}/stat"

    @property
    def _error_log(self) -> Path:
        return self._folder / "error.log"

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_ADDRESS, self.rtmp_port), timeout=1):
                pass
            self.streams()
        except (OSError, ServerError):
            return False
        return True

    def _write_configuration(self) -> Path:
        module = find_module()
        if module is None:
            raise ServerError("nginx's RTMP module is not installed; on Debian and Ubuntu: apt install libnginx-mod-rtmp")
        settings = RtmpSettings(
            folder=str(self._folder),
            error_log=str(self._error_log),
            rtmp_port=self.rtmp_port,
            http_port=self.http_port,
            module=str(module),
            user=getpass.getuser() if os.geteuid() == 0 else None,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / "nginx.conf"
            path.write_text(render(settings))
        except OSError as error:
            raise ServerError(f"{self._folder}: cannot be written: {error.strerror}") from error
        return path

    def _last_words(self) -> str:
        said = self._process.stderr.read() if self._process is not None and self._process.stderr is not None else b""
        logged = self._error_log.read_text(errors="replace") if self._error_log.exists() else ""
        lines = (said.decode(errors="replace") + logged).strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((_ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OSError as error:
            raise ServerError(f"port {port} on {_ADDRESS} is in use; stop what listens there or choose another") from error


def _nginx() -> list[str]:
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise ServerError("nginx is not installed; on Debian and Ubuntu: apt install nginx libnginx-mod-rtmp")
    return [path]


def _stat(stream: ElementTree.Element) -> StreamStat:
    return StreamStat(
        name=stream.findtext("name") or "",
        publishing=stream.find("publishing") is not None,
        clients=int(stream.findtext("nclients") or 0),
        bytes_in=int(stream.findtext("bytes_in") or 0),
        bytes_out=int(stream.findtext("bytes_out") or 0),
    )
