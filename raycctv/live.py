"""One live camera: stream in, events out, the detector somewhere else.

:class:`LiveReader` is the loop that a reader actor runs. It knows no Ray: the detector is a function that returns a future,
and events go to a function. A camera that goes away is waited for; a detector that is slow or gone costs verdicts, which are
counted with the reason, and never frames, footage or the loop itself.
"""

import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from raycctv.capture.adaptive import AdaptiveDecoder, open_decoder
from raycctv.capture.decoder import Decoder
from raycctv.capture.packets import Lost, Opened, Stream, StreamInfo, live_packets
from raycctv.capture.timeline import FileTimeline, LiveTimeline
from raycctv.clock import NS_PER_S, Clock
from raycctv.config import Camera, Config
from raycctv.errors import StreamEnded, StreamError
from raycctv.health import Presence
from raycctv.load import CpuLoad
from raycctv.picture import Pictures
from raycctv.pipeline import Analysis, Ask, Report
from raycctv.types import CameraName, Detections, Frame, Packet, Picture, Pressure
from raycctv.window import VERDICT_TIMEOUT_S, Window

log = logging.getLogger(__name__)

Verdicts = list[Detections]
AskDetector = Callable[[npt.NDArray[np.uint8]], "Future[Verdicts]"]

_BEHIND_S, _CAUGHT_UP_S = 1.0, 0.4
"""Age of the newest packet above which reading is behind, and below which it has caught up."""

_REST_S, _NEW_S = 0.2, 0.03
"""Time for which packets of a quiet camera gather, from one that is no older than this: a process that wakes for each of 15
packets a second finds nothing of its own in the processor's caches, which costs a quarter of what a quiet camera costs."""

_LATE_WAIT_S = 1.0
"""Time for which the frames of before one waking wait for verdicts, unless the machine is busy. The stream waits meanwhile."""

_LAGS_KEPT = 900
"""Lags of the last minute at 15 frames a second."""


@dataclass
class ReaderStats:
    """What a reader has done since it started.

    Attributes:
        state: ``connecting``, ``streaming``, ``offline`` or ``ended`` (a file that is through).
        frames: pictures that the stream carried.
        decoded_frames: pictures that were decoded, those included that were decoded twice.
        decode: how much is decoded, and why; see :meth:`raycctv.capture.adaptive.AdaptiveDecoder.status`.
        corrupt: packets and pictures that could not be decoded whole.
        late_frames: frames from before something woke the decoder; they say nothing of the lag.
        lags_s: capture to analysed (verdicts included), of the last such frames.
        candidates: crops that the detector answered for.
        dropped: crops that it was not asked about or did not answer for, by reason.
        events: events begun, by kind.
    """

    camera: CameraName
    state: str = "connecting"
    error: str | None = None
    connections: int = 0
    packets: int = 0
    frames: int = 0
    decoded_frames: int = 0
    corrupt: int = 0
    decode: dict[str, Any] = field(default_factory=dict)
    candidates: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    late_frames: int = 0
    lags_s: deque[float] = field(default_factory=lambda: deque(maxlen=_LAGS_KEPT))

    def as_json(self) -> dict[str, Any]:
        """For ``status --json``: lags as their median and 95th percentile, None before the first frame."""
        values = {key: dict(value) if isinstance(value, dict) else value for key, value in vars(self).items()}
        lags = list(values.pop("lags_s"))
        p50, p95 = np.percentile(lags, [50, 95]).tolist() if lags else (None, None)
        return {**values, "lag_p50_s": p50, "lag_p95_s": p95, "pid": os.getpid()}


@dataclass
class _InFlight:
    ask: Ask
    late: bool
    asked_s: float = 0.0
    future: "Future[Verdicts] | None" = None


class LiveReader:
    """Reads, analyses and reports one camera until :meth:`stop`.

    ``settled`` is set while no event can be open: no connection stands, and how each event ended was told.

    Args:
        ask: sends crops uint8 (N, 300, 300, 3) to a detector; may raise, or fail its future, at any time.
        emit: takes each new state of an event.
    """

    def __init__(
        self, name: CameraName, camera: Camera, config: Config, clock: Clock, ask: AskDetector, emit: Callable[[Report], None]
    ) -> None:
        self.stats = ReaderStats(name)
        self._name = name
        self._camera = camera
        self._config = config
        self._clock = clock
        self._ask = ask
        self._emit = emit
        self._load = CpuLoad(name, config.decode.busy, clock)
        self.settled = threading.Event()
        self.settled.set()
        self._stop = threading.Event()
        self._presence = Presence(name, clock, lambda event: self._tell(Report(event, None)))
        self._window: Window[_InFlight] = Window(config.detection.in_flight)
        self._analysis: Analysis | None = None
        self._decoder: AdaptiveDecoder | Decoder | None = None
        self._pictures = Pictures(clock)
        self._info: StreamInfo | None = None
        self._timeline: LiveTimeline | FileTimeline = FileTimeline(0)
        self._behind = False
        self._pressure = Pressure.NONE
        self._counted = (0, 0)

    def stop(self) -> None:
        """Ends :meth:`run` after the next packet, or when the connection times out."""
        self._stop.set()
        self._presence.close()

    def picture(self, width_px: int) -> Picture | None:
        """What the camera shows, at most so wide; None while it shows nothing. For any thread; see :mod:`raycctv.picture`."""
        return self._pictures.picture(width_px)

    def run(self) -> None:
        """Read until stopped; a file until its end. Never raises for what a stream or a detector does."""
        if self._camera.analysed.is_file:
            self._run_file()
            return
        self._presence.lost("no connection yet")
        for item in live_packets(self._name, self._camera.analysed, self._clock, self._stop):
            if isinstance(item, Packet):
                self._presence.seen(item.received_at_ns)
                self._packet(item)
                self._rest()
            elif isinstance(item, Opened):
                self._opened(item, LiveTimeline(self._clock))
            else:
                self._lost(item)
        self._close("ended")

    def _run_file(self) -> None:
        """A file waits for the detector, so that nothing is dropped and the result does not depend on the machine."""
        try:
            with Stream(self._name, self._camera.analysed, self._clock, timeout_s=None) as stream:
                self._opened(Opened(stream.info), FileTimeline(0))
                assert self._decoder is not None
                for packet in stream.packets():
                    self._packet(packet)
                    if self._stop.is_set():
                        break
                for frame in self._decoder.flush():
                    self._frame(frame)
                self._count(self._decoder)
        except StreamError as error:
            self.stats.error = str(error)
            log.warning("%s", error)
        self._close("ended")

    def _opened(self, opened: Opened, timeline: LiveTimeline | FileTimeline) -> None:
        info = opened.info
        self.settled.clear()
        self._timeline, self._behind, self._info = timeline, False, info
        self._analysis = Analysis(self._name, self._camera, self._config, (info.width_px, info.height_px))
        self._decoder = open_decoder(self._name, info, timeline, self._analysis, self._config.decode, self._pressed)
        self._counted = (0, 0)
        self.stats.state, self.stats.error = "streaming", None
        self.stats.connections += 1
        log.info("%s: streaming %s %dx%d", self._name, info.codec, info.width_px, info.height_px)

    def _pressed(self) -> Pressure:
        """Asked by the decoder once a packet. A file waits; a live camera does not."""
        if not self._camera.analysed.is_file:
            self._behind = self._timeline.lag_s > (_CAUGHT_UP_S if self._behind else _BEHIND_S)
            self._pressure = Pressure.BEHIND if self._behind else self._load.pressure()
        return self._pressure

    def _lost(self, lost: Lost) -> None:
        level = logging.WARNING if self.stats.state == "streaming" or str(lost.error) != self.stats.error else logging.DEBUG
        log.log(level, "%s; again in %.2g s", lost.error, lost.retry_in_s)
        self.stats.error = str(lost.error)
        self._presence.lost(str(lost.error))
        self._close("offline" if isinstance(lost.error, StreamEnded) or self.stats.connections else "connecting")

    def _packet(self, packet: Packet) -> None:
        assert self._decoder is not None
        assert self._info is not None
        if packet.is_keyframe:
            self._pictures.keyframe(self._info, packet)
        self.stats.packets += 1
        self.stats.frames += 1
        waited_s = 0.0
        for frame in self._decoder.decode(packet):
            if self._decoder.late and self._pressure is Pressure.NONE:
                waited_s += self._wait_for_room(_LATE_WAIT_S - waited_s)
            self._frame(frame, late=self._decoder.late)
        self._count(self._decoder)
        if self._window.oldest is not None:  # the next frame that is decoded may be seconds away
            self._land()
            self._send()
            self._publish()

    def _rest(self) -> None:
        """Sleep where nothing happens and nothing waits. What woke the camera is seen so much later, and none of it lost."""
        assert self._decoder is not None
        if self._decoder.watching and self._window.oldest is None and self._timeline.lag_s < _NEW_S:
            self._stop.wait(_REST_S)

    def _count(self, decoder: AdaptiveDecoder | Decoder) -> None:
        decoded, corrupt = self._counted
        if decoder.decoded > decoded:
            self.stats.decode = decoder.status()
        self.stats.decoded_frames += decoder.decoded - decoded
        self.stats.corrupt += decoder.corrupt - corrupt
        self._counted = (decoder.decoded, decoder.corrupt)

    def _wait_for_room(self, patience_s: float) -> float:
        """Frames from before come all at once: without waiting, all but the newest of their crops would be dropped.

        Returns the seconds that it waited.
        """
        began_s = self._clock.monotonic_s()
        while self._window.full and (left_s := patience_s - (self._clock.monotonic_s() - began_s)) > 0:
            flight = self._window.oldest
            assert flight is not None
            assert flight.future is not None
            with contextlib.suppress(TimeoutError, CancelledError):
                flight.future.exception(timeout=left_s)
            self._land()
            self._send()
        return self._clock.monotonic_s() - began_s

    def _frame(self, frame: Frame, *, late: bool = False) -> None:
        assert self._analysis is not None
        self._land()
        if not late:
            self._pictures.offer(frame)
        ask = self._analysis.frame(frame)
        if ask is None:
            self._analysed(frame, late)
        else:
            dropped = self._window.offer(_InFlight(ask, late))
            if dropped is not None:
                self._drop(dropped, "superseded")
        self._send()
        if self._camera.analysed.is_file:
            self._wait()
        self._publish()

    def _send(self) -> None:
        flight = self._window.take()
        if flight is None:
            return
        flight.asked_s = self._clock.monotonic_s()
        try:
            flight.future = self._ask(flight.ask.images)
        except Exception as error:  # whatever Ray raises when the detector is gone: the loop goes on
            flight.future = Future()
            flight.future.set_exception(error)

    def _land(self) -> None:
        """Take the verdicts that have come, in the order of the questions."""
        while (flight := self._window.oldest) is not None:
            assert flight.future is not None
            if flight.future.done():
                self._answered(self._window.land())
            elif self._clock.monotonic_s() - flight.asked_s > VERDICT_TIMEOUT_S:
                self._drop(self._window.land(), "verdict_timeout")
            else:
                return

    def _wait(self) -> None:
        while (flight := self._window.oldest) is not None and flight.future is not None:
            flight.future.exception(timeout=None)
            self._land()

    def _answered(self, flight: _InFlight) -> None:
        assert flight.future is not None
        assert self._analysis is not None
        error = flight.future.exception()
        if error is not None:
            self._drop(flight, "detector_unavailable")
            log.debug("%s: no verdict: %s", self._name, error)
            return
        self._analysis.verdicts(flight.ask, flight.future.result())
        self.stats.candidates += len(flight.ask.candidates)
        self._analysed(flight.ask.frame, flight.late)

    def _analysed(self, frame: Frame, late: bool) -> None:
        if late:
            self.stats.late_frames += 1
            return
        self.stats.lags_s.append((self._clock.now_ns() - frame.captured_at_ns) / NS_PER_S)

    def _drop(self, flight: _InFlight, reason: str) -> None:
        dropped = self.stats.dropped
        dropped[reason] = dropped.get(reason, 0) + len(flight.ask.candidates)

    def _publish(self) -> None:
        assert self._analysis is not None
        for report in self._analysis.reports():
            self._tell(report)

    def _tell(self, report: Report) -> None:
        begun = self.stats.events
        if report.event.ended_at_ns is None:
            begun[report.event.kind] = begun.get(report.event.kind, 0) + 1
        self._emit(report)

    def _close(self, state: str) -> None:
        """The connection is gone, and with it everything that was under way. The state says so once all events are told."""
        if self._analysis is not None:
            self._land()
            for flight in self._window.clear():
                self._drop(flight, "disconnected")
            self._analysis.close()
            self._publish()
            self._analysis = self._decoder = None
        self._pictures.gone()
        self.settled.set()
        self.stats.state = state
