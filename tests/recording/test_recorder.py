"""Real recorders of real streams: what they lose when something dies."""

import itertools
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support import NS, until

from raycctv.clock import SystemClock
from raycctv.config import Recording, StreamUrl
from raycctv.errors import RecordingError
from raycctv.recording import recorder as recorder_module
from raycctv.recording.layout import incoming_dir
from raycctv.recording.probe import probe
from raycctv.recording.recorder import Recorder
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CameraName, Segment

GATE = CameraName("gate")
SEGMENT_S = 5
Record = Callable[[str], Recorder]


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    made: list[Recorder] = []

    def start(url: str) -> Recorder:
        made.append(Recorder(GATE, StreamUrl.parse(url), Recording(root=tmp_path, segment_s=SEGMENT_S), SystemClock()))
        return made[-1]

    yield start
    for recorder in made:
        recorder.stop()


@pytest.fixture
def camera(rtmp: RtmpServer, clip: Path, request: pytest.FixtureRequest) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera("cam", clip, rtmp.url(request.node.name))
    yield simulated
    simulated.stop()


def look(recorder: Recorder) -> Callable[[], None]:
    """Looks after a recorder as the storage actor does."""

    def check_and_watch() -> None:
        recorder.check()
        recorder.watch()

    return check_and_watch


def recorded_s(segments: list[Segment]) -> float:
    return sum(segment.duration_ns for segment in segments) / NS


def test_recorder_that_waits_for_its_camera_loses_nothing(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    recorder.check()
    assert not recorder.recording
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    segments: list[Segment] = []
    until(lambda: len(segments) >= 2, 20, lambda: segments.extend(recorder.collect()))
    camera.stop()
    until(lambda: recorder.pid is None, 10)
    segments += recorder.collect()
    assert recorded_s(segments) == pytest.approx(camera.online_s, abs=0.3)
    assert recorder.starts == 1
    for before, after in itertools.pairwise(segments):
        assert after.started_at_ns == pytest.approx(before.ended_at_ns, abs=0.3 * NS)
    for segment in segments:
        assert (segment.codec, segment.width_px, segment.height_px) == ("h264", 640, 360)
        command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / segment.path), "-f", "null", "-"]
        assert subprocess.run(command, capture_output=True, check=True).stderr == b""


def test_recorder_of_a_camera_that_returns_records_again_within_five_seconds(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    camera.stop()
    until(lambda: not recorder.recording, 10, look(recorder))
    camera.start()
    assert until(lambda: recorder.recording, 10, look(recorder)) < 5


def test_killed_recorder_costs_at_most_its_last_fragment(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    recorder.check()
    camera.start()
    until(lambda: camera.online_s > 3.5, 20, look(recorder))
    pid = recorder.pid
    assert pid is not None
    sent_s = camera.online_s
    os.kill(pid, signal.SIGKILL)
    until(lambda: recorder.pid is None, 5)
    segments = list(recorder.collect())
    assert recorded_s(segments) > sent_s - 1.7  # a fragment, and what the camera's account is behind
    assert all(probe(tmp_path / segment.path).duration_ns == segment.duration_ns for segment in segments)
    until(lambda: recorder.recording and recorder.starts == 2, 10, look(recorder))


def test_recorder_is_adopted_and_never_doubled(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, request: pytest.FixtureRequest
) -> None:
    first = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: first.recording, 10, look(first))
    second = record(rtmp.url(request.node.name))
    second.check()
    assert second.pid == first.pid
    assert second.starts == 0
    other = record(rtmp.url("another"))  # the configuration has changed: the old one must go
    other.check()
    assert other.pid != first.pid or first.pid is None
    assert other.starts == 1


def test_recorder_that_hangs_on_a_silent_camera_is_started_again(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    camera.freeze()
    until(lambda: not recorder.recording, 15, look(recorder))
    until(lambda: recorder.starts > 1, 20, look(recorder))
    camera.stop()  # somebody pulls its plug
    camera.start()
    assert until(lambda: recorder.recording, 20, look(recorder)) < 5


def test_recorder_that_is_frozen_is_replaced(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    pid = recorder.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    until(lambda: recorder.starts == 2 and recorder.recording, 15, look(recorder))
    until(lambda: not psutil.pid_exists(pid), 5)  # whoever has become its parent takes its leave


def test_recorder_that_writes_no_more_is_replaced(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its camera hangs, and so, for longer than it should, does the recorder."""
    monkeypatch.setattr(recorder_module, "_STALLED_S", 2.0)
    recorder = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    pid = recorder.pid
    camera.freeze()
    until(lambda: recorder.starts == 2 and recorder.pid != pid, 15, look(recorder))
    waiting = recorder.pid
    until(lambda: not recorder.recording, 10, look(recorder))
    recorder.check()
    assert recorder.pid == waiting  # one that only waits for its camera is left alone


def test_recorder_without_a_server_says_why_and_tries_again(record: Record, free_port: int) -> None:
    recorder = record(f"rtmp://viewer:hunter2@127.0.0.1:{free_port}/live/gate")
    until(lambda: recorder.starts >= 3, 15, look(recorder))
    assert "Connection refused" in recorder.last_error
    assert "hunter2" not in recorder.last_error
    assert list(recorder.collect()) == []


def test_recorder_keeps_sound_that_mp4_cannot_hold_as_aac(
    rtmp: RtmpServer, clip: Path, record: Record, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    spoken = tmp_path / "g711.mkv"
    tone = ["-f", "lavfi", "-i", "sine=sample_rate=8000:duration=10", "-c:v", "copy", "-c:a", "pcm_mulaw", "-shortest"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *tone, spoken], check=True)
    camera = SimulatedCamera("cam", spoken, rtmp.url(request.node.name))
    recorder = record(rtmp.url(request.node.name))
    try:
        camera.start()
        until(lambda: recorder.recording, 20, look(recorder))
    finally:
        camera.stop()
    until(lambda: recorder.pid is None, 10)
    (segment, *_) = recorder.collect()
    shown = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", str(tmp_path / segment.path)]
    assert subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split() == ["h264", "aac"]


def test_stopped_recorder_finishes_its_file(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    sent_s = camera.online_s
    recorder.stop()
    recorder.stop()
    assert recorder.pid is None
    assert recorded_s(list(recorder.collect())) >= sent_s - 0.5


def test_recording_folder_that_cannot_be_written_is_named() -> None:
    with pytest.raises(RecordingError, match=r"recording\.root: /proc/nowhere/gate/incoming cannot be written"):
        Recorder(GATE, StreamUrl.parse("rtmp://127.0.0.1/live/x"), Recording(root=Path("/proc/nowhere")), SystemClock())


def test_folder_that_is_deleted_under_the_recorder_is_made_again(
    rtmp: RtmpServer, camera: SimulatedCamera, record: Record, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recorder = record(rtmp.url(request.node.name))
    camera.start()
    until(lambda: recorder.recording, 10, look(recorder))
    subprocess.run(["rm", "-rf", incoming_dir(tmp_path, GATE)], check=True)
    until(lambda: recorder.starts > 1 and recorder.recording, 20, look(recorder))
