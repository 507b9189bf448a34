"""What is seen on labelled footage must not become less: the figures of ``benchmarks/accuracy.py`` against floors."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raycctv.detection.models import INT8_FILE

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "accuracy.py"

WIDE = ("people, vtest in a wide view", "reported")

Rows = dict[tuple[str, str, str], dict[str, Any]]


def measured(data: Path, *options: str) -> Rows:
    """The benchmark's lines by what, half and method."""
    command = [sys.executable, str(BENCHMARK), "--json", "--data", str(data), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {(row["what"], row["half"], row["method"]): row for row in json.loads(done.stdout)}


def test_motion_is_seen_at_least_as_well_as_it_was(shared_data: Path) -> None:
    rows = measured(shared_data, "--quick", "--only", "motion")
    ours, knn = rows["highway", "tuning", "raycctv"], rows["highway", "tuning", "KNN, median 5"]
    assert ours["f1"] > 0.94
    assert ours["f1"] > knn["f1"]


@pytest.mark.usefixtures("weights")
def test_visits_of_cars_are_told_at_least_as_well_as_they_were(shared_data: Path) -> None:
    row = measured(shared_data, "--quick", "--only", "events")["car-detection.mp4", "reported", "raycctv"]
    assert row["recall"] == 1
    assert row["named"] >= 2 / 3
    assert row["false_per_hour"] == 0


@pytest.mark.usefixtures("weights")
def test_lamps_are_no_events_and_trees_at_most_one_when_they_are_first_seen(shared_data: Path) -> None:
    rows = measured(shared_data, "--quick", "--only", "quiet")
    assert rows["all", "reported", "raycctv"]["hours"] == pytest.approx(2 / 60)
    lamps = [row["false_per_hour"] for (what, _, _), row in rows.items() if what.endswith("lamps")]
    assert lamps == [0, 0]
    assert rows["trees 0-120, as it is", "tuning", "raycctv"]["false_per_hour"] == 0
    assert rows["trees 121-241, as it is", "reported", "raycctv"]["false_per_hour"] <= 60


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("weights")
def test_hours_in_which_nobody_is_have_at_most_an_event_an_hour(shared_data: Path) -> None:
    row = measured(shared_data, "--only", "quiet")["all", "reported", "raycctv"]
    assert row["hours"] >= 2
    assert row["false_per_hour"] <= 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_motion_on_the_reported_half_beats_the_others(shared_data: Path) -> None:
    rows = measured(shared_data, "--only", "motion")
    for (what, half, method), row in rows.items():
        if method != "raycctv" and (what, half) == ("highway", "reported"):
            assert rows[what, half, "raycctv"]["f1"] > row["f1"], method
    assert rows["waving trees", "reported", "raycctv"]["f1"] > 0.92


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("weights")
def test_small_people_are_found_through_regions(shared_data: Path) -> None:
    rows = measured(shared_data, "--only", "people", "--backend", "openvino")
    wide = {method.partition(",")[0]: row for (what, half, method), row in rows.items() if (what, half) == WIDE}
    assert wide["regions"]["recall"] >= 1.5 * wide["whole frame"]["recall"]
    assert wide["regions"]["recall"] > 0.6


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("weights")
def test_every_visit_is_told_and_nothing_where_there_is_none(shared_data: Path) -> None:
    rows = measured(shared_data, "--only", "events")
    for half in ("tuning", "reported"):
        assert rows["all", half, "raycctv"]["false_per_hour"] == 0
    assert rows["one-by-one-person-detection.mp4", "reported", "raycctv"]["recall"] == 1
    assert rows["all", "reported", "raycctv"]["recall"] == 1
    assert rows["all", "reported", "raycctv"]["named"] >= 6 / 7


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_integers_see_what_floating_point_sees(shared_data: Path, weights: Path) -> None:
    if not (weights / INT8_FILE).exists():
        pytest.skip("no 8-bit integers here; `raycctv models quantise` makes them")
    backends = ("openvino", "openvino-int8")
    ap50 = {name: measured(shared_data, "--only", "pictures", "--backend", name) for name in backends}
    for what in ("person", "vehicles", "animals", "all classes"):
        whole, integers = (
            sum(row["ap50"] for (named, _, _), row in ap50[name].items() if named == what) / 2 for name in backends
        )
        assert integers >= whole - 0.01
