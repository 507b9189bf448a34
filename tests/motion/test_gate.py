from hypothesis import given
from hypothesis import strategies as st

from raycctv.clock import NS_PER_S
from raycctv.motion.gate import Gate, MotionEnded, MotionStarted
from raycctv.types import CameraName

NAME = CameraName("a")
FRAME_NS = NS_PER_S // 10


def changes(pattern: str, start_frames: int = 2, stop_s: float = 0.3) -> list[MotionStarted | MotionEnded]:
    """What a gate says of frames 0.1 s apart; ``x`` is a frame with motion."""
    gate = Gate(NAME, start_frames, stop_s)
    said = [gate.update(mark == "x", index * FRAME_NS) for index, mark in enumerate(pattern)]
    return [change for change in (*said, gate.close()) if change is not None]


def test_gate_starts_with_the_first_of_the_frames_that_open_it() -> None:
    assert changes("..xx....") == [MotionStarted(NAME, 2 * FRAME_NS), MotionEnded(NAME, 3 * FRAME_NS)]


def test_gate_ignores_a_single_frame() -> None:
    assert changes("..x..x..x..") == []


def test_gate_bridges_a_pause_that_is_short() -> None:
    assert changes("xx..xx....") == [MotionStarted(NAME, 0), MotionEnded(NAME, 5 * FRAME_NS)]


def test_gate_closes_with_the_stream() -> None:
    assert changes("xxx") == [MotionStarted(NAME, 0), MotionEnded(NAME, 2 * FRAME_NS)]


@given(st.text("x.", max_size=80))
def test_gate_alternates_and_never_ends_before_it_starts(pattern: str) -> None:
    said = changes(pattern)
    assert [type(change) for change in said] == [MotionStarted, MotionEnded] * (len(said) // 2)
    assert [change.at_ns for change in said] == sorted(change.at_ns for change in said)
