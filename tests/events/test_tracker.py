import numpy as np
import pytest

from raycctv.clock import NS_PER_S
from raycctv.events.tracker import Box, Tracker, View, iou, moving_share


def view(t: float, x: float, label: str = "person", score: float = 0.8, y: float = 100) -> View:
    return View(round(t * NS_PER_S), label, score, (x, y, x + 40, y + 100), 1.0)


def track_ids(tracker: Tracker, *views: View) -> list[int]:
    return [track.id for track in tracker.update(list(views), views[0].at_ns)]


def test_tracker_follows_one_object() -> None:
    tracker = Tracker(keep_s=5)
    for step in range(20):
        assert track_ids(tracker, view(step / 5, step * 12)) == [0]
    (track,) = tracker.tracks
    assert (track.views, track.label) == (20, "person")
    assert track.travelled == pytest.approx(19 * 12 / 100)


def test_tracker_keeps_two_that_cross_apart() -> None:
    tracker = Tracker(keep_s=5)
    for step in range(21):
        tracker.update([view(step / 5, step * 20), view(step / 5, 400 - step * 20, y=160)], round(step / 5 * NS_PER_S))
    first, second = sorted(tracker.tracks, key=lambda track: track.first.box[0])
    assert len(tracker.tracks) == 2
    assert (first.last.box[0], second.last.box[0]) == (400, 0)


def test_tracker_takes_a_car_that_is_called_a_truck_for_the_same() -> None:
    tracker = Tracker(keep_s=5)
    for step, label in enumerate(["car", "truck", "car", "car", "bus"]):
        track_ids(tracker, view(step / 5, step * 5, label, 0.5 + step / 20))
    (track,) = tracker.tracks
    assert track.label == "car"
    assert track.scores == pytest.approx({"car": 0.65, "truck": 0.55, "bus": 0.7})


def test_tracker_never_takes_a_dog_for_a_person() -> None:
    tracker = Tracker(keep_s=5)
    assert track_ids(tracker, view(0, 0)) == [0]
    assert track_ids(tracker, view(0.2, 0, "dog")) == [1]


def test_tracker_finds_an_object_again_within_the_time_and_not_after() -> None:
    tracker = Tracker(keep_s=5)
    track_ids(tracker, view(0, 100))
    assert track_ids(tracker, view(4, 120)) == [0]
    assert [track.id for track in tracker.expire(round(9.1 * NS_PER_S))] == [0]
    assert track_ids(tracker, view(9.2, 120)) == [1]


def test_tracker_does_not_jump_across_the_picture() -> None:
    tracker = Tracker(keep_s=5)
    track_ids(tracker, view(0, 0))
    assert track_ids(tracker, view(0.2, 600)) == [1]


def test_track_of_a_box_that_only_breathes_has_gone_nowhere() -> None:
    tracker = Tracker(keep_s=5)
    for step in range(20):
        wobble = 3 * (step % 3 - 1)
        box: Box = (100 - wobble, 100 - wobble, 140 + wobble, 200 + wobble)
        tracker.update([View(step * NS_PER_S // 5, "car", 0.9, box, 1.0)], step * NS_PER_S // 5)
    assert tracker.tracks[0].travelled < 0.2


def test_moving_share_is_that_of_the_box() -> None:
    moving = np.array([[0, 0, 50, 100], [500, 500, 600, 600]], np.float32)
    assert moving_share((0, 0, 100, 100), moving) == pytest.approx(0.5)
    assert moving_share((0, 0, 100, 100), moving[:0]) == 0


def test_iou_of_boxes_that_only_touch_is_zero() -> None:
    assert iou((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1


def test_track_that_stood_still_has_gone_nowhere_until_it_moves_again() -> None:
    tracker = Tracker(keep_s=5)
    for step in range(10):
        track_ids(tracker, view(step / 5, step * 12))
    parked = [View(round((2 + step / 5) * NS_PER_S), "person", 0.8, (108, 100, 148, 200), 0.0) for step in range(3)]
    for seen in parked:
        track_ids(tracker, seen)
    (track,) = tracker.tracks
    assert (track.travelled, track.moving_run) == (0, 0)
    assert track.farthest == pytest.approx(9 * 12 / 100)
