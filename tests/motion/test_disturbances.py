"""What disturbs a camera, one by one: nothing is seen where there is nothing, objects are seen all the same, and the measure
that is taken is what does it: without it the same scene fails."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from painted import (
    FPS,
    Paint,
    cloud,
    exposure,
    headlights,
    keyframe_pulse,
    lamp,
    leaving,
    moving,
    night,
    nothing,
    parked,
    rain,
    results,
    scene,
    shake,
    slow,
    sway,
)

from raycctv.config import Motion
from raycctv.motion import background, difference
from raycctv.motion.difference import MotionDetector
from raycctv.types import Luma, MotionResult

KNOWN = 8 * FPS
"""By this frame a scene is known to the detector."""


@dataclass(frozen=True)
class Disturbance:
    """A scene in which there is no object.

    Attributes:
        without: constants of the two modules that take the measure away.
        settings: the same in settings.
        noise: grey levels of the sensor's.
        single: even one frame with motion is one too many; else it takes two in a row, as the gate does.
    """

    paint: Paint
    without: Mapping[str, Any]
    settings: Motion = field(default_factory=Motion)
    noise: float = 3.0
    single: bool = False

    def wrong(self, seen: list[MotionResult]) -> list[int]:
        """Frames with motion that would count."""
        frames = moving(seen)
        return [index for index in frames if index >= KNOWN and (self.single or index - 1 in frames)]


DISTURBANCES = (
    Disturbance(lamp, {"_LIGHT_STEP": 255}),
    Disturbance(exposure, {"_EDGE_SHARE": 0.0, "offset": lambda *_: 0}, Motion(lighting_fraction=1.0)),
    Disturbance(headlights, {"_EDGE_SHARE": 0.0}),
    Disturbance(cloud, {"_EDGE_SHARE": 0.0, "offset": lambda *_: 0}),
    Disturbance(rain, {"_GRAIN": (1, 1)}),
    Disturbance(sway, {"_SAMPLES": 2}),
    Disturbance(shake, {"_SAMPLES": 2}),
    Disturbance(night, {"_GRAIN": (1, 1)}),
    Disturbance(keyframe_pulse, {"_RADIUS_MIN": 4.0, "_EDGE_SHARE": 0.0}, noise=1.0, single=True),
)

every_disturbance = pytest.mark.parametrize("one", DISTURBANCES, ids=lambda one: one.paint.__name__)


@pytest.fixture
def take_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, Any]], None]:
    """Sets constants, and methods of the background, wherever they are."""

    def take(values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            places = [place for place in (difference, background, background.Background) if hasattr(place, name)]
            monkeypatch.setattr(places[0], name, value)

    return take


@every_disturbance
def test_disturbance_is_no_motion(one: Disturbance) -> None:
    assert one.wrong(results(scene(14, one.paint, one.noise))) == []


@every_disturbance
def test_disturbance_would_be_motion_without_its_measure(
    one: Disturbance, take_away: Callable[[Mapping[str, Any]], None]
) -> None:
    take_away(one.without)
    assert one.wrong(results(scene(14, one.paint, one.noise), MotionDetector(one.settings)))


@every_disturbance
def test_object_is_seen_through_a_disturbance(one: Disturbance) -> None:
    def both(luma: Luma, t: float) -> None:
        one.paint(luma, t)
        if t >= 9.5:
            x = 20 + round((t - 9.5) * 60)
            luma[230:290, x : x + 24] = 245

    seen = moving(results(scene(13.5, both, one.noise)))
    assert len([index for index in seen if index >= 10 * FPS]) >= 0.9 * 3.5 * FPS


@pytest.mark.parametrize("noise", [0.0, 8.0, 15.0])
def test_sensor_noise_is_no_motion_once_it_is_known(noise: float) -> None:
    seen = moving(results(scene(20, nothing, noise)))
    assert [index for index in seen if index > 5 * FPS] == []


def test_slow_object_is_seen_all_the_time() -> None:
    assert _slow_seen() >= 0.8


def test_slow_object_would_be_learnt_if_what_stands_out_were_learnt_as_fast(
    take_away: Callable[[Mapping[str, Any]], None],
) -> None:
    take_away({"_FOREGROUND_SLOWER": 0.02})
    assert _slow_seen() < 0.3


def _slow_seen() -> float:
    """Share of the frames from the third second on in which the slow object moves."""
    seen = moving(results(scene(10, slow)))
    return len([index for index in seen if index >= 2 * FPS]) / (8 * FPS)


def test_object_that_stops_ends_its_motion_within_a_second() -> None:
    assert 9 * FPS <= _last(parked) <= 11 * FPS


def test_object_that_stops_would_go_on_moving_if_motion_now_were_not_asked_for(
    take_away: Callable[[Mapping[str, Any]], None],
) -> None:
    take_away({"_ACTIVE_SHARE": 0.0})
    assert _last(parked) > 11.5 * FPS


def test_what_was_there_at_start_leaves_nothing_that_moves() -> None:
    seen = moving(results(scene(14, leaving)))
    assert [index for index in seen if index < 9 * FPS] == []
    assert 9 * FPS < seen[-1] <= 11 * FPS


def test_what_was_there_at_start_would_leave_a_ghost_that_moves(take_away: Callable[[Mapping[str, Any]], None]) -> None:
    take_away({"_EDGE_SHARE": 0.0, "_ACTIVE_SHARE": 0.0})
    assert _last(leaving) > 11.5 * FPS


def _last(paint: Paint) -> float:
    """The last frame with motion."""
    return max(moving(results(scene(16, paint))), default=-math.inf)
