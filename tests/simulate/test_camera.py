"""Simulated cameras: real streams of known length."""

import itertools
from pathlib import Path

import av
import pytest
from support import until

from raycctv.errors import StreamError
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera


def test_camera_sends_in_real_time_and_knows_how_much(rtmp: RtmpServer, clip: Path) -> None:
    camera = SimulatedCamera("cam", clip, rtmp.url("real-time"))
    camera.start()
    camera.start()
    took_s = until(lambda: camera.online_s >= 2, 10)
    camera.stop()
    camera.stop()
    assert took_s == pytest.approx(2, abs=1.2)
    assert camera.pid is None
    sent_s = camera.online_s
    camera.start()
    until(lambda: camera.online_s > sent_s + 1, 10)
    camera.stop()


def test_clip_begins_anew_without_a_break_in_time(rtmp: RtmpServer, clip: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    with av.open(str(clip)) as source, av.open(str(short), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size and packet.pts is not None and packet.pts * packet.time_base < 1:
                packet.stream = stream
                sink.mux(packet)
    camera = SimulatedCamera("cam", short, rtmp.url("loop"))
    camera.start()
    try:
        with av.open(rtmp.url("loop"), options={"rtmp_live": "live", "analyzeduration": "100000"}, timeout=10) as container:
            packets = [packet for packet, _ in zip(container.demux(video=0), range(45), strict=False)]
            times = [float((packet.pts or 0) * packet.time_base) for packet in packets]
    finally:
        camera.stop()
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(steps) > 0
    assert max(steps) < 0.2


def test_camera_that_does_not_send_cannot_freeze(clip: Path) -> None:
    with pytest.raises(StreamError, match="cam does not send"):
        SimulatedCamera("cam", clip, "rtmp://127.0.0.1/live/x").freeze()
