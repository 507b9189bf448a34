"""Facts of segment files: whole, cut off, lying."""

import os
import subprocess
from pathlib import Path

import pytest
from support import NS

from raycctv.errors import RecordingError
from raycctv.recording.fragments import cut_torn_end
from raycctv.recording.probe import Media, Unplayable, probe


@pytest.fixture(scope="session")
def fragmented(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as a recorder writes it: a fragment a second."""
    path = tmp_path_factory.mktemp("fragmented") / "segment.mp4"
    flags = "+frag_keyframe+empty_moov+default_base_moof"
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", "-movflags", flags, path], check=True)
    return path


def test_probe_of_a_whole_segment(fragmented: Path) -> None:
    media = probe(fragmented)
    assert (media.codec, media.width_px, media.height_px) == ("h264", 640, 360)
    assert media.duration_ns == pytest.approx(10 * NS, rel=0.001)
    assert cut_torn_end(fragmented) == 0


@pytest.mark.parametrize("share", [0.35, 0.6, 0.97])
def test_torn_end_is_cut_and_all_that_stays_plays(fragmented: Path, tmp_path: Path, share: float) -> None:
    data = fragmented.read_bytes()
    torn = tmp_path / "torn.mp4"
    torn.write_bytes(data[: int(len(data) * share)])
    os.utime(torn, ns=(1, 123 * NS))
    cut_bytes = cut_torn_end(torn)
    assert cut_bytes > 0
    assert torn.stat().st_mtime_ns == 123 * NS
    assert cut_torn_end(torn) == 0
    duration_s = probe(torn).duration_ns / NS
    assert duration_s == pytest.approx(round(duration_s), abs=0.01)  # whole fragments of a second
    assert share * 10 - 1.5 <= duration_s <= share * 10 + 0.5
    decoded = subprocess.run(["ffmpeg", "-v", "error", "-i", torn, "-f", "null", "-"], capture_output=True, check=True)
    assert decoded.stderr == b""


def test_files_without_a_frame_are_unplayable(fragmented: Path, tmp_path: Path) -> None:
    header = tmp_path / "header.mp4"
    header.write_bytes(fragmented.read_bytes()[:1200])
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(os.urandom(5000))
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path in (header, noise, empty):
        with pytest.raises(Unplayable, match=path.name):
            probe(path)


def test_sound_alone_is_unplayable(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", path], check=True)
    with pytest.raises(Unplayable, match="holds no video"):
        probe(path)


def test_file_that_is_not_there_is_no_broken_file(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="cannot be read: No such file") as raised:
        probe(tmp_path / "none.mp4")
    assert not isinstance(raised.value, Unplayable)


def test_jump_of_the_cameras_clock_does_not_count_as_footage(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "jump.mp4"
    jump = "setts=pts='if(gte(N,75),PTS+3600/TB,PTS)':dts='if(gte(N,75),DTS+3600/TB,DTS)'"
    flags = "+frag_keyframe+empty_moov"
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", "-bsf:v", jump, "-movflags", flags, path], check=True)
    media = probe(path)
    assert isinstance(media, Media)
    assert media.duration_ns == pytest.approx(10 * NS, rel=0.02)
