from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycctv.config import Recording, StreamUrl
from raycctv.recording.command import record_command, stagger_s
from raycctv.types import CameraName

GATE = CameraName("gate")


def command(url: str = "rtmp://127.0.0.1/live/gate", root: str = "/footage") -> list[str]:
    return record_command(GATE, StreamUrl.parse(url), Recording(root=Path(root)))


def test_command_copies_into_fragmented_segments() -> None:
    argv = command()
    assert argv[0] == "ffmpeg"
    assert argv[argv.index("-c:v") + 1] == argv[argv.index("-c:a") + 1] == "copy"
    assert argv[argv.index("-segment_time") + 1] == "60"
    assert "empty_moov" in argv[argv.index("-segment_format_options") + 1]
    assert "-nostdin" in argv
    assert "/footage/gate/incoming/gate_%d.mp4" in argv


def test_percent_in_a_folder_is_no_number() -> None:
    assert "/100%%/gate/incoming/gate_%d.mp4" in command(root="/100%")


@pytest.mark.parametrize(
    ("url", "option", "value"),
    [
        ("rtsp://cam/s", "-rtsp_transport", "tcp"),
        ("rtmp://cam/live/s", "-rtmp_live", "live"),
        ("rtmp://cam/live/s", "-rw_timeout", "10000000"),
    ],
)
def test_each_protocol_gives_up_on_silence(url: str, option: str, value: str) -> None:
    argv = command(url)
    assert argv[argv.index(option) + 1] == value


@given(st.text("abcdefghijklmnop0123456789", min_size=1, max_size=10), st.integers(5, 3600))
def test_stagger_lies_within_a_segment_and_stays_the_same(name: str, segment_s: int) -> None:
    first = stagger_s(CameraName(name), segment_s)
    assert 0 <= first < segment_s
    assert first == stagger_s(CameraName(name), segment_s)


def test_staggers_of_32_cameras_spread_over_the_minute() -> None:
    staggers = [stagger_s(CameraName(f"camera{i}"), 60) for i in range(32)]
    assert max(staggers.count(s) for s in staggers) <= 4
