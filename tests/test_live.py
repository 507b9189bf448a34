"""One live camera in a thread, with detectors that are quick, slow, dead or gone."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from servers.rtsp import PASSWORD, RtspCamera, missing_for_rtsp
from support import NS, until

from raycctv import live
from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, StreamUrl
from raycctv.detection.backends import open_backend
from raycctv.live import AskDetector, LiveReader, Verdicts
from raycctv.load import CpuLoad
from raycctv.pipeline import Report, analyze_file
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.proxy import CorruptingProxy
from raycctv.simulate.scenes import drawn, encode
from raycctv.types import HEALTH_KINDS, CameraName, Detections, Event, Pressure

NAME = CameraName("cam")


class Running:
    """A reader in its thread, and what it has reported."""

    def __init__(self, url: str, ask: AskDetector, sub_url: str | None = None) -> None:
        self.reports: list[Report] = []
        camera = Camera(source=StreamUrl.parse(url), analysis_source=None if sub_url is None else StreamUrl.parse(sub_url))
        self.reader = LiveReader(NAME, camera, Config(cameras={NAME: camera}), SystemClock(), ask, self.reports.append)
        self.stats = self.reader.stats
        self._thread = threading.Thread(target=self.reader.run)
        self._thread.start()

    def stop(self) -> None:
        self.reader.stop()
        self._thread.join(15)
        assert not self._thread.is_alive()

    def join(self) -> None:
        self._thread.join(60)
        assert not self._thread.is_alive()


Run = Callable[..., Running]
"""Takes what :class:`Running` takes."""


@pytest.fixture
def run() -> Iterator[Run]:
    made: list[Running] = []

    def start(url: str, ask: AskDetector, sub_url: str | None = None) -> Running:
        made.append(Running(url, ask, sub_url))
        return made[-1]

    yield start
    for running in made:
        running.stop()


@pytest.fixture
def camera(rtmp: RtmpServer, clip: Path, request: pytest.FixtureRequest) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera("cam", clip, rtmp.url(request.node.name))
    yield simulated
    simulated.stop()


@pytest.fixture
def url(rtmp: RtmpServer, request: pytest.FixtureRequest) -> str:
    return rtmp.url(request.node.name)


def sees_nothing(images: object) -> "Future[Verdicts]":
    future: Future[Verdicts] = Future()
    future.set_result([Detections.empty()] * len(images))  # type: ignore[arg-type]
    return future


def never_answers(images: object) -> "Future[Verdicts]":
    return Future()


def is_gone(images: object) -> "Future[Verdicts]":
    raise ConnectionError("the detector is gone")


def fails(images: object) -> "Future[Verdicts]":
    future: Future[Verdicts] = Future()
    future.set_exception(ConnectionError("the detector died while it was asked"))
    return future


def shown(running: Running) -> list[Event]:
    """Events of what the camera shows; on a busy machine it may be late, and that is one too."""
    return [report.event for report in running.reports if report.event.kind not in HEALTH_KINDS]


def kinds(running: Running) -> set[str]:
    return {event.kind for event in shown(running)}


def test_reader_of_a_file_says_what_the_pipeline_says(shared_data: Path, weights: Path, run: Run) -> None:
    clip = shared_data / "clips" / "one-by-one-person-detection.mp4"
    any_camera = Camera(source=StreamUrl.parse(f"file://{clip}"))
    with open_backend("ssdlite_mobilenet_v2", "openvino", threads=2) as detector:

        def ask(images: object) -> "Future[Verdicts]":
            future: Future[Verdicts] = Future()
            future.set_result(detector.infer(images))  # type: ignore[arg-type]
            return future

        expected = list(analyze_file(NAME, clip, any_camera, Config(cameras={NAME: any_camera}), detector))
        running = run(f"file://{clip}", ask)
        running.join()
    assert [report.event for report in running.reports] == [report.event for report in expected]
    assert [report.snapshot_jpeg for report in running.reports] == [report.snapshot_jpeg for report in expected]
    assert len(expected) == 12
    stats = running.stats.as_json()
    assert (stats["state"], stats["dropped"], stats["corrupt"]) == ("ended", {}, 0)
    assert stats["events"] == {"person": 6}
    assert stats["frames"] > 1000
    assert stats["decoded_frames"] < 0.9 * stats["frames"]
    assert stats["decode"]["wakes"]["keyframe"] + stats["decode"]["wakes"]["packets"] > 0


def test_reader_of_a_file_that_is_not_there_says_so(run: Run, tmp_path: Path) -> None:
    running = run(f"file://{tmp_path}/none.mp4", sees_nothing)
    running.join()
    assert running.stats.state == "ended"
    assert "No such file" in (running.stats.error or "")


def test_camera_that_drops_and_returns_is_read_again_within_five_seconds(camera: SimulatedCamera, url: str, run: Run) -> None:
    running = run(url, sees_nothing)
    assert running.stats.state == "connecting"
    for connection in (1, 2, 3):
        camera.start()
        seen = running.stats.decoded_frames
        until(lambda n=connection, seen=seen: running.stats.connections == n and running.stats.decoded_frames > seen, 5)  # type: ignore[misc]
        camera.stop()
        until(lambda: running.stats.state == "offline", 5)
    assert running.stats.corrupt == 0


def paint_nothing(picture: npt.NDArray[np.uint8], t: float) -> None:
    """An empty scene; its clock stands."""
    picture[100:120] = 90


@pytest.fixture
def quiet_camera(rtmp: RtmpServer, url: str, tmp_path: Path) -> Iterator[SimulatedCamera]:
    clip = tmp_path / "quiet.mp4"
    encode(drawn(paint_nothing, 320, 180, 15, 10), clip, fps=15, gop=15)
    simulated = SimulatedCamera("cam", clip, url)
    simulated.start()
    yield simulated
    simulated.stop()


@pytest.mark.usefixtures("quiet_camera")
def test_packets_of_a_quiet_camera_gather_so_that_it_wakes_its_reader_less(
    url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = run(url, sees_nothing)
    rests: list[tuple[float, bool]] = []
    wait = running.reader._stop.wait

    def rest(timeout: float) -> bool:
        decoder = running.reader._decoder
        rests.append((timeout, decoder is not None and decoder.watching))
        return wait(timeout)

    monkeypatch.setattr(running.reader._stop, "wait", rest)
    until(lambda: len(rests) >= 10, 40)
    packets, rested = running.stats.packets, len(rests)
    until(lambda: running.stats.packets >= packets + 30, 20)
    assert set(rests) == {(live._REST_S, True)}
    assert rested < len(rests) < rested + 20
    assert max(running.stats.lags_s) < 1.0


@pytest.mark.usefixtures("quiet_camera")
def test_sub_stream_is_analysed_in_place_of_the_source(rtmp: RtmpServer, url: str, run: Run) -> None:
    """What the recorder does: tests/test_storage.py."""
    running = run(rtmp.url("nobody-publishes-this"), sees_nothing, url)
    until(lambda: running.stats.decoded_frames > 15, 20)
    assert running.stats.state == "streaming"


def test_motion_that_no_object_explains_is_an_event(camera: SimulatedCamera, url: str, run: Run) -> None:
    running = run(url, sees_nothing)
    camera.start()
    until(lambda: bool(shown(running)), 20)
    assert shown(running)[0].kind == "motion"
    assert any(report.snapshot_jpeg is not None for report in running.reports)
    camera.stop()
    until(lambda: running.stats.state == "offline", 10)
    assert shown(running)[-1].ended_at_ns is not None  # nothing stays open when the stream is gone
    assert running.stats.candidates > 0


def test_detector_that_never_answers_costs_verdicts_and_nothing_else(
    camera: SimulatedCamera, url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "VERDICT_TIMEOUT_S", 0.7)
    monkeypatch.setattr(CpuLoad, "pressure", lambda _: Pressure.NONE)  # a busy machine asks less than it could
    running = run(url, never_answers)
    camera.start()
    until(lambda: {"superseded", "verdict_timeout"} <= set(running.stats.dropped), 20)
    until(lambda: kinds(running) == {"motion"} and running.stats.frames > 50, 20)
    camera.stop()
    until(lambda: running.stats.state == "offline", 10)
    assert running.stats.dropped["disconnected"] > 0
    assert running.stats.candidates == 0


def test_verdict_is_taken_when_it_comes_however_little_is_decoded(
    camera: SimulatedCamera, url: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waited(Future[Verdicts]):
        looks = 0

        def done(self) -> bool:
            self.looks += 1
            return False

    waited = Waited()
    monkeypatch.setattr(CpuLoad, "pressure", lambda _: Pressure.FULL)
    running = run(url, lambda _: waited)
    camera.start()
    until(lambda: waited.looks > 0, 30)
    looks, decoded, frames = waited.looks, running.stats.decoded_frames, running.stats.frames
    until(lambda: running.stats.frames > frames + 60, 30)
    assert waited.looks - looks > 2 * (running.stats.decoded_frames - decoded)


@pytest.mark.parametrize("detector", [is_gone, fails])
def test_detector_that_is_gone_is_counted_and_asked_again(
    camera: SimulatedCamera, url: str, run: Run, detector: AskDetector
) -> None:
    answering: list[AskDetector] = [detector]
    running = run(url, lambda images: answering[0](images))
    camera.start()
    until(lambda: running.stats.dropped.get("detector_unavailable", 0) > 3, 20)
    answering[0] = sees_nothing  # it is back
    until(lambda: running.stats.candidates > 0, 20)
    assert set(running.stats.dropped) == {"detector_unavailable"}


def test_corrupt_stream_is_counted_and_survived(camera: SimulatedCamera, rtmp: RtmpServer, url: str, run: Run) -> None:
    camera.start()
    with CorruptingProxy(rtmp.rtmp_port, flip_every_bytes=5_000, seed=3) as proxy:
        running = run(url.replace(str(rtmp.rtmp_port), str(proxy.port)), sees_nothing)
        until(lambda: proxy.flipped > 40 and running.stats.corrupt > 0, 40)
        seen = running.stats.decoded_frames
        until(lambda: running.stats.decoded_frames > seen + 15, 20)
        running.stop()


def test_status_speaks_of_lag_once_there_is_one(camera: SimulatedCamera, url: str, run: Run) -> None:
    running = run(url, sees_nothing)
    assert running.stats.as_json()["lag_p95_s"] is None
    camera.start()
    until(lambda: running.stats.decoded_frames > 30, 10)
    stats = running.stats.as_json()
    assert 0 <= stats["lag_p50_s"] <= stats["lag_p95_s"] < 5
    assert "lags_s" not in stats


def test_camera_that_goes_away_is_an_event_from_its_last_packet_to_its_next(
    camera: SimulatedCamera, url: str, run: Run
) -> None:
    def away() -> list[Event]:
        return [report.event for report in running.reports if report.event.kind == "camera_offline"]

    began_ns = SystemClock().now_ns()
    running = run(url, sees_nothing)
    until(lambda: len(away()) == 1, 10)
    assert (away()[0].camera, away()[0].ended_at_ns) == (NAME, None)
    assert abs(away()[0].started_at_ns - began_ns) < NS  # it never came
    camera.start()
    until(lambda: len(away()) == 2, 10)
    until(lambda: running.stats.decoded_frames > 15, 10)
    stopped_ns = SystemClock().now_ns()
    camera.stop()
    until(lambda: len(away()) == 3, 20)
    began = away()[2]
    assert began.started_at_ns == pytest.approx(stopped_ns, abs=NS)
    assert began.why == f"cam: {url} ended: the publisher left"
    assert running.stats.events["camera_offline"] == 2
    again_ns = SystemClock().now_ns()
    camera.start()
    until(lambda: len(away()) == 4, 20)
    ended = away()[3]
    assert ended.ended_at_ns is not None
    assert (ended.id, again_ns < ended.ended_at_ns < SystemClock().now_ns()) == (began.id, True)
    camera.stop()
    until(lambda: len(away()) == 5, 20)
    running.stop()
    assert away()[5].ended_at_ns is not None  # nobody follows it any more


def paint_late_walker(picture: npt.NDArray[np.uint8], t: float) -> None:
    """A bright block that goes right at 60 px/s, from 8 s on."""
    if t >= 8:
        left = round((t - 8) * 60)
        picture[150:230, left : left + 30] = 230


@pytest.fixture(params=["h264", "h265"])
def rtsp_camera(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RtspCamera]:
    """12 s of a codec by RTSP."""
    if missing_for_rtsp():
        pytest.skip(f"no RTSP server: {missing_for_rtsp()}; scripts/system_packages.sh test installs it")
    clip = tmp_path / "late.mp4"
    encode(drawn(paint_late_walker, 480, 270, 15, 12), clip, fps=15, gop=15, codec=f"libx{request.param[1:]}")
    camera = RtspCamera(clip, "--codec", request.param, "--user", "admin", "--password", PASSWORD)
    camera.start()
    yield camera
    camera.stop()


def test_rtsp_camera_is_watched_by_its_keyframes_and_wakes_when_something_moves(rtsp_camera: RtspCamera, run: Run) -> None:
    running = run(rtsp_camera.url().reveal(), sees_nothing)
    until(lambda: running.stats.decode.get("mode") == "watching", 15)
    watched = running.stats.decoded_frames
    until(lambda: running.stats.candidates > 0, 15)
    wakes = running.stats.decode["wakes"]
    assert sum(wakes.values()) >= 1
    assert watched < running.stats.decoded_frames < running.stats.frames
    assert running.stats.corrupt == 0
