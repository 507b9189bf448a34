"""What decodes. There may be no device here; what must hold without one is that software does, and that the log says why."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
import pytest
from av.codec.hwaccel import hwdevices_available

from raycctv.capture import hardware
from raycctv.capture.decoder import Decoder
from raycctv.capture.hardware import Device, HardwareError, accelerated, choose, cost, opened, present, sample_packets
from raycctv.capture.packets import Stream
from raycctv.capture.timeline import FileTimeline
from raycctv.clock import SystemClock
from raycctv.config import StreamUrl
from raycctv.types import CameraName, Packet

NAME = CameraName("cam")
NOT_THERE = "cuda:63"
NOT_BUILT = "vaapi:/dev/null"


@pytest.fixture(autouse=True)
def chosen_anew() -> None:
    choose.cache_clear()


def coded(clip: Path) -> tuple[Stream, list[Packet]]:
    stream = Stream(NAME, StreamUrl.parse(f"file://{clip}"), SystemClock(), timeout_s=None)
    return stream, list(stream.packets())


def test_machine_without_devices_decodes_in_software_and_says_so(
    monkeypatch: pytest.MonkeyPatch, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hardware, "NODES", {"cuda": "/dev/no-such-card[0-9]*"})
    caplog.set_level(logging.INFO)
    stream, _ = coded(clip)
    assert accelerated(NAME, stream.info, "auto") is stream.info
    assert "h264 is decoded in software: no device (/dev/no-such-card[0-9]*)" in caplog.text


def test_looking_for_devices_decodes_nothing_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "NODES", {"cuda": "/dev/no-such-card[0-9]*"})
    monkeypatch.setattr(hardware, "cost", None)
    assert choose("auto", "h264").device is None


@pytest.mark.parametrize("wanted", [NOT_THERE, NOT_BUILT])
def test_named_device_that_does_not_open_gives_its_place_to_software_with_a_warning(
    wanted: str, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream, packets = coded(clip)
    info = accelerated(NAME, stream.info, wanted)
    assert info is stream.info
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert f"{wanted} cannot be" in warnings[0]
    decoder = Decoder(NAME, info, FileTimeline(0))
    assert decoder.status()["device"] == "software"
    assert sum(1 for packet in packets for _ in decoder.decode(packet)) > 100


def test_device_that_is_there_but_does_not_open_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two cards are shown, and none can be opened."""
    for number in range(2):
        (tmp_path / f"card{number}").touch()
    monkeypatch.setattr(hardware, "NODES", {"cuda": f"{tmp_path}/card[0-9]"})
    monkeypatch.setattr(hardware, "usable_kinds", lambda: ["cuda"])
    assert present() == [Device("cuda", "0"), Device("cuda", "1")]
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there are real cards here")
    choice = choose("auto", "h264")
    assert choice.device is None
    assert choice.reason.count("cannot be opened") == 2
    assert "ms" in choice.reason


@pytest.mark.parametrize(("device_ms", "wall_ms", "taken"), [(1.0, 5.0, True), (9.0, 5.0, False), (1.0, 50.0, False)])
def test_device_is_taken_when_it_costs_the_cpu_less_and_is_not_slow(
    monkeypatch: pytest.MonkeyPatch, device_ms: float, wall_ms: float, taken: bool
) -> None:
    spent = iter([hardware.DecodeCost(4.0, 4.0), hardware.DecodeCost(device_ms, wall_ms)])
    monkeypatch.setattr(hardware, "present", lambda: [Device("cuda", "0")])
    monkeypatch.setattr(hardware, "opened", lambda *_: None)
    monkeypatch.setattr(hardware, "cost", lambda *_: next(spent))
    assert (choose("auto", "h264").device is not None) == taken


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_sample_is_decoded_and_its_cost_told(codec: str) -> None:
    spent = cost(opened(codec, None), sample_packets(codec))
    assert 0 < spent.cpu_ms < 1000
    assert spent.wall_ms > 0


def test_decoder_made_of_a_streams_headers_gives_the_same_pictures(clip: Path) -> None:
    """As one on a device is made."""
    stream, packets = coded(clip)
    own = replace(stream.info, context=opened("h264", None, stream.info.context.extradata))
    decoders = [Decoder(NAME, info, FileTimeline(0)) for info in (stream.info, own)]
    pictures = [[frame.luma.copy() for packet in packets for frame in decoder.decode(packet)] for decoder in decoders]
    assert len(pictures[0]) > 100
    assert np.array_equal(np.stack(pictures[0]), np.stack(pictures[1]))


class Failing:
    """A device's decoder after the device has gone, or over a damaged stream."""

    thread_count = 1

    def __init__(self, error: type[av.error.FFmpegError]) -> None:
        self._error = error

    def decode(self, _: object) -> list[Any]:
        raise self._error(0, "no such luck")


@pytest.mark.parametrize(("error", "device"), [(av.error.ExternalError, "software"), (av.error.InvalidDataError, "cuda")])
def test_device_that_fails_gives_its_place_to_software_but_a_damaged_stream_is_no_failure(
    clip: Path, error: type[av.error.FFmpegError], device: str
) -> None:
    stream, packets = coded(clip)
    failing: Any = Failing(error)
    info = replace(stream.info, context=failing, device="cuda", spare=stream.info.context)
    decoder = Decoder(NAME, info, FileTimeline(0))
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    assert decoder.status()["device"] == device
    assert (len(frames) > 100) == (device == "software")
    assert decoder.corrupt == (1 if device == "software" else len(packets))


@pytest.mark.skipif(not present(), reason=f"no device to decode with (PyAV knows {', '.join(hwdevices_available())})")
def test_device_gives_the_same_pictures(clip: Path) -> None:
    stream, packets = coded(clip)
    try:
        context = opened("h264", present()[0], stream.info.context.extradata)
    except HardwareError as error:
        pytest.skip(str(error))
    decoders = [Decoder(NAME, info, FileTimeline(0)) for info in (stream.info, replace(stream.info, context=context))]
    pictures = [[frame.luma.copy() for packet in packets for frame in decoder.decode(packet)] for decoder in decoders]
    assert np.abs(np.stack(pictures[0]).astype(int) - np.stack(pictures[1])).max() <= 1
