"""Streams that come, go, break and lie, through a real nginx-rtmp."""

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from raycctv.capture.decoder import Decoder
from raycctv.capture.packets import Lost, Opened, Stream, live_packets
from raycctv.capture.timeline import FileTimeline, LiveTimeline
from raycctv.clock import SystemClock
from raycctv.config import StreamUrl
from raycctv.errors import StreamEnded, StreamUnreachable
from raycctv.rtmp.server import RtmpServer, free_port
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.proxy import CorruptingProxy
from raycctv.types import CameraName, Packet

NAME = CameraName("cam")
CLOCK = SystemClock()


class Reading:
    """``live_packets`` in a thread, as a reader runs it."""

    def __init__(self, url: str, timeout_s: float = 10.0) -> None:
        self.items: list[Opened | Packet | Lost] = []
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, args=(url, timeout_s))
        self._thread.start()

    def _run(self, url: str, timeout_s: float) -> None:
        for item in live_packets(NAME, StreamUrl.parse(url), CLOCK, self._stop, timeout_s):
            with self._changed:
                self.items.append(item)
                self._changed.notify_all()

    def wait_for(self, kind: type, count: int = 1, timeout_s: float = 20) -> float:
        """Until so many items of that kind have come; returns how long that took."""
        began_s = time.monotonic()
        with self._changed:
            assert self._changed.wait_for(lambda: self.count(kind) >= count, timeout_s), self.items[-3:]
        return time.monotonic() - began_s

    def count(self, kind: type) -> int:
        return sum(isinstance(item, kind) for item in self.items)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=15)
        assert not self._thread.is_alive()


@pytest.fixture
def camera(rtmp: RtmpServer, clip: Path, request: pytest.FixtureRequest) -> Iterator[SimulatedCamera]:
    simulated = SimulatedCamera("cam", clip, rtmp.url(request.node.name))
    yield simulated
    simulated.stop()


@pytest.fixture
def reading(rtmp: RtmpServer, request: pytest.FixtureRequest) -> Iterator[Reading]:
    opened = Reading(rtmp.url(request.node.name), timeout_s=3)
    yield opened
    opened.close()


def test_live_stream_is_read_from_its_first_keyframe(camera: SimulatedCamera, reading: Reading) -> None:
    camera.start()
    reading.wait_for(Packet, 30)
    camera.stop()
    reading.wait_for(Lost)
    packets = [item for item in reading.items if isinstance(item, Packet)]
    assert packets[0].is_keyframe
    assert len(packets) == pytest.approx(camera.online_s * 15, abs=2)
    assert [packet.seq for packet in packets] == list(range(len(packets)))


def test_live_stream_that_drops_and_returns_is_read_again_within_five_seconds(
    camera: SimulatedCamera, reading: Reading
) -> None:
    for times in (1, 2, 3):
        camera.start()
        assert reading.wait_for(Opened, times) < 5
        reading.wait_for(Packet, 15)
        lost = reading.count(Lost)
        camera.stop()
        assert reading.wait_for(Lost, lost + 1) < 2
    errors = [item.error for item in reading.items if isinstance(item, Lost)]
    assert any(isinstance(error, StreamEnded) for error in errors)


def test_live_stream_that_freezes_is_lost_and_found_again(camera: SimulatedCamera, reading: Reading) -> None:
    camera.start()
    reading.wait_for(Packet, 15)
    camera.freeze()
    assert reading.wait_for(Lost) < 6
    camera.thaw()
    camera.stop()
    camera.start()
    assert reading.wait_for(Opened, 2) < 10


def test_live_stream_survives_a_restart_of_the_server(tmp_path: Path, clip: Path) -> None:
    with RtmpServer(tmp_path / "rtmp") as server:
        simulated = SimulatedCamera("cam", clip, server.url("cam"))
        reading = Reading(server.url("cam"), timeout_s=3)
        try:
            simulated.start()
            reading.wait_for(Packet, 15)
            server.restart()
            simulated.stop()
            simulated.start()
            assert reading.wait_for(Opened, 2) < 10
        finally:
            simulated.stop()
            reading.close()


def test_live_stream_without_a_server_says_so_and_tries_again() -> None:
    port = free_port()
    reading = Reading(f"rtmp://admin:hunter2@127.0.0.1:{port}/live/cam")
    reading.wait_for(Lost, 3)
    reading.close()
    lost = reading.items[0]
    assert isinstance(lost, Lost)
    assert isinstance(lost.error, StreamUnreachable)
    assert f"rtmp://admin:***@127.0.0.1:{port}/live/cam cannot be opened: Connection refused" in str(lost.error)
    assert "hunter2" not in repr(reading.items)
    waits = [item.retry_in_s for item in reading.items if isinstance(item, Lost)]
    assert waits == sorted(waits)


def test_corrupt_stream_is_counted_and_survived(rtmp: RtmpServer, clip: Path) -> None:
    url = rtmp.url("corrupt")
    simulated = SimulatedCamera("cam", clip, url)
    simulated.start()
    with CorruptingProxy(rtmp.rtmp_port, flip_every_bytes=3000, seed=1) as proxy:
        reading = Reading(f"rtmp://127.0.0.1:{proxy.port}/live/corrupt", timeout_s=3)
        try:
            reading.wait_for(Packet, 90, timeout_s=40)
        finally:
            simulated.stop()
            reading.close()
    assert proxy.flipped > 0
    corrupt = decoded = 0
    decoder: Decoder | None = None
    for item in reading.items:
        if isinstance(item, Opened):
            decoder = Decoder(NAME, item.info, LiveTimeline(CLOCK))
        elif isinstance(item, Packet) and decoder is not None:
            before = decoder.corrupt
            decoded += sum(1 for _ in decoder.decode(item))
            corrupt += decoder.corrupt - before
    assert decoded > 0
    assert corrupt > 0


def test_decoder_luma_is_the_picture(clip: Path) -> None:
    with Stream(NAME, StreamUrl.parse(f"file://{clip}"), CLOCK, timeout_s=None) as stream:
        decoder = Decoder(NAME, stream.info, FileTimeline(0))
        frames = [frame for packet in stream.packets() for frame in decoder.decode(packet)]
    frame = frames[60]
    assert frame.luma.shape == (360, 640)
    assert not frame.luma.flags.owndata
    block = frame.luma[210:270, 165:185]
    assert block.mean() > frame.luma[:150].mean() + 50
    rgb = frame.to_rgb()
    assert rgb.shape == (360, 640, 3)
    assert np.abs(rgb.astype(int).mean(axis=2) - frame.luma).mean() < 15


@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv422p"])
@pytest.mark.parametrize("part", [(0, 0, 640, 360), (101, 53, 322, 311), (2, 4, 302, 304)])
def test_decoder_converts_a_part_as_it_converts_the_whole(
    pixels: str, part: tuple[int, int, int, int], clip: Path, tmp_path: Path
) -> None:
    path = tmp_path / "colours.mp4"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:d=0.2", "-pix_fmt", pixels, path], check=True
    )
    with Stream(NAME, StreamUrl.parse(f"file://{path}"), CLOCK, timeout_s=None) as stream:
        decoder = Decoder(NAME, stream.info, FileTimeline(0))
        frame = next(frame for packet in stream.packets() for frame in decoder.decode(packet))
    left, top, right, bottom = part
    whole, alone, small = frame.to_rgb()[top:bottom, left:right], frame.to_rgb(part), frame.to_rgb(part, least_px=150)
    assert alone.shape == whole.shape
    difference = np.abs(whole.astype(int) - alone)
    assert difference.mean() < 3  # colour at sharp edges is filtered otherwise
    assert np.median(difference) <= 2
    if pixels != "yuv422p" and min(alone.shape[:2]) >= 300:
        assert min(small.shape[:2]) in range(150, 300)
        assert np.abs(cv2.resize(whole, small.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int) - small).mean() < 6


def test_decoder_gives_times_that_never_fall(shared_data: Path) -> None:
    for name in ("vtest.avi", "tree.avi", "motorway_osd.avi", "traffic_camera.mp4"):
        with Stream(NAME, StreamUrl.parse(f"file://{shared_data}/clips/{name}"), CLOCK, timeout_s=None) as stream:
            assert stream.info.duration_s is not None
            decoder = Decoder(NAME, stream.info, FileTimeline(0))
            times = [frame.media_time_s for packet in stream.packets() for frame in decoder.decode(packet)]
            assert times == sorted(times)
            assert times[-1] == pytest.approx(stream.info.duration_s, abs=0.3)
