"""Cameras that change their resolution without leaving, by RTMP and by RTSP, and what is recorded of that."""

import subprocess
from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from flv import PART_S, encoded, join
from servers.rtsp import RtspCamera, missing_for_rtsp
from support import NS, until

from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, Recording, StreamUrl
from raycctv.process import DetachedProcess
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.changes import KeyframeList, take_off
from raycctv.recording.command import FRAGMENT_S
from raycctv.recording.filing import file_closed
from raycctv.recording.layout import RUN_DIR, incoming_dir
from raycctv.recording.probe import Keyframe
from raycctv.recording.verify import verify
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.storage import Storage
from raycctv.types import CameraName, Segment

GATE = CameraName("gate")
CHANGE_S = 3.0
"""What a change by RTMP may cost."""

EXACT_S = 0.5
"""How exact a camera's own account is, and that of arrivals."""

Open = Callable[[str], Storage]


@pytest.fixture
def open_storage(tmp_path: Path) -> Iterator[Open]:
    """Storage with one camera; whatever recorder it leaves is ended."""

    def start(url: str) -> Storage:
        recording = Recording(root=tmp_path / "footage", segment_s=60)
        return Storage(Config(cameras={GATE: Camera(source=StreamUrl.parse(url))}, recording=recording), SystemClock())

    yield start
    left = DetachedProcess.adopt(f"recorder-{GATE}", tmp_path / "footage" / RUN_DIR)
    if left is not None:
        left.stop(2)


@pytest.fixture
def changing(rtmp: RtmpServer, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SimulatedCamera]:
    """Six seconds of one size, six of another, and again, in one RTMP session."""
    joined = tmp_path / "joined.flv"
    join([encoded(tmp_path, width, ending="flv") for width in (640, 320)], joined)
    camera = SimulatedCamera(GATE, joined, rtmp.url(request.node.name))
    yield camera
    camera.stop()


def recorder(storage: Storage) -> dict[str, Any]:
    found: dict[str, Any] = storage.status()["recorders"][GATE]
    return found


def recorded(root: Path, *, sound: bool = True) -> list[Segment]:
    """What there is; fails where anything of it is wrong, or has no sound and should."""
    with Catalog(root / CATALOG_NAME) as catalog:
        assert verify(catalog, root).bad == []
        segments = catalog.segments()
    for segment in segments:
        shown = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=codec_name", "-of", "csv=p=0"]
        done = subprocess.run([*shown, str(root / segment.path)], capture_output=True, text=True, check=True)
        assert done.stdout.split() == (["aac"] if sound else [])
    return segments


def shown(segments: list[Segment]) -> list[tuple[int, int, float]]:
    """Width, height and seconds, with segments of one size that follow each other as one: a minute may end anywhere."""
    by_size = groupby(segments, key=lambda segment: (segment.width_px, segment.height_px))
    return [(*size, sum(segment.duration_ns for segment in own) / NS) for size, own in by_size]


def begins_with_both(found: list[tuple[int, int, float]]) -> bool:
    return [size for *size, _ in found[:2]] == [[640, 360], [320, 180]]


def assert_nothing_is_lost(segments: list[Segment]) -> None:
    found = shown(segments)
    assert begins_with_both(found)
    (*_, first_s), (*_, second_s) = found[:2]
    assert first_s == pytest.approx(PART_S, abs=FRAGMENT_S + 0.1)
    assert first_s + second_s == pytest.approx(2 * PART_S, abs=0.2)
    for earlier, later in pairwise(segments):
        assert later.started_at_ns == pytest.approx(earlier.ended_at_ns, abs=EXACT_S * NS)


def test_change_within_a_session_by_rtmp_starts_a_new_segment(
    changing: SimulatedCamera, rtmp: RtmpServer, open_storage: Open, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage = open_storage(rtmp.url(request.node.name))
    storage.tick()
    changing.start()
    until(lambda: changing.online_s >= 2 * PART_S - 1, 30, storage.tick)
    changing.stop()
    until(lambda: recorder(storage)["pid"] is None, 10)
    assert recorder(storage)["starts"] == 2
    storage.close(keep_recording=False)
    found = shown(recorded(tmp_path / "footage"))
    assert len(found) == 2
    assert begins_with_both(found)
    (*_, first_s), (*_, second_s) = found
    assert first_s == pytest.approx(PART_S, abs=0.1)  # all of it
    assert changing.online_s - first_s - second_s <= CHANGE_S + EXACT_S


@pytest.mark.slow
def test_change_that_nobody_saw_leaves_no_file_that_does_not_play(
    changing: SimulatedCamera, rtmp: RtmpServer, open_storage: Open, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    first = open_storage(rtmp.url(request.node.name))
    first.tick()
    changing.start()
    until(lambda: bool(recorder(first)["recording"]), 20, first.tick)
    first.close(keep_recording=True)
    until(lambda: changing.online_s >= PART_S + 3, 30)
    again = open_storage(rtmp.url(request.node.name))
    until(lambda: bool(recorder(again)["recording"]), 20, again.tick)
    again.close(keep_recording=False)
    assert begins_with_both(shown(recorded(tmp_path / "footage")))


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_change_within_a_session_by_rtsp_costs_nothing(codec: str, open_storage: Open, tmp_path: Path) -> None:
    if missing_for_rtsp():
        pytest.skip(f"no RTSP server: {missing_for_rtsp()}; scripts/system_packages.sh test installs it")
    first, second = (encoded(tmp_path, width, codec) for width in (640, 320))
    camera = RtspCamera(first, str(second), "--codec", codec.replace("libx", "h"))
    camera.start()
    storage = open_storage(f"rtsp://127.0.0.1:{camera.port}/stream")
    try:
        until(lambda: bool(recorder(storage)["recording"]), 20, storage.tick)
        until(lambda: recorder(storage)["starts"] > 1 or recorder(storage)["pid"] is None, 2 * PART_S + 15, storage.tick)
    finally:
        camera.stop()
        storage.close(keep_recording=False)
    assert_nothing_is_lost(recorded(tmp_path / "footage", sound=False))


def test_file_whose_frames_say_that_they_change_is_filed_as_two(tmp_path: Path) -> None:
    incoming = incoming_dir(tmp_path, GATE)
    incoming.mkdir(parents=True)
    parts = tmp_path / "parts.ffconcat"
    parts.write_text("ffconcat version 1.0\n" + "".join(f"file {encoded(tmp_path, width).name}\n" for width in (640, 320)))
    flags = ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-write_prft", "wallclock"]
    joined = ["ffmpeg", "-v", "error", "-re", "-i", str(parts), "-c", "copy", *flags, str(incoming / "gate_0.mp4")]
    subprocess.run(joined, check=True)
    with Catalog(tmp_path / CATALOG_NAME) as catalog:
        catalog.add_segments(file_closed(tmp_path, GATE, None))
    assert_nothing_is_lost(recorded(tmp_path))
    assert not list(incoming.iterdir())


HEADER = """#format: frame checksums
#extradata 0,                              40, 1df40cf8
#stream#, dts,        pts, duration,     size, hash
"""


def test_list_tells_of_the_first_keyframe_that_is_coded_otherwise(tmp_path: Path) -> None:
    told = KeyframeList(tmp_path / "keyframes")
    assert told.changed() is None
    with (tmp_path / "keyframes0").open("a") as file:
        for line in (
            HEADER,
            "0, 0, 0, 1, 900, 0000000a\n",
            "0, 15, 15, 1, 901, 0000000b, S=1, 40, 1df40cf8\n",
            "0, 30, 30, 1, 902,",
        ):
            file.write(line)
            file.flush()
            assert told.changed() is None  # what was told is what it began with, and a half line is none
        file.write(" 0000000c, S=1, 38, e0b00af5\n0, 45, 45, 1, 903, 0000000d, S=1, 39, e0b00af6\n")
    assert told.changed() == Keyframe(902, 12)
    assert KeyframeList(tmp_path / "keyframes").changed() == Keyframe(902, 12)  # for who comes later, too
    told.forget()
    assert told.changed() is None
    assert list(tmp_path.iterdir()) == []


def test_list_that_begins_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    told = KeyframeList(tmp_path / "keyframes")
    (tmp_path / "keyframes1").write_text(HEADER + "0, 0, 0, 1, 900, 0000000a\n" * 100)
    assert told.changed() is None
    (tmp_path / "keyframes1").write_text(HEADER + "0, 0, 0, 1, 900, 0000000a, S=1, 38, e0b00af5\n")
    assert told.changed() == Keyframe(900, 10)


def test_what_came_after_a_change_is_kept_apart(tmp_path: Path, clip: Path) -> None:
    """Of three files of one recorder the second begins otherwise; that of an earlier recorder is none of them."""
    incoming, broken = incoming_dir(tmp_path, GATE), tmp_path / GATE / "broken"
    incoming.mkdir(parents=True)
    names = ["gate_9.mp4", "gate_10.mp4", "gate_11.mp4", "gate_12-1.mp4"]
    for name, start in zip(names, (0, 2, 4, 2), strict=True):
        part = ["-ss", str(start), "-i", str(clip), "-t", "2", "-c", "copy", "-movflags", "+frag_keyframe+empty_moov"]
        subprocess.run(["ffmpeg", "-v", "error", *part, incoming / name], check=True)
    first = Keyframe(*first_keyframe(incoming / "gate_10.mp4"))
    for _ in range(2):
        take_off(incoming, first, broken)
        assert {path.name for path in incoming.iterdir()} == {"gate_9.mp4", "gate_12-1.mp4"}
        assert {path.name for path in broken.iterdir()} == {"gate_10.mp4", "gate_11.mp4"}


def first_keyframe(path: Path) -> tuple[int, int]:
    """Its size and checksum."""
    shown = ["-show_packets", "-show_data_hash", "adler32", "-show_entries", "packet=size,data_hash", "-of", "csv=p=0"]
    done = subprocess.run(["ffprobe", "-v", "error", *shown, path], capture_output=True, text=True, check=True)
    size, checksum = done.stdout.split()[0].split(",")
    return int(size), int(checksum.partition(":")[2], 16)
