"""The whole pipeline over files, with the real network."""

import csv
import subprocess
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from raycctv.config import Camera, Config, Decode, StreamUrl, parse
from raycctv.detection.backends import Backend, open_backend
from raycctv.errors import StreamUnreachable, StreamUnreadable
from raycctv.pipeline import Footage, analyze_file, analyze_footage, probe
from raycctv.simulate.scenes import encode
from raycctv.types import CameraName, Detections, Event, FrameCounts

NAME = CameraName("file")
CAMERA = Camera(source=StreamUrl.parse("file:///any"))
CONFIG = Config(cameras={NAME: CAMERA})


@pytest.fixture(scope="module")
def detector(weights: Path) -> Iterator[Backend]:
    with open_backend("ssdlite_mobilenet_v2", "openvino", threads=2) as backend:
        yield backend


def events(path: Path, detector: Backend, camera: Camera = CAMERA, config: Config = CONFIG) -> list[Event]:
    last = {report.event.id: report.event for report in analyze_file(NAME, path, camera, config, detector)}
    return list(last.values())


def seconds(event: Event) -> tuple[float, float]:
    assert event.ended_at_ns is not None
    return event.started_at_ns / 1e9, event.ended_at_ns / 1e9


def test_pipeline_makes_one_event_of_each_visit(shared_data: Path, detector: Backend) -> None:
    with (shared_data / "labels" / "events.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["clip"].startswith("one-by-one")]
    found = events(shared_data / "clips" / "one-by-one-person-detection.mp4", detector)
    assert [event.kind for event in found] == ["person"] * len(rows) == ["person"] * 6
    for event, row in zip(found, rows, strict=True):
        start_s, end_s = seconds(event)
        assert start_s == pytest.approx(float(row["start_s"]), abs=1.0)
        assert end_s == pytest.approx(float(row["end_s"]), abs=1.5)


def test_pipeline_gives_no_event_for_drifting_light_and_a_clock(shared_data: Path, detector: Backend) -> None:
    assert events(shared_data / "clips" / "issue53_brightness_change.avi", detector) == []


def test_pipeline_mask_hides_and_zone_limits(shared_data: Path, detector: Backend, tmp_path: Path) -> None:
    clip = shared_data / "clips" / "one-by-one-person-detection.mp4"
    everything = "[[0, 0], [1, 0], [1, 1], [0, 1]]"
    base = "cameras: {file: {source: 'file:///any', "
    masked = parse(base + f"masks: {{all: {everything}}}}}}}")
    assert events(clip, detector, masked.cameras[NAME], masked) == []
    zoned = parse(base + f"zones: {{all: {everything}}}, objects: {{person: {{zones: [all]}}}}}}}}")
    assert {event.zones for event in events(clip, detector, zoned.cameras[NAME], zoned)} == {("all",)}


def test_pipeline_reports_a_picture_with_every_object(shared_data: Path, detector: Backend) -> None:
    clip = shared_data / "clips" / "car-detection.mp4"
    reports = list(analyze_file(NAME, clip, CAMERA, CONFIG, detector))
    assert reports
    for report in reports:
        if report.event.kind == "motion" and report.event.ended_at_ns is not None:
            continue  # its picture came with its beginning
        assert report.snapshot_jpeg is not None
        picture = cv2.imdecode(np.frombuffer(report.snapshot_jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (432, 768, 3)


def test_pipeline_of_the_same_file_says_the_same(clip: Path, detector: Backend) -> None:
    assert events(clip, detector) == events(clip, detector)


def test_pipeline_calls_a_thing_without_a_name_motion(clip: Path, detector: Backend) -> None:
    (event,) = events(clip, detector)
    assert event.kind == "motion"
    assert seconds(event) == pytest.approx((2.0, 9.9), abs=0.4)


def test_pipeline_compares_frames_as_the_camera_wants_it(clip: Path, detector: Backend) -> None:
    blind = parse("cameras: {file: {source: 'file:///any', motion: {min_area: 0.5}}}")
    assert events(clip, detector, blind.cameras[NAME], blind) == []


def test_pipeline_goes_on_from_one_file_to_the_next(clip: Path, tmp_path: Path, detector: Backend) -> None:
    cut = ["ffmpeg", "-loglevel", "error", "-i", str(clip), "-c", "copy", "-f", "segment", "-segment_time", "5"]
    subprocess.run([*cut, "-reset_timestamps", "1", str(tmp_path / "part%d.mp4")], check=True)
    counts = FrameCounts()
    parts = [Footage(tmp_path / "part0.mp4"), Footage(tmp_path / "part1.mp4", round(5e9))]
    reports = analyze_footage(NAME, parts, CAMERA, CONFIG, detector, counts=counts)
    (event,) = {report.event.id: report.event for report in reports}.values()
    (whole,) = events(clip, detector)
    assert seconds(event) == pytest.approx(seconds(whole), abs=0.2)
    assert counts.frames == 150
    assert 75 < counts.decoded_frames <= 150


def test_pipeline_reads_every_frame_and_its_time(clip: Path, detector: Backend) -> None:
    times: list[float] = []
    every_frame = CONFIG.model_copy(update={"decode": Decode(mode="all")})
    list(analyze_file(NAME, clip, CAMERA, every_frame, detector, on_frame=lambda frame, _: times.append(frame.media_time_s)))
    assert len(times) == 150
    assert times == pytest.approx([i / 15 for i in range(150)], abs=1e-3)


def test_pipeline_finds_the_same_events_when_it_decodes_less(shared_data: Path, detector: Backend) -> None:
    """benchmarks/decode_modes.py does so with every clip in four encodings."""
    clip = shared_data / "clips" / "one-by-one-person-detection.mp4"
    found: dict[str, list[Event]] = {}
    counts = {"all": FrameCounts(), "adaptive": FrameCounts()}
    for mode, counted in counts.items():
        config = CONFIG.model_copy(update={"decode": Decode.model_validate({"mode": mode})})
        reports = analyze_file(NAME, clip, CAMERA, config, detector, counts=counted)
        found[mode] = list({report.event.id: report.event for report in reports}.values())
    assert [event.kind for event in found["adaptive"]] == [event.kind for event in found["all"]]
    for adaptive, whole in zip(found["adaptive"], found["all"], strict=True):
        assert abs(adaptive.started_at_ns - whole.started_at_ns) <= 0.5e9
    assert counts["adaptive"].frames == counts["all"].frames
    assert counts["adaptive"].decoded_frames < 0.9 * counts["all"].decoded_frames


def test_pipeline_masks_of_motion_find_the_truth(shared_data: Path) -> None:
    """Every tenth scored frame of CDnet's highway: frame differencing is no segmentation, but it must see the cars."""

    truth = {int(path.stem[2:]): path for path in (shared_data / "cdnet_highway" / "groundtruth").iterdir()}
    hits = misses = strays = 0

    def compare(frame: object, analysis: object) -> None:
        nonlocal hits, misses, strays
        index = frame.seq + 1  # type: ignore[attr-defined]
        if index < 470 or index % 10 or index not in truth:
            return
        expected = cv2.imread(str(truth[index]), cv2.IMREAD_GRAYSCALE)
        assert expected is not None
        mask = cv2.resize(analysis.motion.mask, expected.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0  # type: ignore[attr-defined]
        moving, still = expected == 255, expected <= 50
        hits += int((mask & moving).sum())
        misses += int((~mask & moving).sum())
        strays += int((mask & still).sum())

    camera = Camera(source=CAMERA.source, objects={})
    detector = _Blind()
    every_frame = CONFIG.model_copy(update={"decode": Decode(mode="all")})
    list(analyze_file(NAME, shared_data / "clips" / "cdnet_highway.mp4", camera, every_frame, detector, on_frame=compare))
    assert hits / (hits + misses) > 0.6
    assert hits / (hits + strays) > 0.6


class _Blind:
    """A detector that sees nothing, for what is about motion alone."""

    def infer(self, images: np.ndarray) -> list:  # type: ignore[type-arg]
        return [Detections.empty()] * len(images)


def test_probe_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StreamUnreachable, match=r"none\.mp4 cannot be opened: No such file"):
        probe(NAME, StreamUrl.parse(f"file://{tmp_path}/none.mp4"))


def test_probe_of_a_file_without_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)
    with pytest.raises(StreamUnreadable, match=r"holds no video \(audio only\)"):
        probe(NAME, StreamUrl.parse(f"file://{path}"))


def test_probe_of_a_file_that_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("not a video" * 100)
    with pytest.raises(StreamUnreachable, match="Invalid data"):
        probe(NAME, StreamUrl.parse(f"file://{path}"))


def test_probe_of_a_codec_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    encode((np.full((120, 160, 3), i, np.uint8) for i in range(10)), path, fps=10, gop=5, codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))
    with pytest.raises(StreamUnreadable, match="coded in a way that this ffmpeg cannot decode"):
        probe(NAME, StreamUrl.parse(f"file://{path}"))
