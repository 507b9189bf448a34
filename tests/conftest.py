"""Fixtures that every test may use."""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import psutil
import pytest
from servers.elasticsearch_servers import Elasticsearch, elasticsearch_8

from raycctv.detection.models import locate
from raycctv.errors import WeightsMissing
from raycctv.rtmp import server
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.footage import FootageMissing, vtest
from raycctv.simulate.scenes import drawn, encode

REPOSITORY = Path(__file__).resolve().parent.parent
CLIP_WIDTH, CLIP_HEIGHT, CLIP_FPS, CLIP_S = 640, 360, 15, 10


@pytest.fixture(autouse=True)
def no_logged_errors(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """A test in which raycctv logs an error fails, unless it is marked ``logs_errors``: errors are for operators."""
    yield
    if request.node.get_closest_marker("logs_errors"):
        return
    errors = [r for r in caplog.get_records("call") if r.levelno >= logging.ERROR and r.name.startswith(("raycctv", "actors"))]
    assert not errors, [record.getMessage() for record in errors]


@pytest.fixture(scope="session", autouse=True)
def no_process_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whatever a test starts it must end: at the end no process works in a folder of the tests."""
    yield
    base = str(tmp_path_factory.getbasetemp())
    left = [
        process.info for process in psutil.process_iter(["pid", "cmdline"]) if base in " ".join(process.info["cmdline"] or [])
    ]
    assert not left, left


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real footage with truth, beside the repository; tests that need it are skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real footage at {folder}")
    return folder


@pytest.fixture(scope="session")
def pedestrians() -> Path:
    """vtest.avi, which ``make setup`` fetches."""
    try:
        return vtest()
    except FootageMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder of SSDLite-MobileNetV2, which ``make setup`` installs."""
    try:
        return locate("ssdlite_mobilenet_v2")
    except WeightsMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def rtmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtmpServer]:
    """A real nginx-rtmp for all tests that do not restart it; each uses streams of its own names."""
    with RtmpServer(tmp_path_factory.mktemp("rtmp")) as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[Elasticsearch]:
    """A real Elasticsearch 8 for all tests that do not stop it; it has no ingest processors."""
    with elasticsearch_8() as server:
        yield server


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    return server.free_port()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 s of H.264, 640 x 360 at 15 frames a second, a keyframe a second; something walks through from 2 s on."""
    path = tmp_path_factory.mktemp("clip") / "walker.mp4"
    encode(drawn(paint_walker, CLIP_WIDTH, CLIP_HEIGHT, CLIP_FPS, CLIP_S), path, fps=CLIP_FPS, gop=CLIP_FPS)
    return path


def paint_walker(picture: npt.NDArray[np.uint8], t: float) -> None:
    """A bright block of 30 x 80 px that goes right at 80 px/s, from 2 s on."""
    if t >= 2:
        left = round((t - 2) * 80)
        picture[200:280, left : left + 30] = 230
