"""How much was recorded of what was sent, and why the rest was not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import NS

from raycctv.recording.coverage import Coverage, coverage, missing
from raycctv.types import CameraName

FOR_EVER_S = 1e9
Stretches = list[tuple[float, float]]


def ns(stretches: Stretches) -> list[tuple[int, int]]:
    return [(round(start_s * NS), round(end_s * NS)) for start_s, end_s in stretches]


def covered(recorded: Stretches, offline: Stretches, to_s: float = 100) -> Coverage:
    return coverage(CameraName("gate"), ns(recorded), ns(offline), 0, round(to_s * NS))


def gaps(found: Coverage) -> list[tuple[float, float, str]]:
    return [(gap.from_ns / NS, gap.to_ns / NS, gap.cause) for gap in found.gaps]


def test_gaps_are_what_is_missing_between_and_around() -> None:
    recorded = ns([(0, 60), (60.5, 120.5), (200, 260), (210, 230)])
    assert list(missing(recorded, 0, 260 * NS)) == [(round(120.5 * NS), 200 * NS)]
    assert list(missing(recorded, -5 * NS, 300 * NS)) == [
        (-5 * NS, 0), (round(120.5 * NS), 200 * NS), (260 * NS, 300 * NS)
    ]  # fmt: skip
    assert list(missing([], 0, 10 * NS)) == [(0, 10 * NS)]


@pytest.mark.parametrize(
    ("recorded", "offline", "share", "expected"),
    [
        ([(0, 100)], [], 1.0, []),
        ([(0, 60), (80, 100)], [], 0.8, [(60, 80, "not_recorded")]),
        ([(0, 60), (80, 100)], [(60, 80)], 1.0, [(60, 80, "camera_offline")]),
        ([(0, 60), (80, 100)], [(40, 90)], 1.0, [(60, 80, "camera_offline")]),
        ([(0, 60), (80, 100)], [(70, FOR_EVER_S)], 80 / 90, [(60, 70, "not_recorded"), (70, 80, "camera_offline")]),
        (
            [(0, 40), (80, 100)], [(50, 60), (55, 65)], 60 / 85,
            [(40, 50, "not_recorded"), (50, 65, "camera_offline"), (65, 80, "not_recorded")],
        ),
        ([(0, 60), (80, 100)], [(60.5, 79.2)], 1.0, [(60, 80, "camera_offline")]),  # instants are only so exact
        ([(0, 60), (80, 100)], [(65, 65.5)], 0.8, [(60, 80, "not_recorded")]),
        ([(0, 100)], [(10, 20)], 1.0, []),  # recorded all the same
        ([], [(0, 100)], 1.0, [(0, 100, "camera_offline")]),
        ([], [], 0.0, [(0, 100, "not_recorded")]),
    ],
)  # fmt: skip
def test_coverage_is_of_the_time_in_which_the_camera_was_sending(
    recorded: Stretches, offline: Stretches, share: float, expected: list[tuple[float, float, str]]
) -> None:
    found = covered(recorded, offline)
    assert found.share == pytest.approx(share)
    assert gaps(found) == expected


STRETCHES = st.lists(
    st.tuples(st.integers(-5, 30), st.integers(1, 10)).map(lambda pair: (pair[0] * 2.0, (pair[0] + pair[1]) * 2.0)), max_size=6
)


@given(STRETCHES, STRETCHES, st.integers(1, 25))
def test_every_second_is_recorded_away_or_missed(recorded: Stretches, offline: Stretches, half_s: int) -> None:
    """Of stretches of whole pairs of seconds, none of which is too short to be a gap."""

    def within(stretches: Stretches, second: int) -> bool:
        return any(start_s <= second + 0.5 < end_s for start_s, end_s in stretches)

    found = covered(recorded, offline, to_s=2 * half_s)
    causes = [
        None if within(recorded, second) else "camera_offline" if within(offline, second) else "not_recorded"
        for second in range(2 * half_s)
    ]
    told = [
        next((cause for from_s, to_s, cause in gaps(found) if from_s <= second < to_s), None) for second in range(2 * half_s)
    ]
    assert told == causes
    sent = len(causes) - causes.count("camera_offline")
    assert found.share == pytest.approx(causes.count(None) / sent if sent else 1.0)
    assert all(one.to_ns <= two.from_ns for one, two in zip(found.gaps, found.gaps[1:], strict=False))
    assert all(one.cause != two.cause for one, two in zip(found.gaps, found.gaps[1:], strict=False) if one.to_ns == two.from_ns)
