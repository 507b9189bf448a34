"""Live pictures and streams by HTTP, from a real RTMP server, through a real web server."""

import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from desk import GATE, Desk, served
from fastapi.testclient import TestClient
from footage import frame_times_s, remuxes
from support import NS, T0_NS, until

from raycctv.config import Camera, StreamUrl
from raycctv.console.media import remux
from raycctv.console.media.remux import Streams
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import Picture

# -- pictures -----------------------------------------------------------------


def test_picture_is_that_of_the_reader_and_says_when_it_was_taken(viewer: TestClient, desk: Desk) -> None:
    desk.cluster.pictures["gate"] = Picture(b"\xff\xd8 gate", T0_NS + 5 * NS, 640, 360)
    got = viewer.get("/api/cameras/gate/picture?width=500")
    assert (got.status_code, got.headers["content-type"], got.content) == (200, "image/jpeg", b"\xff\xd8 gate")
    assert got.headers["x-captured-at"] == "2023-11-14T22:13:25.000Z"
    assert viewer.get("/api/cameras/gate/picture?width=500", headers={"If-None-Match": got.headers["etag"]}).status_code == 304


def test_many_who_look_ask_the_reader_once(viewer: TestClient, client: TestClient, desk: Desk) -> None:
    desk.cluster.pictures["gate"] = Picture(b"1", T0_NS, 640, 360)
    for browser in (viewer, client, viewer):
        assert browser.get("/api/cameras/gate/picture?width=400").content == b"1"
    assert desk.cluster.asked.count("picture of gate") == 1
    desk.clock.advance(1)
    assert viewer.get("/api/cameras/gate/picture?width=640").status_code == 200
    assert desk.cluster.asked.count("picture of gate") == 2


def test_camera_that_shows_nothing_has_no_picture(viewer: TestClient) -> None:
    got = viewer.get("/api/cameras/gate/picture")
    assert (got.status_code, got.content) == (204, b"")


@pytest.mark.parametrize("width", ["0", "-5", "100000", "wide", "1e3"])
def test_width_that_is_none_is_refused(viewer: TestClient, width: str) -> None:
    assert viewer.get(f"/api/cameras/gate/picture?width={width}").status_code == 422


def test_nobody_sees_pictures_of_cameras_that_are_not_theirs(viewer: TestClient, stranger: TestClient, desk: Desk) -> None:
    desk.cluster.pictures["yard"] = Picture(b"1", T0_NS, 640, 360)
    assert viewer.get("/api/cameras/yard/picture").status_code == 404
    assert viewer.get("/api/cameras/yard/live.mp4").status_code == 404
    assert stranger.get("/api/cameras/gate/picture").status_code == 401
    assert stranger.get("/api/cameras/gate/live.mp4").status_code == 401
    assert desk.cluster.asked == []


# -- streams ------------------------------------------------------------------


@pytest.fixture
def camera(desk: Desk, clip: Path, rtmp: RtmpServer, request: pytest.FixtureRequest) -> Iterator[SimulatedCamera]:
    """What ``gate`` is then."""
    url = rtmp.url(request.node.name)
    parts = desk.app.state.service
    parts.config = desk.config.model_copy(
        update={"cameras": {**desk.config.cameras, GATE: Camera(source=StreamUrl.parse(url))}}
    )  # fmt: skip
    simulated = SimulatedCamera("gate", clip, url)
    simulated.start()
    yield simulated
    simulated.stop()


def cookies(client: TestClient) -> dict[str, str]:
    return dict(client.cookies.items())


def watch(base: str, client: TestClient, size_bytes: int) -> bytes:
    """The beginning of what a viewer gets."""
    content = b""
    with httpx2.stream("GET", f"{base}/api/cameras/gate/live.mp4", cookies=cookies(client), timeout=30) as got:
        assert got.status_code == 200, got.read()
        assert got.headers["content-type"].startswith('video/mp4; codecs="avc1.')
        for part in got.iter_bytes():
            content += part
            if len(content) >= size_bytes:
                break
    return content


def test_ten_viewers_cost_one_process_which_ends_with_the_last(
    desk: Desk, camera: SimulatedCamera, viewer: TestClient, free_port: int, tmp_path: Path
) -> None:
    with served(desk, free_port) as base:
        contents: list[bytes] = []
        together = threading.Barrier(10)

        def look() -> None:
            with httpx2.stream("GET", f"{base}/api/cameras/gate/live.mp4", cookies=cookies(viewer), timeout=30) as got:
                content = b""
                for part in got.iter_bytes():
                    content += part
                    if len(content) >= 30_000 and len(contents) < 10:
                        contents.append(content)
                        together.wait(30)
                        assert len(remuxes()) == 1
                        together.wait(30)
                        return

        viewers = [threading.Thread(target=look) for _ in range(10)]
        for one in viewers:
            one.start()
        for one in viewers:
            one.join(60)
        assert len(contents) == 10
        until(lambda: not remuxes(), 10)
    (tmp_path / "seen.mp4").write_bytes(contents[0])
    times_s = frame_times_s(tmp_path / "seen.mp4")
    assert times_s[0] == pytest.approx(0, abs=0.1)
    assert len(times_s) > 5


def test_stream_plays(desk: Desk, camera: SimulatedCamera, viewer: TestClient, free_port: int, tmp_path: Path) -> None:
    with served(desk, free_port) as base:
        (tmp_path / "seen.mp4").write_bytes(watch(base, viewer, 120_000))
    times_s = frame_times_s(tmp_path / "seen.mp4")
    assert max(later - earlier for earlier, later in itertools.pairwise(times_s)) < 0.2


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of about 1 MB a second, which fills every buffer on the way."""
    path = tmp_path_factory.mktemp("noise") / "noise.mp4"
    drawn = ["-f", "lavfi", "-i", "nullsrc=s=640x360:r=15:d=4,geq=random(1)*255:128:128", "-c:v", "libx264", "-g", "15"]
    subprocess.run(
        ["ffmpeg", "-v", "error", *drawn, "-b:v", "8M", "-preset", "ultrafast", "-pix_fmt", "yuv420p", path], check=True
    )
    return path


def test_viewer_that_never_reads_is_cut(
    desk: Desk,
    camera: SimulatedCamera,
    noise: Path,
    viewer: TestClient,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remux, "WAITING_MAX_BYTES", 3_000_000)
    camera.stop()
    loud = SimulatedCamera("gate", noise, desk.app.state.service.config.cameras[GATE].source.reveal())
    loud.start()
    with served(desk, free_port):
        idle = socket.socket()
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(("127.0.0.1", free_port))
        cookie = "; ".join(f"{name}={value}" for name, value in cookies(viewer).items())
        idle.sendall(f"GET /api/cameras/gate/live.mp4 HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n".encode())
        streams = desk.app.state.service.part(Streams)
        until(lambda: streams.running.get(GATE) == 1, 20)
        until(lambda: not streams.running, 60)
        until(lambda: not remuxes(), 10)
        idle.close()
    loud.stop()


def test_camera_that_is_away_is_503_and_says_so(
    desk: Desk, camera: SimulatedCamera, viewer: TestClient, free_port: int
) -> None:
    camera.stop()
    with served(desk, free_port) as base:
        got = httpx2.get(f"{base}/api/cameras/gate/live.mp4", cookies=cookies(viewer), timeout=40)
        assert (got.status_code, got.headers["retry-after"]) == (503, "5")
        assert "gate" in got.json()["detail"]
        camera.start()
        assert len(watch(base, viewer, 20_000)) >= 20_000
        until(lambda: not remuxes(), 10)


def test_session_that_ends_ends_the_stream(desk: Desk, camera: SimulatedCamera, viewer: TestClient, free_port: int) -> None:
    with (
        served(desk, free_port) as base,
        httpx2.stream("GET", f"{base}/api/cameras/gate/live.mp4", cookies=cookies(viewer), timeout=30) as got,
    ):
        parts = got.iter_bytes()
        next(parts)
        desk.clock.advance(desk.app.state.service.settings.session + 10)
        began_s = time.monotonic()
        for _ in parts:
            assert time.monotonic() - began_s < 20
    until(lambda: not remuxes(), 10)


def test_console_that_ends_takes_its_processes_with_it(
    desk: Desk, camera: SimulatedCamera, viewer: TestClient, free_port: int
) -> None:
    with served(desk, free_port) as base:
        looking = threading.Thread(target=lambda: _until_cut(base, viewer))
        looking.start()
        until(lambda: bool(remuxes()), 20)
        (pid,) = remuxes()
    looking.join(20)
    until(lambda: not psutil.pid_exists(pid), 10)


def _until_cut(base: str, client: TestClient) -> None:
    try:
        watch(base, client, 10**12)
    except (httpx2.HTTPError, AssertionError):
        return


def test_file_as_a_camera_has_no_live_stream(viewer: TestClient, desk: Desk, clip: Path) -> None:
    parts = desk.app.state.service
    parts.config = desk.config.model_copy(
        update={"cameras": {**desk.config.cameras, GATE: Camera(source=StreamUrl.parse(f"file://{clip}"))}}
    )  # fmt: skip
    got = viewer.get("/api/cameras/gate/live.mp4")
    assert (got.status_code, got.json()["detail"]) == (409, "this camera is a file: it has no live stream")
