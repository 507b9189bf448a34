"""One MP4 of many segments: what ffmpeg finds in it, where gaps, damage and a changed camera leave it."""

import contextlib
import itertools
import random
import subprocess
from pathlib import Path

import pytest
from footage import GATE, filed, frame_times_s, probed
from support import NS, T0_NS

from raycctv.console.media.film import Film, film
from raycctv.console.media.samples import index
from raycctv.errors import RecordingError
from raycctv.types import Span


@pytest.fixture(scope="session")
def spoken(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip with sound."""
    path = tmp_path_factory.mktemp("spoken") / "spoken.mp4"
    tone = ["-f", "lavfi", "-i", "sine=duration=10", "-c:v", "copy", "-c:a", "aac", "-shortest"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", clip, *tone, path], check=True)
    return path


REORDERED = ("-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "copy")
H265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:keyint=15", "-pix_fmt", "yuv420p", "-an")


def span(from_s: float, to_s: float) -> Span:
    return Span(GATE, T0_NS + round(from_s * NS), T0_NS + round(to_s * NS))


def written(made: Film, path: Path) -> Path:
    path.write_bytes(b"".join(made.read(0, made.size_bytes)))
    assert path.stat().st_size == made.size_bytes
    return path


def in_s(made: Film) -> list[tuple[float, float, float]]:
    return [(piece.at_s, (piece.from_ns - T0_NS) / NS, (piece.to_ns - T0_NS) / NS) for piece in made.pieces]


def test_film_joins_segments_and_begins_at_the_keyframe_before(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10, 20)]
    made = film(segments, tmp_path, span(3.5, 22.2))
    assert in_s(made) == [pytest.approx(piece, abs=0.05) for piece in [(0, 3, 10), (7, 10, 20), (17, 20, 22.2)]]
    found = probed(written(made, tmp_path / "film.mp4"))
    assert int(found["video"]["nb_read_frames"]) == pytest.approx(19.2 * 15, abs=1)
    assert float(found["format"]["duration"]) == pytest.approx(19.2, abs=0.1) == made.duration_s
    assert (found["video"]["width"], found["video"]["height"]) == (640, 360)
    assert found["video"]["start_time"] == "0.000000"
    assert made.codec.startswith("avc1.")
    assert made.codec[5:11] == subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=extradata", "-show_data", "-of", "csv=p=0", clip],
        capture_output=True, text=True, check=True,
    ).stdout.split("00000000: 01")[1].replace(" ", "")[:6]  # fmt: skip


def test_film_shows_the_recorded_frames_themselves(tmp_path: Path, clip: Path) -> None:
    def pictures(path: Path) -> list[str]:
        command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:v", "-f", "framemd5", "-"]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        return [line.split(",")[-1].strip() for line in lines if not line.startswith("#")]

    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10)]
    made = film(segments, tmp_path, span(5, 20))
    assert pictures(written(made, tmp_path / "film.mp4")) == pictures(clip)[75:] + pictures(clip)


def test_film_leaves_a_gap_out_and_says_when_what_is_seen_was(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 40)]
    made = film(segments, tmp_path, span(0, 45))
    assert in_s(made) == [pytest.approx(piece, abs=0.05) for piece in [(0, 0, 10), (10, 40, 45)]]
    times_s = frame_times_s(written(made, tmp_path / "film.mp4"))
    steps = [later - earlier for earlier, later in itertools.pairwise(times_s)]
    assert max(steps) < 0.1  # no pause
    assert len(times_s) == 225


def test_film_that_begins_in_a_gap_begins_after_it(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 40)]
    made = film(segments[1:], tmp_path, span(20, 50))
    assert in_s(made) == [pytest.approx((0, 40, 50), abs=0.05)]


def test_film_of_pictures_that_are_decoded_out_of_order_has_the_right_times(tmp_path: Path, spoken: Path) -> None:
    segments = [filed(tmp_path, spoken, start_s, options=REORDERED) for start_s in (0, 10)]
    made = film(segments, tmp_path, span(0, 20))
    path = written(made, tmp_path / "film.mp4")
    found = probed(path)
    times_s = frame_times_s(path)
    assert (found["video"]["has_b_frames"], len(times_s)) == (2, 300)
    assert times_s == pytest.approx([number / 15 for number in range(300)], abs=0.04)
    assert int(found["audio"]["nb_read_frames"]) > 800


def test_film_keeps_sound_in_step_across_gaps(tmp_path: Path, spoken: Path, clip: Path) -> None:
    segments = [filed(tmp_path, spoken, start_s) for start_s in (0, 10, 60, 90)]
    made = film(segments, tmp_path, span(5.5, 95))
    found = probed(written(made, tmp_path / "film.mp4"))
    assert made.codec.endswith(",mp4a.40.2")
    assert float(found["video"]["duration"]) == pytest.approx(30, abs=0.1)
    assert float(found["audio"]["duration"]) == pytest.approx(30, abs=0.15)
    assert float(found["audio"]["start_time"]) == pytest.approx(0, abs=0.05)


def test_film_of_keyframes_alone_is_as_long_and_much_smaller(tmp_path: Path, spoken: Path) -> None:
    segments = [filed(tmp_path, spoken, start_s) for start_s in (0, 40)]
    whole = film(segments, tmp_path, span(0, 50))
    made = film(segments, tmp_path, span(0, 50), keyframes_only=True)
    path = written(made, tmp_path / "film.mp4")
    assert "audio" not in probed(path)
    assert frame_times_s(path) == pytest.approx(list(range(20)), abs=0.05)  # one a second
    assert [piece.at_s for piece in made.pieces] == [piece.at_s for piece in whole.pieces]
    assert made.duration_s == whole.duration_s
    assert made.size_bytes < whole.size_bytes / 2


def test_film_of_h265_has_a_name_that_safari_knows(tmp_path: Path, clip: Path) -> None:
    made = film([filed(tmp_path, clip, 0, options=H265)], tmp_path, span(2, 5))
    found = probed(written(made, tmp_path / "film.mp4"))
    assert (found["video"]["codec_tag_string"], int(found["video"]["nb_read_frames"])) == ("hvc1", 45)
    assert made.codec == "hvc1.1.6.L63.90"


def test_film_ends_where_the_camera_changes_its_picture_and_says_where_to_go_on(tmp_path: Path, clip: Path) -> None:
    small = ("-vf", "scale=320:180", "-c:v", "libx264", "-g", "15", "-bf", "0")
    segments = [filed(tmp_path, clip, 0), filed(tmp_path, clip, 10, options=small), filed(tmp_path, clip, 20)]
    first = film(segments, tmp_path, span(0, 30))
    assert in_s(first) == [pytest.approx((0, 0, 10), abs=0.05)]
    assert first.continues_ns == segments[1].started_at_ns
    second = film(segments[1:], tmp_path, Span(GATE, first.continues_ns, T0_NS + 30 * NS))
    assert probed(written(second, tmp_path / "film.mp4"))["video"]["width"] == 320


@pytest.mark.parametrize("damage", ["gone", "empty", "no header", "noise"])
def test_segment_that_cannot_be_read_is_left_out_like_a_gap(tmp_path: Path, clip: Path, damage: str) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10, 20)]
    path = tmp_path / segments[1].path
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        noise = random.Random(1).randbytes(len(whole))  # noqa: S311
        path.write_bytes({"empty": b"", "no header": whole[2000:], "noise": noise}[damage])
    made = film(segments, tmp_path, span(0, 30))
    assert in_s(made) == [pytest.approx(piece, abs=0.05) for piece in [(0, 0, 10), (10, 20, 30)]]
    assert len(made.left_out) == 1
    assert str(path) in made.left_out[0]
    assert int(probed(written(made, tmp_path / "film.mp4"))["video"]["nb_read_frames"]) == 300


def test_segment_that_is_torn_in_the_middle_plays_until_there(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10)]
    path = tmp_path / segments[0].path
    path.write_bytes(path.read_bytes()[: segments[0].size_bytes // 2])
    made = film(segments, tmp_path, span(0, 20))
    ((_, _, first_end), (second_at, *_)) = in_s(made)
    assert 2 < first_end < 9
    assert second_at == pytest.approx(first_end, abs=0.05)
    probed(written(made, tmp_path / "film.mp4"))


def test_damaged_header_of_any_kind_is_an_error_of_ours(tmp_path: Path, clip: Path) -> None:
    (segment,) = [filed(tmp_path, clip, 0)]
    path = tmp_path / segment.path
    whole, rng = path.read_bytes(), random.Random(7)  # noqa: S311
    for _ in range(300):
        torn = bytearray(whole)
        for _ in range(rng.randint(1, 20)):
            torn[rng.randrange(4000)] = rng.randrange(256)
        path.write_bytes(torn)
        with contextlib.suppress(RecordingError):  # most of them play
            film([segment], tmp_path, span(0, 10))


def test_span_without_a_frame_is_an_error(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(RecordingError, match="there is no frame in that span"):
        film([], tmp_path, span(0, 10))
    with pytest.raises(RecordingError, match="there is no frame in that span"):
        film([filed(tmp_path, clip, 0)], tmp_path, span(30, 40))


def test_any_range_of_bytes_is_what_the_whole_has_there(tmp_path: Path, spoken: Path) -> None:
    segments = [filed(tmp_path, spoken, start_s) for start_s in (0, 10, 30)]
    rng = random.Random(3)  # noqa: S311
    for keyframes_only in (False, True):
        made = film(segments, tmp_path, span(1, 40), keyframes_only=keyframes_only)
        whole = b"".join(made.read(0, made.size_bytes))
        assert len(whole) == made.size_bytes
        for _ in range(200):
            begin = rng.randrange(made.size_bytes)
            end = min(made.size_bytes, begin + rng.choice([1, 2, 100, 50_000, made.size_bytes]))
            assert b"".join(made.read(begin, end)) == whole[begin:end]


def test_tag_is_the_same_for_the_same_film_and_another_when_a_segment_has_gone(tmp_path: Path, clip: Path) -> None:
    segments = [filed(tmp_path, clip, start_s) for start_s in (0, 10)]
    first, again = (film(segments, tmp_path, span(0, 20)) for _ in range(2))
    assert first.tag == again.tag
    (tmp_path / segments[1].path).unlink()
    assert film(segments, tmp_path, span(0, 20)).tag != first.tag
    with pytest.raises(RecordingError, match="is gone"):
        b"".join(first.read(0, first.size_bytes))


def test_index_reads_little_of_a_file(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = filed(tmp_path, clip, 0)
    assert len(index(tmp_path / segment.path).video) == 150
    read: list[object] = []
    monkeypatch.setattr("os.pread", lambda *arguments: read.append(arguments))
    index(tmp_path / segment.path)
    assert read == []  # it is remembered


def test_real_footage_plays(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "clips" / "car-detection.mp4"
    segments = [filed(tmp_path, source, start_s) for start_s in (0, 60)]
    made = film(segments, tmp_path, span(2, 70))
    assert int(probed(written(made, tmp_path / "film.mp4"))["video"]["nb_read_frames"]) > 100
