"""Pictures for whoever looks: coded only when somebody does, never older than what the camera shows."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import NS, T0_NS, until
from test_live import NAME, Run, Running, camera, run, sees_nothing, url  # noqa: F401 - fixtures

from raycctv import picture
from raycctv.capture.decoder import Decoder
from raycctv.capture.packets import Stream, StreamInfo
from raycctv.capture.timeline import FileTimeline
from raycctv.clock import SystemClock
from raycctv.config import StreamUrl
from raycctv.picture import WISH_S, Pictures
from raycctv.simulate.camera import SimulatedCamera
from raycctv.types import CameraName, Frame, Packet, Picture, Rgb


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_ns(self) -> int:
        return T0_NS + round(self.s * NS)

    def monotonic_s(self) -> float:
        return self.s


class Footage:
    """The clip's packets and frames, captured from T0 on."""

    def __init__(self, clip: Path) -> None:
        with Stream(CameraName("cam"), StreamUrl.parse(f"file://{clip}"), SystemClock(), None) as stream:
            self.info: StreamInfo = stream.info
            self.packets: list[Packet] = list(stream.packets())
        decoder = Decoder(CameraName("cam"), self.info, FileTimeline(T0_NS))
        self.frames: list[Frame] = [frame for packet in self.packets for frame in decoder.decode(packet)]


@pytest.fixture(scope="module")
def footage(clip: Path) -> Footage:
    return Footage(clip)


def decoded(jpeg: bytes) -> Rgb:
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def test_nobody_looking_codes_nothing(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "encoded", lambda *_: pytest.fail("coded a frame"))
    pictures = Pictures(Clock())
    for frame in footage.frames:
        pictures.offer(frame)
    for packet in footage.packets:
        pictures.keyframe(footage.info, packet)


def test_first_question_is_answered_with_the_last_keyframe(footage: Footage) -> None:
    pictures = Pictures(Clock())
    assert pictures.picture(320) is None
    pictures.keyframe(footage.info, footage.packets[0])
    shown = pictures.picture(320)
    assert shown is not None
    assert decoded(shown.jpeg).shape == (180, 320, 3)
    assert shown.captured_at_ns == footage.packets[0].received_at_ns


def test_wish_is_fulfilled_by_the_next_frame_once(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, widths = Clock(), list[int]()
    pictures = Pictures(clock)
    real = picture.encoded

    def counted(frame: Frame, width_px: int) -> Picture:
        widths.append(width_px)
        return real(frame, width_px)

    monkeypatch.setattr(picture, "encoded", counted)
    pictures.picture(160)
    pictures.picture(320)
    for frame in footage.frames[:5]:
        pictures.offer(frame)
    assert widths == [320]  # the widest that anybody wishes, once
    shown = pictures.picture(320)
    assert shown is not None
    assert shown.captured_at_ns == footage.frames[0].captured_at_ns
    assert (shown.width_px, shown.height_px) == (320, 180)
    pictures.offer(footage.frames[5])
    clock.s += 0.5
    shown = pictures.picture(320)
    assert shown is not None
    assert shown.captured_at_ns == footage.frames[5].captured_at_ns


def test_wish_expires(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    pictures = Pictures(clock)
    pictures.picture(320)
    clock.s += WISH_S
    monkeypatch.setattr(picture, "encoded", lambda *_: pytest.fail("coded a frame"))
    pictures.offer(footage.frames[0])


def test_picture_is_never_wider_than_the_camera_or_the_wish(footage: Footage) -> None:
    frame = footage.frames[0]
    for width_px, expected in ((100, (56, 100)), (333, (187, 333)), (640, (360, 640)), (4000, (360, 640))):
        made = picture.encoded(frame, width_px)
        assert decoded(made.jpeg).shape[:2] == expected == (made.height_px, made.width_px)
    whole = picture.encoded(frame, 640).jpeg
    assert np.abs(decoded(whole).astype(int) - frame.to_rgb().astype(int)).mean() < 4  # it is that frame


def test_picture_of_a_camera_that_went_away_is_none(footage: Footage) -> None:
    pictures = Pictures(Clock())
    pictures.keyframe(footage.info, footage.packets[0])
    assert pictures.picture(320) is not None
    pictures.gone()
    assert pictures.picture(320) is None


def test_damaged_keyframe_is_no_picture(footage: Footage) -> None:
    pictures = Pictures(Clock())
    whole = footage.packets[0]
    torn = Packet(whole.camera, 0, 0, 0, whole.time_base, True, 40, whole.received_at_ns, bytes(40))
    pictures.keyframe(footage.info, torn)
    assert pictures.picture(320) is None


def test_live_reader_shows_what_changes_and_nothing_when_its_camera_is_away(
    camera: SimulatedCamera,  # noqa: F811
    run: Run,  # noqa: F811
    url: str,  # noqa: F811
) -> None:
    camera.start()
    running: Running = run(url, sees_nothing)
    times: set[int] = set()

    def look() -> None:
        shown = running.reader.picture(320)
        if shown is not None:
            times.add(shown.captured_at_ns)

    until(lambda: len(times) >= 5, 20, look)
    camera.stop()
    until(lambda: running.reader.picture(320) is None, 15)
