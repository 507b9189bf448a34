"""Relays between a real RTSP server (GStreamer's) and a real nginx-rtmp."""

import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from servers.rtsp import PASSWORD, RtspCamera, missing_for_rtsp

from raycctv.capture.relay import relay, relay_command
from raycctv.clock import SystemClock
from raycctv.config import StreamUrl
from raycctv.process import KeptProcess
from raycctv.rtmp.server import RtmpServer, free_port
from raycctv.types import CameraName

CAMERA = CameraName("gate")
TICK_S = 0.5
"""As often as the storage actor looks."""


OpenCamera = Callable[..., RtspCamera]
Keep = Callable[[StreamUrl], KeptProcess]


@pytest.fixture(scope="module")
def minute(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip six times over."""
    path = tmp_path_factory.mktemp("minute") / "minute.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-stream_loop", "5", "-i", clip, "-c", "copy", path], check=True)
    return path


@pytest.fixture
def open_camera(minute: Path) -> Iterator[OpenCamera]:
    """Starts a camera with the server's options; by default it asks for the password."""
    if missing_for_rtsp():
        pytest.skip(f"no RTSP server: {missing_for_rtsp()}; scripts/system_packages.sh test installs it")
    cameras: list[RtspCamera] = []

    def start(*options: str, clip: Path = minute) -> RtspCamera:
        camera = RtspCamera(clip, "--user", "admin", "--password", PASSWORD, *options)
        cameras.append(camera)
        camera.start()
        return camera

    yield start
    for camera in cameras:
        camera.stop()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


@pytest.fixture
def kept(tmp_path: Path, rtmp: RtmpServer, name: str) -> Iterator[Keep]:
    made: list[KeptProcess] = []

    def start(pull: StreamUrl) -> KeptProcess:
        made.append(relay(CAMERA, pull, StreamUrl.parse(rtmp.url(name)), tmp_path / "run", SystemClock()))
        return made[-1]

    yield start
    for relayed in made:
        relayed.stop()


def look_after(relayed: KeptProcess, condition: Callable[[], bool], timeout_s: float) -> float:
    """Looks after it as the storage actor does until the condition holds; returns how long that took."""
    began_s = time.monotonic()
    check_s = began_s
    while not condition():
        now_s = time.monotonic()
        assert now_s - began_s < timeout_s, f"still not so after {timeout_s:g} s; {relayed.last_error}"
        if now_s >= check_s:
            relayed.check()
            check_s = now_s + TICK_S
        time.sleep(0.02)
    return time.monotonic() - began_s


def published(server: RtmpServer, name: str) -> Callable[[], bool]:
    return lambda: any(stream.publishing and stream.name == name for stream in server.streams())


def play(url: str, pictures: int = 20) -> tuple[list[str], tuple[int, int]]:
    """Codecs of a stream and the size of its pictures, after so many have come."""
    with av.open(url, options={"rtmp_live": "live", "analyzeduration": "1000000"}, timeout=10) as container:
        video = container.streams.video[0]
        for _, packet in zip(range(pictures), container.demux(video), strict=False):
            assert packet.size, "the stream ended"
        return sorted(stream.codec_context.name for stream in container.streams), (video.width, video.height)


def test_relay_of_a_camera_is_played(rtmp: RtmpServer, open_camera: OpenCamera, kept: Keep, name: str) -> None:
    relayed = kept(open_camera().url())
    look_after(relayed, published(rtmp, name), 10)
    assert play(rtmp.url(name)) == (["h264"], (640, 360))
    assert relayed.starts == 1


def test_relay_makes_aac_of_a_cameras_g711(rtmp: RtmpServer, open_camera: OpenCamera, kept: Keep, name: str) -> None:
    relayed = kept(open_camera("--sound").url())
    look_after(relayed, published(rtmp, name), 10)
    assert play(rtmp.url(name)) == (["aac", "h264"], (640, 360))


def test_relay_of_a_camera_that_returns_is_published_within_five_seconds(
    rtmp: RtmpServer, open_camera: OpenCamera, kept: Keep, name: str
) -> None:
    camera = open_camera()
    relayed = kept(camera.url())
    look_after(relayed, published(rtmp, name), 10)
    camera.stop()
    assert look_after(relayed, lambda: not published(rtmp, name)(), 10) < 2
    look_after(relayed, lambda: relayed.starts > 3, 20)  # the waits between tries have grown to their longest
    assert "Connection refused" in relayed.last_error
    camera.start()
    assert look_after(relayed, published(rtmp, name), 10) < 5
    assert play(rtmp.url(name))[0] == ["h264"]


def test_relay_of_a_camera_that_hangs_ends_by_itself(rtmp: RtmpServer, open_camera: OpenCamera, kept: Keep, name: str) -> None:
    camera = open_camera()
    relayed = kept(camera.url())
    look_after(relayed, published(rtmp, name), 10)
    process = relayed.process
    assert process is not None
    camera.freeze()
    assert 5 < look_after(relayed, lambda: not process.alive(), 20) < 15
    camera.stop()
    camera.start()
    assert look_after(relayed, published(rtmp, name), 10) < 5


def test_relay_survives_a_restart_of_the_server(open_camera: OpenCamera, tmp_path: Path) -> None:
    camera = open_camera()
    with RtmpServer(tmp_path / "rtmp") as server:
        relayed = relay(CAMERA, camera.url(), StreamUrl.parse(server.url("cam")), tmp_path / "run", SystemClock())
        try:
            look_after(relayed, published(server, "cam"), 10)
            server.restart()
            assert look_after(relayed, published(server, "cam"), 10) < 5
        finally:
            relayed.stop()


def test_wrong_password_is_said_without_the_password(
    open_camera: OpenCamera, kept: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    relayed = kept(open_camera().url("letmein"))
    look_after(relayed, lambda: bool(relayed.last_error), 10)
    assert "401 Unauthorized" in relayed.last_error
    assert "admin:***@" in relayed.last_error
    assert "letmein" not in relayed.last_error + caplog.text


def test_password_is_in_no_file_that_a_relay_leaves(
    rtmp: RtmpServer,
    open_camera: OpenCamera,
    kept: Keep,
    name: str,
    tmp_path: Path,
) -> None:
    camera = open_camera()
    relayed = kept(camera.url())
    look_after(relayed, published(rtmp, name), 10)
    files = list((tmp_path / "run").iterdir())
    assert files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    camera.stop()
    look_after(relayed, lambda: bool(relayed.last_error), 10)  # it has named the URL that it cannot open
    relayed.stop()
    left = {file.name: file.read_text() for file in (tmp_path / "run").iterdir()}
    assert any("admin:***@" in text for text in left.values())
    assert PASSWORD not in str(left)


def test_relay_of_a_codec_that_rtmp_cannot_carry_says_so(
    open_camera: OpenCamera, kept: Keep, clip: Path, tmp_path: Path
) -> None:
    hevc = tmp_path / "hevc.mp4"
    coding = ["-t", "5", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-bf", "0"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *coding, hevc], check=True)
    relayed = kept(open_camera("--codec", "h265", clip=hevc).url())
    look_after(relayed, lambda: bool(relayed.last_error), 15)
    assert "hevc not compatible with flv" in relayed.last_error


def test_relay_of_a_camera_that_is_not_there_says_so(kept: Keep) -> None:
    relayed = kept(StreamUrl.parse(f"rtsp://admin:{PASSWORD}@127.0.0.1:{free_port()}/stream"))
    look_after(relayed, lambda: bool(relayed.last_error), 10)
    assert "Connection refused" in relayed.last_error
    assert PASSWORD not in relayed.last_error


def test_relay_command_decodes_no_picture() -> None:
    argv = relay_command(StreamUrl.parse("rtsp://cam/stream"), StreamUrl.parse("rtmp://host/live/cam"))
    assert argv[argv.index("-c:v") + 1] == "copy"
