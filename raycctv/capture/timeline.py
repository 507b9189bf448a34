"""When was a picture taken? A stream only says how far apart its pictures are.

A live picture cannot arrive before it was taken, so of all packets of a connection the one that came soonest after its
pts was delayed least: the smallest ``arrival - pts`` seen is the best estimate of where the stream's clock stands. What a
later packet takes longer than that is its lag, whether the network, the server or we ourselves were slow.
"""

from raycctv.clock import NS_PER_S, Clock

_BACKWARD_S = 1.0
"""A pts this far behind the last one is a new clock (the camera was restarted), not reordering: B-frames span < 1 s."""

_DRIFT = 200e-6
"""How fast the estimate may rise, seconds a second, so that a camera clock that runs slow is followed rather than shown
as ever growing lag. Ten times the drift of a bad quartz oscillator (20 ppm)."""


class LiveTimeline:
    """Estimates capture instants of one connection. Measured on the monotonic clock, so stepping the wall clock is safe."""

    def __init__(self, clock: Clock) -> None:
        self.lag_s = 0.0
        """How old the last packet was when it was looked at."""
        self._clock = clock
        self._offset_s: float | None = None
        self._last_pts_s = 0.0
        self._last_arrival_s = 0.0

    def captured_at_ns(self, pts_s: float | None) -> int:
        """The instant at which the picture with ``pts_s``, which arrives now, was taken. Without a pts: now."""
        arrival_s = self._clock.monotonic_s()
        if pts_s is None:
            return self._clock.now_ns()
        offset_s = arrival_s - pts_s
        if self._offset_s is None or pts_s < self._last_pts_s - _BACKWARD_S:
            self._offset_s = offset_s
        else:
            risen_s = self._offset_s + _DRIFT * (arrival_s - self._last_arrival_s)
            self._offset_s = min(offset_s, risen_s)
        self._last_pts_s, self._last_arrival_s = pts_s, arrival_s
        self.lag_s = offset_s - self._offset_s
        return self._clock.now_ns() - round(self.lag_s * NS_PER_S)


class FileTimeline:
    """Capture instants of a file whose first picture was taken at ``epoch_ns``."""

    lag_s = 0.0

    def __init__(self, epoch_ns: int) -> None:
        self._epoch_ns = epoch_ns
        self._first_pts_s: float | None = None

    def captured_at_ns(self, pts_s: float | None) -> int:
        if self._first_pts_s is None:
            self._first_pts_s = pts_s or 0.0
        return self._epoch_ns + round(((pts_s or 0.0) - self._first_pts_s) * NS_PER_S)
