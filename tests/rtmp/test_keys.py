"""Stream keys, with a real nginx-rtmp that asks, real cameras and real players."""

import logging
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import until

from raycctv.config import parse
from raycctv.errors import ServerError
from raycctv.rtmp.keys import KeyServer, keys_of, refusal
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera

KEYS = {"gate": "s3cret", "yard": "other"}
RIGHT = {"call": "publish", "app": "live", "name": "gate", "addr": "10.0.0.1", "key": "s3cret"}


def test_keys_stand_in_the_sources_of_rtmp_cameras() -> None:
    config = parse("""
        cameras:
          a: {source: "rtmp://host/live/gate?key=s3cret", analysis_source: "rtmp://host/live/small?key=k2"}
          b: {source: "rtsp://host/stream?key=no"}
          c: {source: "rtmp://host/live/open"}
    """)
    assert keys_of(config) == {"gate": "s3cret", "small": "k2"}


@pytest.mark.parametrize(
    ("form", "why"),
    [
        (RIGHT, ""),
        ({**RIGHT, "call": "play"}, ""),
        ({**RIGHT, "key": "other"}, "the key for the stream 'gate' is wrong"),
        ({**RIGHT, "key": "s3cret "}, "the key for the stream 'gate' is wrong"),
        ({**RIGHT, "key": ""}, "the stream 'gate' needs its key"),
        ({**RIGHT, "name": "hall"}, "no camera's source is the stream 'hall' with a key"),
        ({**RIGHT, "call": "record"}, "'record' in 'live' is nothing that we serve"),
        ({**RIGHT, "app": "vod"}, "'publish' in 'vod' is nothing that we serve"),
        ({}, "None in None is nothing that we serve"),
    ],
)
def test_only_the_right_key_of_the_stream_is_let_in(form: dict[str, str], why: str) -> None:
    assert refusal(KEYS, form) == why


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RtmpServer]:
    with KeyServer(KEYS) as keys, RtmpServer(tmp_path / "rtmp", keys_url=keys.url) as server:
        yield server


def played(url: str) -> bool:
    """Whether a second of video can be had there."""
    command = ["ffmpeg", "-v", "error", "-rw_timeout", "8000000", "-i", url, "-t", "1", "-c", "copy", "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def test_wrong_key_publishes_and_plays_nothing_and_the_right_one_does(
    guarded: RtmpServer, clip: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.WARNING)
    intruder = SimulatedCamera("intruder", clip, f"{guarded.url('gate')}?key=wrong")
    intruder.start()
    until(lambda: "the key for the stream 'gate' is wrong" in caplog.text, 20)
    intruder.stop()
    assert not any(stream.publishing for stream in guarded.streams())
    camera = SimulatedCamera("gate", clip, f"{guarded.url('gate')}?key=s3cret")
    camera.start()
    try:
        until(lambda: any(stream.publishing for stream in guarded.streams()), 20)
        assert played(f"{guarded.url('gate')}?key=s3cret")
        assert not played(f"{guarded.url('gate')}?key=wrong")
        assert not played(guarded.url("gate"))
        with urllib.request.urlopen(f"http://127.0.0.1:{guarded.http_port}/stat") as statistics:
            shown = statistics.read().decode()
        assert "<name>gate</name>" in shown
        assert "s3cret" not in shown
    finally:
        camera.stop()
    assert "s3cret" not in caplog.text
    assert "s3cret" not in (tmp_path / "rtmp" / "error.log").read_text()
    assert "play of 127.0.0.1 is refused: the stream 'gate' needs its key" in caplog.text


def test_port_in_use_is_named() -> None:
    with KeyServer(KEYS) as server, pytest.raises(ServerError, match=f"127.0.0.1:{server.port} cannot be listened on"):
        KeyServer(KEYS, port=server.port)
