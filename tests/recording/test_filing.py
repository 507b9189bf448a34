"""From the incoming folder into the archive."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import NS, T0_NS

from raycctv.errors import RecordingError
from raycctv.recording.filing import closed_files, file_closed, set_aside
from raycctv.recording.layout import incoming_dir
from raycctv.types import CameraName

GATE = CameraName("gate")
NAME = "gate_20231114T221320Z.mp4"
HOLD = "import sys, time; held = open(sys.argv[1], 'r+b'); print('ready', flush=True); time.sleep(600)"


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    folder = incoming_dir(tmp_path, GATE)
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def holder(incoming: Path, clip: Path) -> Iterator[int]:
    """The pid of a process that has the file of 22:14:20 open, as a recorder has."""
    path = incoming / "gate_20231114T221420Z.mp4"
    path.write_bytes(clip.read_bytes())
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def test_closed_file_is_filed_under_its_day(tmp_path: Path, incoming: Path, clip: Path) -> None:
    path = incoming / NAME
    path.write_bytes(clip.read_bytes())
    os.utime(path, ns=(0, T0_NS + round(10.4 * NS)))
    (segment,) = file_closed(tmp_path, GATE, None)
    assert segment.path == f"gate/2023-11-14/{NAME}"
    assert (tmp_path / segment.path).read_bytes() == clip.read_bytes()
    assert not path.exists()
    # the time of the last write tells better than the name, which is whole seconds
    assert segment.started_at_ns == pytest.approx(T0_NS + 0.4 * NS, abs=0.01 * NS)


@pytest.mark.parametrize("written_s", [-500, 3600])
def test_time_of_last_write_that_cannot_be_is_not_believed(
    tmp_path: Path, incoming: Path, clip: Path, written_s: float
) -> None:
    path = incoming / NAME
    path.write_bytes(clip.read_bytes())
    os.utime(path, ns=(0, T0_NS + round(written_s * NS)))
    (segment,) = file_closed(tmp_path, GATE, None)
    assert segment.started_at_ns == T0_NS


def test_file_that_the_recorder_holds_is_not_closed(incoming: Path, clip: Path, holder: int) -> None:
    (incoming / NAME).write_bytes(clip.read_bytes())
    assert [path.name for path in closed_files(incoming, holder)] == [NAME]
    assert len(closed_files(incoming, None)) == 2


def test_file_that_the_recorder_has_just_made_is_not_closed(incoming: Path, holder: int) -> None:
    (incoming / NAME).touch()
    assert closed_files(incoming, holder) == []
    assert NAME in [path.name for path in closed_files(incoming, None)]


def test_files_of_one_second_are_both_kept(tmp_path: Path, incoming: Path, clip: Path) -> None:
    for _ in range(2):
        set_aside(incoming)  # a recorder died; the next numbers its files from 0 again
        (incoming / "gate_0.mp4").write_bytes(clip.read_bytes())
        os.utime(incoming / "gate_0.mp4", ns=(0, T0_NS))
    filed = [segment.path for segment in file_closed(tmp_path, GATE, None)]
    assert len(set(filed)) == 2
    assert all((tmp_path / path).stat().st_size for path in filed)


def test_file_without_a_frame_is_kept_apart(tmp_path: Path, incoming: Path, caplog: pytest.LogCaptureFixture) -> None:
    (incoming / NAME).write_bytes(b"nothing that plays" * 1000)
    assert list(file_closed(tmp_path, GATE, None)) == []
    assert (tmp_path / "gate" / "broken" / NAME).read_bytes() == b"nothing that plays" * 1000
    assert "moved to" in caplog.text


def test_file_that_is_a_mere_header_is_removed(tmp_path: Path, incoming: Path) -> None:
    (incoming / NAME).write_bytes(b"")
    assert list(file_closed(tmp_path, GATE, None)) == []
    assert not list((tmp_path / "gate").rglob("*.mp4"))


def test_torn_file_is_filed_without_its_torn_end(tmp_path: Path, incoming: Path, clip: Path) -> None:
    flags = "+frag_keyframe+empty_moov+default_base_moof"
    path = incoming / NAME
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", "-movflags", flags, path], check=True)
    whole_bytes = path.stat().st_size
    os.truncate(path, whole_bytes * 3 // 4)
    (segment,) = file_closed(tmp_path, GATE, None)
    assert 5 * NS < segment.duration_ns < 9 * NS
    assert segment.size_bytes == (tmp_path / segment.path).stat().st_size < whole_bytes * 3 // 4


def test_archive_that_cannot_be_written_leaves_the_file_for_the_next_look(tmp_path: Path, incoming: Path, clip: Path) -> None:
    (incoming / NAME).write_bytes(clip.read_bytes())
    blocked = tmp_path / "gate" / "2023-11-14"
    blocked.touch()
    with pytest.raises(RecordingError, match="cannot be filed"):
        list(file_closed(tmp_path, GATE, None))
    blocked.unlink()
    assert len(list(file_closed(tmp_path, GATE, None))) == 1
