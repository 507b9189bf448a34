"""The console on a port: TLS, live updates to somebody who looks, and its end."""

import gc
import json
import socket
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from desk import PASSWORD, YARD, Desk
from desk import status as well
from support import until

from raycctv.clock import SystemClock
from raycctv.config import Console, Tls, parse
from raycctv.console.server import Server
from raycctv.errors import ConfigError, ConsoleError


@dataclass
class Certificate:
    """Of 127.0.0.1, signed by itself."""

    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "console.pem", folder / "console.key")
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=raycctv", "-addext", "subjectAltName=IP:127.0.0.1",
        "-out", str(made.certificate), "-keyout", str(made.key),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return made


@contextmanager
def served(desk: Desk, **settings: Any) -> Iterator[tuple[Server, str]]:
    """A server to the desk's footage, and where it is."""
    console = Console(port=free_port(), **settings)
    config = desk.config.model_copy(update={"console": console})
    server = Server(config, desk.cluster, desk.accounts, SystemClock(), None)
    try:
        yield server, console.url
    finally:
        server.close()
        with warnings.catch_warnings():  # asyncio leaves the socket of a connection that breaks while its loop ends to this
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def logged_in(url: str, verify: str | bool = True) -> requests.Session:
    browser = requests.Session()
    browser.verify, browser.trust_env = verify, False  # a bundle in the environment would come first
    form = {"name": "viewer", "password": PASSWORD}
    assert browser.post(f"{url}/login", data=form, allow_redirects=False, timeout=10).status_code == 303
    return browser


def test_console_speaks_tls_and_nothing_else(desk: Desk, certificate: Certificate) -> None:
    with served(desk, tls=Tls(certificate=certificate.certificate, key=certificate.key)) as (_, url):
        assert url.startswith("https://127.0.0.1:")
        browser = logged_in(url, str(certificate.certificate))
        answer = browser.get(f"{url}/api/me", timeout=10)
        assert answer.json()["name"] == "viewer"
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
        assert all(cookie.secure for cookie in browser.cookies)
        with pytest.raises(requests.ConnectionError):
            requests.get(url.replace("https:", "http:"), timeout=10)


@pytest.mark.parametrize("broken", ["no such file", "not a certificate", "somebody else's key", "a key with a password"])
def test_certificate_that_cannot_be_used_is_an_error_that_names_it(
    desk: Desk, certificate: Certificate, tmp_path: Path, broken: str
) -> None:
    key = tmp_path / "other.key"
    commands = {
        "somebody else's key": ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key)],
        "a key with a password": ["ec", "-in", str(certificate.key), "-aes256", "-passout", "pass:secret", "-out", str(key)],
    }
    if broken in commands:
        subprocess.run(["openssl", *commands[broken]], check=True, capture_output=True)
    elif broken == "not a certificate":
        key.write_text("nothing")
    with (
        pytest.raises(ConsoleError, match=r"console\.tls: .*console\.pem with .*other\.key cannot be used"),
        served(desk, tls=Tls(certificate=certificate.certificate, key=key)),
    ):
        pass


def test_port_that_is_taken_is_an_error_that_names_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycctv.console.server._PORT_S", 0.1)
    with served(desk) as (_, url):
        port = int(url.rsplit(":", 1)[1])
        config = desk.config.model_copy(update={"console": Console(port=port)})
        with pytest.raises(ConsoleError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            Server(config, desk.cluster, desk.accounts, SystemClock(), None)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "cctv.example.org"])  # noqa: S104
def test_console_that_others_reach_wants_tls(host: str) -> None:
    text = "cameras: {gate: {source: 'rtsp://h/s'}}\nconsole: {host: '%s'%s}"
    with pytest.raises(ConfigError, match="passwords would travel in the clear"):
        parse(text % (host, ""))
    assert parse(text % (host, ", insecure: true")).console is not None
    assert parse(text % (host, ", tls: {certificate: a, key: b}")).console is not None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_console_on_loopback_wants_none(host: str) -> None:
    console = parse(f"cameras: {{gate: {{source: 'rtsp://h/s'}}}}\nconsole: {{host: '{host}'}}").console
    assert console is not None
    assert console.url == f"http://{f'[{host}]' if ':' in host else host}:8420"


def test_certificate_lies_beside_the_configuration(tmp_path: Path) -> None:
    from raycctv.config import load

    path = tmp_path / "cameras.yaml"
    path.write_text("cameras: {gate: {source: 'rtsp://h/s'}}\nconsole: {tls: {certificate: a.pem, key: /etc/a.key}}")
    console = load(path).console
    assert console is not None
    assert console.tls == Tls(certificate=tmp_path / "a.pem", key=Path("/etc/a.key"))


class Listener:
    """A browser that follows the live updates."""

    def __init__(self, browser: requests.Session, url: str) -> None:
        self.updates: list[tuple[str, Any]] = []
        self.ended = threading.Event()
        self._answer = browser.get(f"{url}/api/live-updates", stream=True, timeout=60)
        assert self._answer.headers["content-type"].startswith("text/event-stream")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # it was cut off
            self._note()
        self.ended.set()

    def _note(self) -> None:
        kind = ""
        for line in self._answer.iter_lines(decode_unicode=True):
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                self.updates.append((kind, json.loads(line.removeprefix("data: "))))

    def close(self) -> None:
        self._answer.close()
        self._thread.join()


def test_live_updates_tell_what_changes_to_who_may_see_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycctv.console.routes.live_updates.LOOK_S", 0.1)
    monkeypatch.setattr("raycctv.console.service.STATUS_FRESH_S", 0.0)
    with served(desk) as (_, url):
        listener = Listener(logged_in(url), url)
        until(lambda: len(listener.updates) == 1, 30)
        kind, cameras = listener.updates[0]
        assert kind == "cameras"
        assert [(row["camera"], row["problems"]) for row in cameras] == [("gate", [])]
        desk.cluster.said = well(yard=False)  # which the viewer does not see
        asked = len(desk.cluster.asked)
        until(lambda: len(desk.cluster.asked) > asked + 3, 30)
        assert len(listener.updates) == 1
        desk.cluster.said = well(gate=False)
        until(lambda: len(listener.updates) == 2, 30)
        assert listener.updates[1][1][0]["problems"] == ["no footage is being recorded"]
        desk.accounts.change("viewer", "viewer", [YARD])
        assert listener.ended.wait(30)  # what it may see has changed: the browser asks anew
        listener.close()


def test_nobody_looking_asks_the_cluster_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycctv.console.routes.live_updates.LOOK_S", 0.05)
    with served(desk) as (server, url):
        listener = Listener(logged_in(url), url)
        until(lambda: bool(listener.updates), 30)
        listener.ended.clear()
        listener._answer.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        listener.close()
        desk.cluster.asked.clear()
        reads = threading.Event()
        monkeypatch.setattr(type(desk.accounts), "find", lambda *_: reads.set())
        assert not reads.wait(0.5)
        assert desk.cluster.asked == []
        assert server.status()["sessions"] == 1


def test_console_ends_though_somebody_looks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raycctv.console.server._STOP_S", 1)
    with served(desk) as (server, url):
        listener = Listener(logged_in(url), url)
        until(lambda: bool(listener.updates), 30)
        server.close()
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
        listener.close()
