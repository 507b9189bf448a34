"""Streams with motion for a share of the time."""

import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from raycctv.simulate import activity
from raycctv.simulate.activity import (
    GOP_S,
    QUIET,
    VISIT,
    VISIT_GOPS,
    Span,
    motion_share,
    prepare_clips,
    schedule,
    turned,
    write_stream,
)
from raycctv.simulate.scenes import SceneError, encode, noisy

PHASES = [i / 8 for i in range(8)]


def gops(spans: list[Span]) -> list[tuple[str, int]]:
    return [(span.clip, span.first + i) for span in spans for i in range(span.gops)]


def test_schedule_of_none_is_quiet_and_of_all_is_motion() -> None:
    assert {clip for clip, _ in gops(schedule(0))} == {QUIET}
    assert {clip for clip, _ in gops(schedule(1))} == {VISIT}


@pytest.mark.parametrize("share", [0.01, 0.1, 0.25, 0.5, 0.75, 0.9])
def test_schedule_shows_one_whole_visit_for_the_share_of_the_time(share: float) -> None:
    shown = gops(schedule(share))
    assert shown[:VISIT_GOPS] == [(VISIT, i) for i in range(VISIT_GOPS)]
    assert {clip for clip, _ in shown[VISIT_GOPS:]} == {QUIET}
    assert VISIT_GOPS / len(shown) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("phase", [0.0, 0.1, 0.25, 0.9, 1.0])
def test_turned_schedule_is_the_same_round_from_another_point(phase: float) -> None:
    spans = schedule(0.1)
    shown, round_trip = gops(turned(spans, phase)), gops(spans)
    skipped = round(phase * len(round_trip))
    assert shown == round_trip[skipped:] + round_trip[:skipped]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_cameras_with_motion_are_that_share_of_all_at_any_time(share: float) -> None:
    cameras = [turned(schedule(share), phase) for phase in PHASES]
    for at_s in range(0, 100, 7):
        moving = [motion_share(spans, at_s, at_s + 1) for spans in cameras]
        assert sum(moving) / len(moving) == pytest.approx(share, abs=1 / len(cameras))


def test_motion_share_counts_the_seconds_of_visits_and_goes_round() -> None:
    spans = [Span(VISIT, 0, 2), Span(QUIET, 0, 3)]
    assert motion_share(spans, 0, 4) == 1
    assert motion_share(spans, 4, 10) == 0
    assert motion_share(spans, 2, 6) == 0.5
    assert motion_share(spans, 10, 20) == pytest.approx(0.4)


def test_stream_of_pieces_goes_on_without_a_seam(tmp_path: Path) -> None:
    """Sent as a camera sends it, twice round: each frame on time, a keyframe every 2 s, the pieces in their order."""
    for name, grey in ((QUIET, 40), (VISIT, 200)):
        still = np.full((72, 128, 3), grey, np.uint8)
        encode(noisy(still, 5 * GOP_S * 15), tmp_path / f"{name}.mp4")
    write_stream(turned([Span(VISIT, 0, 2), Span(QUIET, 0, 3)], 0.6), tmp_path / "camera.ffconcat")
    sent = tmp_path / "sent.flv"
    command = [
        "ffmpeg",
        "-loglevel",
        "error",
        "-stream_loop",
        "1",
        "-i",
        str(tmp_path / "camera.ffconcat"),
        "-c",
        "copy",
        str(sent),
    ]
    assert subprocess.run(command, capture_output=True, check=True).stderr == b""
    with av.open(str(sent)) as container:
        frames = [
            (float(frame.time), frame.key_frame, frame.to_ndarray(format="gray").mean()) for frame in container.decode(video=0)
        ]
    times = [at_s for at_s, _, _ in frames]
    assert np.diff(times) == pytest.approx(1 / 15, abs=0.002)
    assert [index for index, (_, key, _) in enumerate(frames) if key] == list(range(0, 300, 30))
    bright = [grey > 120 for _, _, grey in frames[::30]]
    assert bright == [False, False, True, True, False] * 2  # phase 0.6 begins after the visit and a quiet piece


def test_clips_follow_one_another_as_one_stream(pedestrians: Path) -> None:
    """Made once for a machine and kept, as for the load test."""
    headers = []
    for name, path in prepare_clips(lambda *_: None).items():
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            assert (video.width, video.height, float(video.average_rate or 0)) == (1920, 1080, 15)
            assert not video.codec_context.has_b_frames
            packets = [packet for packet in container.demux(video) if packet.size]
            headers.append(video.codec_context.extradata)
        assert len(packets) == {QUIET: 900, VISIT: 390}[name]
        assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == list(range(0, len(packets), 30))
        bits_per_s = sum(packet.size for packet in packets) * 8 / (len(packets) / 15)
        assert 1e6 < bits_per_s < 6e6
    assert headers[0] == headers[1]


def test_clip_that_cannot_be_made_leaves_no_file(pedestrians: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "WIDTH_PX", 1921)  # H.264 of this kind has even sides
    with pytest.raises(SceneError, match=r"quiet-1921x1080-15fps-v1\.mp4 cannot be made: .*width not divisible by 2"):
        prepare_clips(lambda *_: None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_preparation_says_how_far_it_is(pedestrians: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "WIDTH_PX", 128)
    monkeypatch.setattr(activity, "HEIGHT_PX", 72)
    monkeypatch.setattr(activity, "QUIET_GOPS", 1)
    monkeypatch.setattr(activity, "VISIT_GOPS", 1)
    told: list[tuple[str, float, float]] = []
    clips = prepare_clips(lambda *what: told.append(what), tmp_path)
    assert told[:2] == [("clip quiet", 1, 20), ("clip quiet", 2, 20)]
    assert told[-1:] == [("clip visit", 20, 20)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quiet-128x72-15fps-v1.mp4", "visit-128x72-15fps-v1.mp4"]
    made_at = [clips[name].stat().st_mtime_ns for name in clips]
    again: list[object] = []
    assert prepare_clips(lambda *what: again.append(what), tmp_path) == clips
    assert not again
    assert [clips[name].stat().st_mtime_ns for name in clips] == made_at
