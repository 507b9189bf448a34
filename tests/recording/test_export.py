"""Spans of footage as files of their own."""

import json
import subprocess
from pathlib import Path

import pytest
from support import NS, T0_NS

from raycctv.errors import RecordingError
from raycctv.recording.export import cut_exactly, export
from raycctv.recording.filing import described
from raycctv.recording.layout import filed_path
from raycctv.recording.probe import probe
from raycctv.types import CameraName, Segment, Span

GATE = CameraName("gate")


@pytest.fixture(scope="session")
def spoken(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip with sound."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    tone = ["-f", "lavfi", "-i", "sine=duration=10", "-c:v", "copy", "-c:a", "aac", "-shortest"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *tone, path], check=True)
    return path


def filed(root: Path, clip: Path, start_s: int) -> Segment:
    path = filed_path(root, GATE, T0_NS + start_s * NS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(clip.read_bytes())
    return described(root, GATE, path)


def span(from_s: float, to_s: float) -> Span:
    return Span(GATE, T0_NS + round(from_s * NS), T0_NS + round(to_s * NS))


def frames(path: Path) -> int:
    """Frames that decode; fails where one does not."""
    shown = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames"]
    done = subprocess.run([*shown, "-of", "csv=p=0", str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return int(done.stdout.strip().rstrip(","))


def test_export_joins_segments_and_begins_at_a_keyframe(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10, 20)]
    (made,) = export(segments, tmp_path, span(3.5, 22.2), tmp_path / "out.mp4")
    assert (made.from_ns - T0_NS) / NS == pytest.approx(3, abs=0.01)  # a keyframe a second
    assert (made.to_ns - T0_NS) / NS == pytest.approx(22.2, abs=0.1)
    assert made.recorded_s == pytest.approx(19.2, abs=0.1)
    assert made.gaps == []
    assert frames(made.path) == pytest.approx(19.2 * 15, abs=1)
    assert probe(made.path).duration_ns / NS == pytest.approx(made.recorded_s, abs=0.1)
    assert list(tmp_path.glob(".*.part")) == []


def test_export_leaves_gaps_out_and_tells_them(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 40)]
    (made,) = export(segments, tmp_path, span(0, 50), tmp_path / "out.mp4")
    ((from_ns, to_ns),) = made.gaps
    assert (from_ns - T0_NS) / NS == pytest.approx(10, abs=0.1)
    assert (to_ns - T0_NS) / NS == 40
    assert probe(made.path).duration_ns / NS == pytest.approx(20, abs=0.1)  # and so plays without a pause
    assert frames(made.path) == 300


def test_export_keeps_sound_in_step(tmp_path: Path, spoken: Path) -> None:
    segments = [filed(tmp_path, spoken, start_s) for start_s in (0, 10)]
    (made,) = export(segments, tmp_path, span(5, 15), tmp_path / "out.mp4")
    shown = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,start_time,duration", "-of", "json", str(made.path)]
    streams = json.loads(subprocess.run(shown, capture_output=True, text=True, check=True).stdout)["streams"]
    assert [stream["codec_type"] for stream in streams] == ["video", "audio"]
    assert all(float(stream["start_time"]) == pytest.approx(0, abs=0.1) for stream in streams)
    assert all(float(stream["duration"]) == pytest.approx(10, abs=0.2) for stream in streams)


def test_export_of_another_picture_size_is_a_file_of_its_own(tmp_path: Path, clip: Path) -> None:
    small = tmp_path / "small.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vf", "scale=320:180", "-g", "15", "-bf", "0", small], check=True)
    segments = [filed(tmp_path, clip, 0), filed(tmp_path, small, 10), filed(tmp_path, clip, 20)]
    made = export(segments, tmp_path, span(0, 30), tmp_path / "out.mp4")
    assert [one.path.name for one in made] == ["out.mp4", "out-2.mp4", "out-3.mp4"]
    assert [probe(one.path).width_px for one in made] == [640, 320, 640]
    assert sum(frames(one.path) for one in made) == 450


def test_exact_export_begins_and_ends_at_the_frame(tmp_path: Path, spoken: Path) -> None:
    segments = [filed(tmp_path, spoken, start_s) for start_s in (0, 10)]
    (whole,) = export(segments, tmp_path, span(3.4, 12.2), tmp_path / "whole.mp4")
    coded_s: list[float] = []
    made = cut_exactly(whole, span(3.4, 12.2), tmp_path / "exact.mp4", coded_s.append)
    assert coded_s == sorted(coded_s)
    assert coded_s[-1] == pytest.approx(8.8, abs=0.1)
    assert (made.from_ns - T0_NS) / NS == 3.4
    assert (made.to_ns - T0_NS) / NS == pytest.approx(12.2, abs=0.1)
    assert frames(made.path) == pytest.approx(8.8 * 15, abs=1)


def test_export_of_a_span_without_a_frame_is_an_error_and_leaves_nothing(tmp_path: Path, clip: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(RecordingError, match="there is no frame in that span"):
        export([filed(tmp_path, clip, 0)], tmp_path, span(-5, -1), tmp_path / "out" / "out.mp4")
    assert list((tmp_path / "out").iterdir()) == []


def test_export_into_a_folder_that_is_not_there_is_an_error(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(RecordingError, match=r"none/out\.mp4: cannot be written from .*: No such file"):
        export([filed(tmp_path, clip, 0)], tmp_path, span(0, 5), tmp_path / "none" / "out.mp4")


def test_export_of_a_segment_that_is_gone_leaves_no_half_file(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10)]
    (tmp_path / segments[1].path).unlink()
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        export(segments, tmp_path, span(0, 20), tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out.mp4*"))
