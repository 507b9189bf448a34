"""Frames from packets: PyAV's decoders, standing apart from the demuxer so that not every packet must be decoded."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

import av
import av.error
import cv2
import numpy as np
from av.video.reformatter import ColorRange

from raycctv.capture.packets import StreamInfo
from raycctv.types import CameraName, Fallback, Frame, Luma, Packet, Rgb

log = logging.getLogger(__name__)

_EIGHT_BIT_LUMA_FIRST = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "nv21", "gray"})
"""Pixel formats whose first plane is 8-bit luma, which is then used as it lies. Source: ffmpeg's pixfmt.h."""

_FULL_LUMA = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
_FULL_COLOUR = np.clip(np.round((np.arange(256) - 128) * (255 / 224) + 128), 0, 255).astype(np.uint8)
"""From video range to full range. Source: ITU-R BT.601, 8-bit quantization levels."""

_BACKWARD_S = 1.0
"""A longer step back than this is a camera that has begun to count anew, not a fault of one stamp."""


class Timeline(Protocol):
    """Turns a pts in seconds into a capture instant; see :mod:`raycctv.capture.timeline`."""

    def captured_at_ns(self, pts_s: float | None) -> int: ...


class Decoder:
    """Decodes one connection's packets.

    A packet that cannot be decoded is counted in :attr:`corrupt` and survived: cameras and radio links damage streams. A device
    that fails gives its place to software.

    Args:
        fallback, reason: why everything is decoded, for metrics and the status.
    """

    late = False
    """No frame comes later than its packet asks for; see :class:`raycctv.capture.adaptive.AdaptiveDecoder`."""

    watching = False
    """Every packet is decoded, whatever it shows."""

    def __init__(
        self,
        camera: CameraName,
        info: StreamInfo,
        timeline: Timeline,
        threads: int = 1,
        fallback: Fallback | None = None,
        reason: str | None = None,
    ) -> None:
        self.fallback, self.reason = fallback, reason
        self.corrupt = 0
        self.decoded = 0
        self._camera = camera
        self._timeline = timeline
        self._times = _Times()
        self._first_s: float | None = None
        self._frame_s = 1.0 / (info.frame_rate or 25.0)
        self.device = info.device
        self._context = info.context
        self._spare = info.spare
        for context in (self._context, self._spare):
            if context is not None:
                context.thread_count = threads

    def decode(self, packet: Packet) -> Iterator[Frame]:
        """The frames that ``packet`` completes: none, one, or after reordering more."""
        coded = av.Packet(packet.data)
        coded.pts, coded.dts, coded.time_base = packet.pts, packet.dts, packet.time_base
        coded.is_keyframe = packet.is_keyframe
        yield from self._decoded(coded)

    def flush(self) -> Iterator[Frame]:
        """The frames that are still inside the decoder. It decodes nothing afterwards."""
        yield from self._decoded(None)

    def status(self) -> dict[str, Any]:
        """What is decoded, and why."""
        return {"mode": "everything", "fallback": self.fallback, "reason": self.reason, "device": self.device}

    def restart(self) -> None:
        """Forget the last packets: the next one is a keyframe, of any time."""
        self._context.flush_buffers()
        self._times = _Times()

    def _decoded(self, coded: "av.Packet[Any] | None") -> Iterator[Frame]:
        try:
            pictures = self._context.decode(coded)
        except av.error.FFmpegError as error:
            self.corrupt += 1
            log.debug("%s: a packet could not be decoded: %s", self._camera, error)
            self._leave_device(error)
            return
        for picture in pictures:
            if isinstance(picture, av.VideoFrame):
                self.corrupt += picture.is_corrupt
                yield self._framed(picture)

    def _leave_device(self, error: av.error.FFmpegError) -> None:
        """Go on in software where a device has failed. A damaged stream is no such failure, and is told as invalid data."""
        if self._spare is None or isinstance(error, av.error.InvalidDataError):
            return
        log.warning("%s: %s decodes no more (%s); decoded in software from now on", self._camera, self.device, error.strerror)
        self._context, self._spare, self.device = self._spare, None, "software"

    def _framed(self, picture: av.VideoFrame) -> Frame:
        time_s = self._times.of(picture)
        if self._first_s is None:
            self._first_s = time_s or 0.0
        media_s = self.decoded * self._frame_s if time_s is None else time_s - self._first_s
        frame = Frame(
            camera=self._camera,
            seq=self.decoded,
            captured_at_ns=self._timeline.captured_at_ns(time_s),
            media_time_s=media_s,
            luma=_luma(picture),
            to_rgb=partial(_rgb, picture),
        )
        self.decoded += 1
        return frame


class _Times:
    """Presentation times of decoded pictures in seconds, never falling.

    AVI has only dts, and old MPEG-4 files have pts that are wrong. A picture time that does not advance is a fault; the
    stamp with fewer faults so far is believed. Source: the same rule as ffmpeg's ``best_effort_timestamp``.
    """

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._faults = {"pts": 0, "dts": 0}
        self._last_s: float | None = None

    def of(self, picture: av.VideoFrame) -> float | None:
        """Seconds, or None where the picture has no time at all."""
        stamps = {name: stamp for name, stamp in (("pts", picture.pts), ("dts", picture.dts)) if stamp is not None}
        for name, stamp in stamps.items():
            self._faults[name] += stamp <= self._last.get(name, stamp - 1)
            self._last[name] = stamp
        if not stamps or picture.time_base is None:
            return None
        best = min(stamps, key=lambda name: self._faults[name])
        time_s = float(stamps[best] * picture.time_base)
        if self._last_s is not None and self._last_s - _BACKWARD_S < time_s <= self._last_s:
            time_s = self._last_s
        self._last_s = time_s
        return time_s


def _luma(picture: av.VideoFrame) -> Luma:
    if picture.format.name not in _EIGHT_BIT_LUMA_FIRST:
        picture = picture.reformat(format="gray")
    return _plane(picture, 0)


def _plane(picture: av.VideoFrame, index: int) -> Luma:
    """uint8 (h, w), as the decoder wrote it."""
    plane = picture.planes[index]
    rows: Luma = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _rgb(picture: av.VideoFrame, part: tuple[int, int, int, int] | None = None, least_px: int | None = None) -> Rgb:
    left, top, right, bottom = part or (0, 0, picture.width, picture.height)
    if part is None or picture.format.name not in ("yuv420p", "yuvj420p"):
        whole = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
        return whole[top:bottom, left:right]
    shortest = min(right - left, bottom - top)
    halvings = 0 if least_px is None else max(0, (shortest // least_px).bit_length() - 1)
    return _converted(picture, (left, top, right, bottom), halvings)


def _converted(picture: av.VideoFrame, part: tuple[int, int, int, int], halvings: int) -> Rgb:
    """RGB of a part of a 4:2:0 picture: ITU-R BT.601, as ffmpeg's scaler does where a stream says nothing else.

    OpenCV converts a 400 x 400 part of a picture of 1920 x 1080 in a tenth of the time that ffmpeg takes for the whole.
    """
    grid = 2 ** max(1, halvings)
    left, top, right, bottom = (edge // grid * grid for edge in (*part[:2], part[2] + grid - 1, part[3] + grid - 1))
    luma = _plane(picture, 0)[top:bottom, left:right]
    blue, red = (_plane(picture, index)[top // 2 : bottom // 2, left // 2 : right // 2] for index in (1, 2))
    size = (luma.shape[1] >> halvings, luma.shape[0] >> halvings)
    planes = [
        cv2.resize(plane, size, interpolation=cv2.INTER_AREA if halvings else cv2.INTER_LINEAR) for plane in (luma, red, blue)
    ]
    if picture.format.name == "yuv420p" and picture.color_range != ColorRange.JPEG:
        planes = [cv2.LUT(plane, table) for plane, table in zip(planes, (_FULL_LUMA, _FULL_COLOUR, _FULL_COLOUR), strict=True)]
    rgb = np.asarray(cv2.cvtColor(cv2.merge(planes), cv2.COLOR_YCrCb2RGB), np.uint8)
    x0, y0, x1, y1 = (edge >> halvings for edge in (part[0] - left, part[1] - top, part[2] - left, part[3] - top))
    return rgb[y0:y1, x0:x1]
