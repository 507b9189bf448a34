from pathlib import Path

import pytest

from raycctv.config import Config, digest, load, parse
from raycctv.errors import ConfigError
from raycctv.types import CameraName

SECRET = "hunter2"
GOOD = """
cameras:
  Channel1:
    source: rtmp://127.0.0.1:1935/live/channel1
    pull: rtsp://admin:${PASSWORD}@cam1/stream
    zones: {gate: [[0.4, 0.5], [0.9, 0.5], [0.9, 1.0], [0.4, 1.0]]}
    objects: {person: {min_score: 0.6}, car: {zones: [gate]}}
recording: {keep: {continuous: 7d, max_size: 500GB, min_free: 10%}}
"""
CAMERA = "cameras: {a: {source: 'rtmp://host/live/a'}}\n"


def good(password: str = SECRET) -> Config:
    return parse(GOOD, environment={"PASSWORD": password})


def test_parse_reads_every_kind_of_value() -> None:
    config = good()
    camera = config.cameras[CameraName("Channel1")]
    assert camera.pull is not None
    assert camera.pull.reveal() == f"rtsp://admin:{SECRET}@cam1/stream"
    assert camera.objects["person"].min_score == 0.6
    keep = config.recording.keep
    assert (keep.continuous, keep.max_size, keep.min_free.of(1000)) == (7 * 86400, 500 * 10**9, 100)


def test_parse_leaves_no_password_in_any_rendering() -> None:
    config = good()
    for text in (repr(config), str(config), config.model_dump_json(), str(config.model_dump()), f"{config.cameras}"):
        assert SECRET not in text
        assert "admin:***@cam1" in text or "StreamUrl" in text


def test_load_puts_relative_folders_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    file.write_text(CAMERA + "recording: {root: footage}\nlogs: {dir: /var/log/raycctv}\n")
    config = load(file)
    assert config.recording.root == tmp_path / "footage"
    assert config.logs.dir == Path("/var/log/raycctv")


def test_load_puts_the_second_copy_beside_the_file_and_leaves_urls(tmp_path: Path) -> None:
    file = tmp_path / "cameras.yaml"
    for to, expected in (("second", f"{tmp_path}/second"), ("/mnt/b", "/mnt/b"), ("memory://bucket/a", "memory://bucket/a")):
        file.write_text(CAMERA + f"recording: {{copy_events: {{to: '{to}', pre_roll: 1m}}}}\n")
        copies = load(file).recording.copy_events
        assert copies is not None
        assert (copies.to, copies.pre_roll, copies.post_roll) == (expected, 60, 20)
    file.write_text(CAMERA + "recording: {root: footage, copy_events: {to: footage/second}}\n")
    with pytest.raises(ConfigError, match=rf"{file}: recording: copy_events\.to: .*second lies in root"):
        load(file)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (CAMERA + "recordin: {}", ["recordin", "unknown key", "did you mean 'recording'"]),
        (CAMERA + "motion: {widht_px: 3}", ["motion.widht_px", "did you mean 'width_px'"]),
        ("cameras: {a: {sorce: 'rtmp://h/l/a'}}", ["cameras.a.sorce", "did you mean 'source'"]),
        (
            "cameras: {a: {source: 'rtmp://h/l/a', objects: {person: {min_scor: 1}}}}",
            ["objects.person.min_scor", "'min_score'"],
        ),
        (CAMERA + "recording: {keep: {contnuous: 7d}}", ["recording.keep.contnuous", "did you mean 'continuous'"]),
        ("cameras: {a: {source: 'http://h/l/a'}}", ["cameras.a.source", "is no stream", "rtsp://"]),
        ("cameras: {a: {source: 'rtmp:///live'}}", ["cameras.a.source", "names no host"]),
        ("cameras: {a: {source: 'rtmp://h'}}", ["cameras.a.source", "names no stream on that host"]),
        ("cameras: {a: {source: 'rtmp://h:99999/x'}}", ["cameras.a.source", "Port out of range"]),
        ("cameras: {a/b: {source: 'rtmp://h/l/a'}}", ["cameras.a/b", "is no name", "letters, digits"]),
        ("cameras: {'..': {source: 'rtmp://h/l/a'}}", ["cameras...", "is no name"]),
        ("cameras: {'': {source: 'rtmp://h/l/a'}}", ["is no name"]),
        ("cameras: {a: {source: 'rtsp://h/a', pull: 'rtsp://h/b'}}", ["cameras.a", "source must be rtmp://"]),
        ("cameras: {a: {source: 'rtmp://h/l/a', masks: {m: [[0, 0], [1, 1]]}}}", ["cameras.a.masks.m", "3 items"]),
        ("cameras: {a: {source: 'rtmp://h/l/a', masks: {m: [[0, 0], [1, 2], [1, 1]]}}}", ["cameras.a.masks.m.1.1"]),
        ("cameras: {a: {source: 'rtmp://h/l/a', objects: {car: {zones: [x]}}}}", ["cameras.a", "'x'", "zones (none)"]),
        (CAMERA + "recording: {keep: {motion: 7 parsecs}}", ["recording.keep.motion", "is no duration", "12h"]),
        (CAMERA + "recording: {keep: {max_size: big}}", ["recording.keep.max_size", "is no size", "500GB"]),
        (CAMERA + "recording: {keep: {min_free: 100%}}", ["recording.keep.min_free", "below 100%"]),
        (CAMERA + "recording: {copy_events: {too: x}}", ["recording.copy_events.too", "did you mean 'to'"]),
        (CAMERA + "recording: {copy_events: {to: [x]}}", ["recording.copy_events.to", "is neither a folder nor a URL"]),
        (CAMERA + "recording: {copy_events: {to: ''}}", ["recording.copy_events.to", "names no folder"]),
        (CAMERA + "recording: {copy_events: {to: 'gold://b'}}", ["copy_events.to", "Protocol not known: gold", "s3://bucket"]),
        (CAMERA + "recording: {copy_events: {to: 's3://AK:a/b+c@b/x'}}", ["copy_events.to", "'s3://AK:***@b/x' holds a pass"]),
        (CAMERA + "recording: {copy_events: {to: /a, pre_roll: -1}}", ["recording.copy_events.pre_roll", "greater than or"]),
        (
            CAMERA + "recording: {root: /a/b, copy_events: {to: 'file:///a/b/c'}}",
            ["recording", "copy_events.to", "lies in root"],
        ),
        (CAMERA + "decode: {hardware: gpu}", ["decode.hardware", "'gpu'", "auto, off, or a device"]),
        ("cameras: {}", ["cameras", "at least 1"]),
        ("", ["empty", "cameras"]),
        ("- a\n", ["no mapping"]),
        ("cameras: {a: [", ["line 1", "column"]),
        ("cameras: {a: {source: 'rtmp://h/l/a'}, a: {source: 'rtmp://h/l/b'}}", ["line 1", "'a' stands twice"]),
        ("cameras: {a: {source: 'rtsp://admin:${NOT_SET}@h/a'}}", ["cameras.a.source", "NOT_SET is not set"]),
    ],
)
def test_parse_error_is_one_line_that_names_the_place(text: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "cameras.yaml", {})
    message = str(caught.value)
    assert message.startswith("cameras.yaml")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_parse_error_holds_no_password() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"cameras: {{a: {{source: 'htp://admin:{SECRET}@h/a'}}}}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_load_names_a_file_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path if kind == "folder" else tmp_path / "cameras.yaml"
    if kind == "binary":
        path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_digest_changes_with_the_password_and_with_nothing_less() -> None:
    assert digest(good()) == digest(good())
    assert digest(good()) != digest(good("another"))


@pytest.mark.parametrize("wanted", ["auto", "off", "cuda", "cuda:1", "vaapi:/dev/dri/renderD128"])
def test_hardware_is_wanted_as_it_is_written(wanted: str) -> None:
    """YAML reads a bare ``off`` as false."""
    assert parse(f"{CAMERA}decode: {{hardware: {wanted}}}").decode.hardware == wanted


@pytest.mark.parametrize("password", ["a#hunter2", "hunter2/b#c", "h?x#hunter2", "hunter2 #", "[hunter2"])
def test_password_that_breaks_its_url_is_not_told(password: str) -> None:
    with pytest.raises(ConfigError, match="is no URL; in user and password write") as error:
        good(password)
    assert "hunter2" not in str(error.value)


def test_camera_has_motion_of_its_own() -> None:
    config = parse("motion: {width_px: 480, min_area: 0.1}\ncameras: {a: {source: 'rtmp://h/l/a', motion: {sensitivity: 2}}}")
    motion = config.motion.of(config.cameras[CameraName("a")].motion)
    assert (motion.width_px, motion.min_area, motion.sensitivity) == (480, 0.1, 2)
