"""A local nginx with the RTMP module, for the demo, the load test and the tests. Runs as whoever starts it."""

import errno
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree import ElementTree

from raycctv.errors import ServerError
from raycctv.process import die_with_parent
from raycctv.rtmp.config import APPLICATION, RtmpSettings, find_module, render

_READY_S = 10.0
_STOP_S = 5.0
_ADDRESS = "127.0.0.1"
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy the environment names: it does not lead to our own loopback."""


@dataclass(frozen=True, slots=True)
class StreamStat:
    """One stream as the server sees it.

    Attributes:
        publishing: whether its camera is connected; players alone make a stream too.
        clients: connections, the camera's included.
        in_bits_per_s: what the camera sends, averaged by the server over some seconds.
    """

    name: str
    publishing: bool
    clients: int
    bytes_in: int
    bytes_out: int
    in_bits_per_s: int


class RtmpServer:
    """Runs while used as a context manager, and ends with its owner even when that is killed.

    Args:
        folder: for its configuration, log and temporary files.
        rtmp_port, http_port: free ones are chosen where None.
        keys_url: who is asked who may publish and play; None lets everybody of this machine.
    """

    def __init__(
        self, folder: Path, rtmp_port: int | None = None, http_port: int | None = None, keys_url: str | None = None
    ) -> None:
        spare_ports = free_ports(2)
        self.rtmp_port = rtmp_port or spare_ports[0]
        self.http_port = http_port or spare_ports[1]
        self._keys_url = keys_url
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
        """Start it and wait until it answers. Does nothing where it runs; where it has died it is started again.

        Raises:
            ServerError: nginx or its module is missing, a port is in use, or nginx refuses to run.
        """
        if self.pids():
            return
        for port in (self.rtmp_port, self.http_port):
            _check_port(port)
        command = [find_nginx(), "-c", str(self._write_configuration()), "-p", str(self._folder), "-e", str(self._error_log)]
        # standard error would only repeat the log
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent
        )
        try:
            self._await_answer(self._process)
        except BaseException:
            self.stop()
            raise

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
        self._process = None

    def restart(self) -> None:
        """Stop and start on the same ports."""
        self.stop()
        self.start()

    def pids(self) -> list[int]:
        """Its processes, for accounting; none where it does not run."""
        return [] if self._process is None or self._process.poll() is not None else [self._process.pid]

    def streams(self) -> list[StreamStat]:
        """What is published and played now.

        Raises:
            ServerError: it does not answer; says what nginx last said where that has died.
        """
        if self._process is not None and self._process.poll() is not None:
            raise ServerError(f"nginx has ended: {self._last_words()}")
        try:
            with _DIRECTLY.open(self._stat_url, timeout=5) as answer:
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

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + _READY_S
        while not self._answers():
            if process.poll() is not None:
                raise ServerError(f"nginx does not run: {self._last_words()}")
            if time.monotonic() > deadline_s:
                raise ServerError(f"nginx did not answer on port {self.http_port} within {_READY_S:g} s: {self._last_words()}")
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_ADDRESS, self.rtmp_port), timeout=1):
                pass
            self.streams()
        except (OSError, ServerError):
            return False
        return True

    def _write_configuration(self) -> Path:
        settings = RtmpSettings(
            folder=str(self._folder),
            error_log=str(self._error_log),
            rtmp_port=self.rtmp_port,
            http_port=self.http_port,
            module=str(find_module()),
            as_root=os.geteuid() == 0,
            keys_url=self._keys_url,
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / "nginx.conf"
            path.write_text(render(settings))
            self._error_log.write_bytes(b"")
        except OSError as error:
            raise ServerError(f"{self._folder}: cannot be written: {error.strerror}") from error
        return path

    def _last_words(self) -> str:
        lines = self._error_log.read_text(errors="replace").strip().splitlines()
        fatal = [line for line in lines if "[emerg]" in line]
        return (fatal or lines[-1:] or ["it said nothing"])[0]


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many different ports of the loopback that nobody listens on now."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in sockets:
            probe.bind((_ADDRESS, 0))
        return [int(probe.getsockname()[1]) for probe in sockets]


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_ADDRESS, port))
        except OverflowError as error:
            raise ServerError(f"port {port} is none: ports are 1 to 65535") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = f"port {port} on {_ADDRESS} is in use; stop what listens there or choose another"
            else:
                problem = f"port {port} on {_ADDRESS} cannot be listened on: {error.strerror}"
            raise ServerError(problem) from error


def find_nginx(search_path: str | None = None) -> str:
    """The nginx of this machine. Debian keeps it where only root's PATH leads.

    Args:
        search_path: folders with colons between; by default PATH and the usual places.

    Raises:
        ServerError: it is not installed; says how to install it.
    """
    path = shutil.which("nginx", path=search_path or f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise ServerError("nginx is not installed; on Debian and Ubuntu: apt install nginx libnginx-mod-rtmp")
    return path


def _stat(stream: ElementTree.Element) -> StreamStat:
    return StreamStat(
        name=stream.findtext("name") or "",
        publishing=stream.find("publishing") is not None,
        clients=int(stream.findtext("nclients") or 0),
        bytes_in=int(stream.findtext("bytes_in") or 0),
        bytes_out=int(stream.findtext("bytes_out") or 0),
        in_bits_per_s=int(stream.findtext("bw_in") or 0),
    )
