"""Motion with hysteresis: it starts after several frames with change, and ends after a stretch without."""

from dataclasses import dataclass

from raycctv.clock import NS_PER_S
from raycctv.types import CameraName


@dataclass(frozen=True, slots=True)
class MotionStarted:
    """Motion began at ``at_ns``: the first of the frames that opened the gate."""

    camera: CameraName
    at_ns: int


@dataclass(frozen=True, slots=True)
class MotionEnded:
    """Motion ended at ``at_ns``: the last frame with change."""

    camera: CameraName
    at_ns: int


class Gate:
    """Turns a change per frame into stretches of motion. Pure: time is the frames' own.

    Args:
        start_frames: frames in a row with change that open it.
        stop_s: seconds without change that close it.
    """

    def __init__(self, camera: CameraName, start_frames: int, stop_s: float) -> None:
        self._camera = camera
        self._start_frames = start_frames
        self._stop_ns = round(stop_s * NS_PER_S)
        self._first_ns = 0
        self._last_ns = 0
        self._in_a_row = 0
        self.open = False

    @property
    def suspicious(self) -> bool:
        """Whether the last frame had change, though not enough of them yet."""
        return self._in_a_row > 0

    def update(self, moving: bool, at_ns: int) -> MotionStarted | MotionEnded | None:
        """Take in one frame; returns the change of state that it causes."""
        if moving:
            self._first_ns = self._first_ns if self._in_a_row or self.open else at_ns
            self._in_a_row += 1
            self._last_ns = at_ns
            if not self.open and self._in_a_row >= self._start_frames:
                self.open = True
                return MotionStarted(self._camera, self._first_ns)
            return None
        self._in_a_row = 0
        if self.open and at_ns - self._last_ns >= self._stop_ns:
            return self.close()
        return None

    def close(self) -> MotionEnded | None:
        """The stream ended: so does motion, if there was any."""
        self._in_a_row = 0
        if not self.open:
            return None
        self.open = False
        return MotionEnded(self._camera, self._last_ns)
