"""Packets of one video stream with PyAV, and a live stream that comes back for ever.

Nothing is decoded here. A live stream is a sequence of :class:`Opened`, then packets, then :class:`Lost`, then again
``Opened``: each connection has its own codec parameters and its own clock, so nothing may be carried over.
"""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType

import av
import av.error

from raycctv.backoff import Backoff
from raycctv.clock import Clock
from raycctv.config.units import StreamUrl
from raycctv.errors import StreamEnded, StreamError, StreamUnreachable, StreamUnreadable
from raycctv.redact import redact
from raycctv.types import CameraName, Packet

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
"""Silence after which a live stream counts as gone. An RTMP server keeps a waiting player silent until the camera
publishes, so this is also how often an offline camera is asked for again."""

_OPTIONS = {
    # FLV says what it holds at once: 100 ms of probing costs no packet, and 0.4 s in place of 5 s until the first
    "rtmp": {"rtmp_live": "live", "analyzeduration": "100000"},
    # a lost UDP packet is a torn picture
    "rtsp": {"rtsp_transport": "tcp", "analyzeduration": "2000000"},
}


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a decoder must know of a stream.

    Attributes:
        codec: ffmpeg's name: ``h264``, ``hevc``, ``mpeg4``.
        frame_rate: as announced, or None.
        duration_s: None for a live stream.
        context: a decoder set up with the stream's own parameters (extradata and the like), for one use.
        device: what ``context`` decodes with; see :mod:`raycctv.capture.hardware`.
        spare: a decoder in software, where ``context`` is one of a device that may fail.
    """

    codec: str
    width_px: int
    height_px: int
    frame_rate: float | None
    duration_s: float | None
    context: av.VideoCodecContext = field(repr=False)
    device: str = "software"
    spare: av.VideoCodecContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection stands; packets follow."""

    info: StreamInfo


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or could not be made; the next try follows after ``retry_in_s``."""

    error: StreamError
    retry_in_s: float


class Stream:
    """One open stream. Use it as a context manager.

    Args:
        timeout_s: silence after which opening or reading gives up; None waits for ever (a file).

    Raises:
        StreamUnreachable: cannot be opened.
        StreamUnreadable: holds no video, or a codec that this ffmpeg does not know.
    """

    def __init__(self, camera: CameraName, url: StreamUrl, clock: Clock, timeout_s: float | None = TIMEOUT_S) -> None:
        self._camera = camera
        self._url = url
        self._clock = clock
        target = url.reveal().removeprefix("file://")
        options = _OPTIONS.get(url.scheme.removesuffix("s"), {})
        try:
            self._container = av.open(target, options=options, timeout=timeout_s)
        except (av.error.FFmpegError, OSError) as error:
            raise StreamUnreachable(f"{camera}: {url} cannot be opened: {_reason(error)}") from error
        try:
            self._video = self._first_video()
            self.info = self._described()
        except BaseException:
            self._container.close()
            raise

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._container.close()

    def packets(self) -> Iterator[Packet]:
        """The packets in the order of the stream, until it ends.

        Raises:
            StreamEnded: it broke; what was yielded before is good.
        """
        seq = 0
        try:
            for packet in self._container.demux(self._video):
                if packet.size == 0:  # PyAV's end-of-stream mark
                    return
                yield Packet(
                    camera=self._camera,
                    seq=seq,
                    pts=packet.pts,
                    dts=packet.dts,
                    time_base=packet.time_base or Fraction(1, 1000),
                    is_keyframe=packet.is_keyframe,
                    size_bytes=packet.size,
                    received_at_ns=self._clock.now_ns(),
                    data=bytes(packet),
                )
                seq += 1
        except (av.error.FFmpegError, OSError) as error:
            raise StreamEnded(f"{self._camera}: {self._url} broke off: {_reason(error)}") from error

    def _first_video(self) -> av.VideoStream:
        if not self._container.streams.video:
            kinds = ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
            raise StreamUnreadable(f"{self._camera}: {self._url} holds no video ({kinds} only)")
        return self._container.streams.video[0]

    def _described(self) -> StreamInfo:
        context = self._video.codec_context
        if context is None or context.name in ("", "none"):
            raise StreamUnreadable(f"{self._camera}: {self._url} is coded in a way that this ffmpeg cannot decode")
        if not context.width or not context.height:
            raise StreamUnreadable(f"{self._camera}: {self._url} gives no picture size; no keyframe came in time")
        rate = self._video.average_rate
        duration = self._container.duration
        return StreamInfo(
            codec=context.name,
            width_px=context.width,
            height_px=context.height,
            frame_rate=float(rate) if rate else None,
            duration_s=duration / av.time_base if duration and self._url.is_file else None,
            context=context,
        )


def live_packets(
    camera: CameraName, url: StreamUrl, clock: Clock, stop: threading.Event, timeout_s: float = TIMEOUT_S
) -> Iterator[Opened | Packet | Lost]:
    """The stream at ``url`` until ``stop`` is set: opened, read, lost and opened again, for ever.

    Never raises for what a camera or a server does; that is what :class:`Lost` is for. Stops within ``timeout_s``.
    """
    backoff = Backoff()
    while not stop.is_set():
        since_s = clock.monotonic_s()
        try:
            with Stream(camera, url, clock, timeout_s) as stream:
                yield Opened(stream.info)
                for packet in stream.packets():
                    yield packet
                    if stop.is_set():
                        return
            raise StreamEnded(f"{camera}: {url} ended: the publisher left")
        except StreamError as error:
            wait_s = backoff.after(lasted_s=clock.monotonic_s() - since_s)
            yield Lost(error, wait_s)
            stop.wait(wait_s)


def _reason(error: Exception) -> str:
    """A vendor's error in a few words and without passwords. PyAV puts the whole URL into some."""
    text = getattr(error, "strerror", None) or str(error)
    return redact("timed out" if isinstance(error, av.error.ExitError) else text)
