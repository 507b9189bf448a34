"""Two real Elasticsearch servers for tests, from Maven Central; see elasticsearch/pom.xml. Nothing is downloaded twice."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support import until

from raycctv.process import die_with_parent
from raycctv.rtmp.server import free_port

PROJECT = Path(__file__).parent / "elasticsearch"
HEAP = "512m"
NOBODY = 65534
_READY_S = 90.0


@cache
def libraries() -> Path:
    """The folder of everything in pom.xml, beside raycctv's other caches.

    Skips the test where Java or Maven is missing, or Maven cannot fetch it.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; scripts/system_packages.sh test does it")
    cache_dir = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "raycctv", "elasticsearch")
    stamp = cache_dir / "pom.xml"
    if not stamp.exists() or stamp.read_bytes() != (PROJECT / "pom.xml").read_bytes():
        shutil.rmtree(cache_dir, ignore_errors=True)
        command = ["mvn", "-q", "-B", "-f", str(PROJECT / "pom.xml"), "dependency:copy-dependencies"]
        done = subprocess.run([*command, f"-DoutputDirectory={cache_dir}"], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"Maven cannot fetch Elasticsearch: {done.stdout.strip()[:300]}")
        shutil.copy(PROJECT / "pom.xml", stamp)
    return cache_dir


def ask(url: str, method: str = "GET", body: Any = None, lines: bytes | None = None) -> Any:
    """What the server answers to a request of JSON, or of lines of JSON."""
    data = lines if lines is not None else None if body is None else json.dumps(body).encode()
    kind = "application/x-ndjson" if lines is not None else "application/json"
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read() or b"{}")


class Elasticsearch:
    """Elasticsearch 8, without ingest processors. ``restart`` after ``kill`` finds its data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._home = self._unpack(libraries() / "elasticsearch-8.14.3.zip")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        java_home = Path(shutil.which("java") or "").resolve().parents[1]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self._folder), "ES_JAVA_HOME": str(java_home),
            "ES_JAVA_OPTS": f"-Xms{HEAP} -Xmx{HEAP} -XX:TieredStopAtLevel=1",
        }  # fmt: skip
        other = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(  # type: ignore[call-overload]
                [str(self._home / "bin" / "elasticsearch")], env=environment, cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, preexec_fn=die_with_parent, **other,
            )  # fmt: skip
        until(self._answers, _READY_S)

    def kill(self) -> None:
        """As kill -9 of all its processes."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "output").read_text()[-2000:]
        try:
            health = ask(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s")
        except (OSError, urllib.error.HTTPError):
            return False
        return health["status"] in ("yellow", "green")

    def _unpack(self, archive: Path) -> Path:
        """As a user who is not root, as whom Elasticsearch refuses to run."""
        with zipfile.ZipFile(archive) as zipped:
            for entry in zipped.infolist():
                path = Path(zipped.extract(entry, self._folder))
                path.chmod(0o755 if entry.is_dir() else (entry.external_attr >> 16) & 0o777 | 0o644)
        home = next(self._folder.glob("elasticsearch-*"))
        settings = {
            "discovery.type": "single-node", "http.port": self.port, "transport.port": free_port(),
            "network.host": "127.0.0.1", "xpack.security.enabled": False,
            "cluster.routing.allocation.disk.threshold_enabled": False,
        }  # fmt: skip
        lines = [f"{key}: {json.dumps(value)}" for key, value in settings.items()]
        (home / "config" / "elasticsearch.yml").write_text("\n".join(lines))
        if os.geteuid() == 0:
            for path in (self._folder, *self._folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        return home


@contextmanager
def elasticsearch_8() -> Iterator[Elasticsearch]:
    """Running, in a folder of its own which other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="raycctv-elasticsearch-"))
    folder.chmod(0o755)
    try:
        server = Elasticsearch(folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


@contextmanager
def ingest_node(folder: Path) -> Iterator[str]:
    """The URL of a node with the processors of ingest pipelines, which ends with this process at the latest."""
    port = free_port()
    classes = f"{libraries()}/*"
    command = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", classes, str(PROJECT / "IngestNode.java")]
    (folder / "config").mkdir()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen([*command, str(folder), str(port)], stdout=output, stderr=output, preexec_fn=die_with_parent)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, (folder / "output").read_text()[-2000:]
        try:
            ask(url)
        except OSError:
            return False
        return True

    try:
        until(answers, _READY_S)
        yield url
    finally:
        process.kill()
        process.wait()
