"""Pictures of a camera for whoever looks, made of what its reader decodes anyway.

Nobody looking costs nothing: a frame that comes is compared with a time that has passed. Who asks wishes for the next frame
that is decoded, which of a quiet camera is the next keyframe that is looked at; it is coded once, at the largest width that
anybody wishes. Where there is none yet, the last keyframe, whose packet is at hand, is decoded on the spot, in a decoder of
its own.
"""

import logging
import threading
from typing import cast

import av
import av.error
import cv2
import numpy as np
import numpy.typing as npt

from raycctv.capture.packets import StreamInfo
from raycctv.clock import NS_PER_S, Clock
from raycctv.types import Frame, Packet, Picture

log = logging.getLogger(__name__)

WISH_S = 10.0
"""Time for which a wish stands: longer than a quiet camera is left alone, and than a page waits between two questions."""

_OLD_S = 10.0
"""Age above which a picture says nothing of now."""

_QUALITY = 80


class Pictures:
    """Of one camera. :meth:`offer` and :meth:`keyframe` are called by the reader's thread, :meth:`picture` by any."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._wishes: dict[int, float] = {}
        self._wished_until_s = 0.0
        self._due = False
        self._last: Picture | None = None
        self._keyframe: tuple[StreamInfo, Packet] | None = None

    def offer(self, frame: Frame) -> None:
        """A frame that was decoded. Codes it where somebody wishes for one."""
        if not self._due or self._clock.monotonic_s() >= self._wished_until_s:
            return
        self._due = False
        self._last = encoded(frame, self._width_px())

    def keyframe(self, info: StreamInfo, packet: Packet) -> None:
        """The newest keyframe of the connection, decoded or not."""
        self._keyframe = info, packet

    def gone(self) -> None:
        """The camera is away: what it showed is no picture of now."""
        self._keyframe = self._last = None

    def picture(self, width_px: int) -> Picture | None:
        """The newest picture that there is, at most so wide, and a wish for the next; None while the camera shows nothing.

        Never waits for a frame.
        """
        with self._lock:
            self._wish(width_px)
            last = self._last
            if last is not None and self._clock.now_ns() - last.captured_at_ns < _OLD_S * NS_PER_S:
                return last
            kept = self._keyframe
            if kept is None:
                return None
            if last is None or kept[1].received_at_ns > last.captured_at_ns:
                self._last = _decoded(*kept, self._width_px()) or last
            return self._last

    def _wish(self, width_px: int) -> None:
        now_s = self._clock.monotonic_s()
        self._wished_until_s = now_s + WISH_S
        standing = {width: until_s for width, until_s in self._wishes.items() if until_s > now_s}
        self._wishes = {**standing, width_px: self._wished_until_s}  # a new one: the reader's thread may look at the old
        self._due = True

    def _width_px(self) -> int:
        return max(self._wishes, default=0)


def encoded(frame: Frame, width_px: int) -> Picture:
    """The frame as a JPEG, made smaller where it is wider than ``width_px``."""
    scale = min(1.0, width_px / frame.width_px)
    least_px = max(1, round(min(frame.width_px, frame.height_px) * scale))
    rgb = frame.to_rgb((0, 0, frame.width_px, frame.height_px), least_px)
    return _coded(rgb, width_px, frame.captured_at_ns)


def _coded(rgb: npt.NDArray[np.uint8], width_px: int, captured_at_ns: int) -> Picture:
    height, width = rgb.shape[:2]
    if width > width_px:
        height, width = max(1, round(height * width_px / width)), width_px
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return Picture(bytes(jpeg), captured_at_ns, width, height)


def _decoded(info: StreamInfo, keyframe: Packet, width_px: int) -> Picture | None:
    """The keyframe's picture, by a decoder of its own; None where it does not decode."""
    try:
        context = cast(av.VideoCodecContext, av.CodecContext.create(info.codec, "r"))
        context.extradata = info.context.extradata
        context.thread_count = 1
        coded = av.Packet(keyframe.data)
        coded.is_keyframe = True
        for frame in [*context.decode(coded), *context.decode(None)]:
            return _coded(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), width_px, keyframe.received_at_ns)
    except av.error.FFmpegError as error:
        log.debug("%s: the last keyframe does not decode: %s", keyframe.camera, error)
    return None
