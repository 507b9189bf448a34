"""The load test, small: everything real, end to end."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from servers.loki import Loki

from raycctv.cli.loadtest import table
from raycctv.cli.report import report

SECONDS, WARM_UP = 8, 3
PARTS = {"total", "reader", "detector", "storage", "recorder", "ray", "rtmp", "simulator"}
PLOTS = ["CPU by part", "Memory by part", "Written to disk", "Lag, 95 % of frames", "Crops dropped"]


def loadtest(*options: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from raycctv.cli.main import main; main()", "loadtest", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def plots(page: str) -> dict[str, list[str]]:
    """The lines' paths by the title of their plot."""
    found = {}
    for svg in re.findall(r"<svg.*?</svg>", page):
        shown = ElementTree.fromstring(svg)  # noqa: S314 - our own
        found[shown.find("text[@class='title']").text] = [  # type: ignore[union-attr]
            path.attrib["d"] for path in shown.findall("path[@class='line']")[::2]
        ]
    return found  # type: ignore[return-value]


@pytest.mark.timeout(360)  # the first time on a machine its clips are made
def test_loadtest_measures_its_cameras_after_the_warm_up(pedestrians: Path, weights: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    options = ["--cameras", 2, "--seconds", SECONDS, "--warm-up", WARM_UP, "--activity", 0.5, "--folder", tmp_path / "load"]
    with Loki() as loki:
        done = loadtest(*options, "--report", page, "--loki", loki.url, "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["cameras_count"], run["activity"], run["seconds"], run["warm_up_s"]) == (2, 0.5, SECONDS, WARM_UP)
    check_cameras(run)
    assert run["servers"]["loki"]["sent"] >= sum(run["events"].values()) > 0
    assert {"reader", "storage", "supervisor", "events"} <= {dict(labels)["component"] for labels in loki.streams}
    assert not loki.problems
    assert (
        set(run["cpu_cores"]) == set(run["rss_bytes"]) == set(run["pss_bytes"]) == set(run["rss_slope_bytes_per_min"]) == PARTS
    )
    assert run["cpu_cores"]["total"] == pytest.approx(sum(run["cpu_cores"][part] for part in PARTS - {"total"}), abs=0.01)
    assert all(0 < run["pss_bytes"][part] < run["rss_bytes"][part] for part in PARTS)
    assert run["disk_bytes_per_s"] > 100_000
    at_s = [sample["at_s"] for sample in run["samples"]]
    assert at_s == sorted(at_s)
    assert at_s[-1] >= SECONDS
    assert all(set(sample["cpu_cores"]) == PARTS for sample in run["samples"])

    shown = plots(page.read_text())
    assert list(shown) == PLOTS
    assert [len(lines) for lines in shown.values()] == [len(PARTS), len(PARTS), 1, 1, 1]
    assert all(line.count("L") == len(at_s) - 1 for title, lines in shown.items() if title != PLOTS[3] for line in lines)
    assert not re.search(r"<script|https?://|src=|<link", page.read_text())
    folder = tmp_path / "load" / "2-cameras"
    assert not (folder / "recordings").exists()
    assert (folder / "log").is_dir()


def check_cameras(run: dict[str, Any]) -> None:
    """What each camera has sent in the measured time alone, and that the first one showed its visit."""
    assert [camera["camera"] for camera in run["cameras"]] == ["camera01", "camera02"]
    for camera in run["cameras"]:
        assert camera["streamed_s"] == pytest.approx(SECONDS, abs=2)
        assert camera["coverage"] == pytest.approx(1, abs=0.05)
        assert camera["frames"] == pytest.approx(camera["streamed_s"] * 15, abs=15)
        assert 0 < camera["decoded_frames"] <= camera["frames"]
        assert 0 < camera["lag_p50_s"] <= camera["lag_p95_s"]
    assert [camera["motion_share"] for camera in run["cameras"]] == [1.0, 0.0]
    first, second = run["cameras"]
    assert first["candidates"] > 0
    assert second["candidates"] == 0
    assert second["events"] == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cameras", "0"], "write a number from 1 to 64"),
        (["--cameras", "65"], "write a number from 1 to 64"),
        (["--cameras", "4,x"], "'4,x'"),
        (["--cameras", "8,4"], "a ramp goes up"),
        (["--activity", "1.5"], "write 0, or a share from 0.01 to 1"),
        (["--activity", "0.001"], "write 0, or a share from 0.01 to 1"),
        (["--seconds", "0"], "--seconds"),
        (["--loki", "nowhere"], "'nowhere' names no server"),
        (["--report", "/nowhere/report.html"], "name a file in a folder that exists"),
        (["--folder", "/proc/load"], "/proc/load: cannot be made: No such file or directory"),
    ],
)
def test_bad_argument_is_named(options: list[str], words: str) -> None:
    done = loadtest(*options)
    assert done.returncode == 2
    assert words in re.sub(r"[\s│]+", " ", done.stderr)


def run_of(count: int, lag_s: float | None, dropped: dict[str, int]) -> dict[str, Any]:
    """A run as a test would give it, with all cameras alike."""
    camera = {
        "camera": "camera01", "streamed_s": 60.0, "recorded_s": 60.0, "coverage": 1.0, "frames": 900, "decoded_frames": 450,
        "lag_p50_s": lag_s, "lag_p95_s": lag_s, "candidates": 5, "dropped": dropped, "events": {"person": 1},
        "motion_share": 0.5,
    }  # fmt: skip
    sizes = {"total": 3_000_000, "reader": 2_000_000, "ray": 1_000_000}
    sample = {
        "at_s": 1.0,
        "cpu_cores": {"total": 0.5},
        "rss_bytes": sizes,
        "disk_bytes_per_s": 5,
        "lag_p95_s": lag_s,
        "dropped": 0,
    }
    return {
        "cameras": [camera] * count, "cameras_count": count, "activity": 0.5, "cpu_count": 2, "seconds": 60, "warm_up_s": 20,
        "cpu_cores": {"total": 0.5 * count, "ray": 0.1, "reader": 0.5 * count - 0.1}, "rss_bytes": sizes, "pss_bytes": sizes,
        "rss_slope_bytes_per_min": sizes, "disk_bytes_per_s": 1_500_000, "events": {"person": count}, "samples": [sample] * 2,
    }  # fmt: skip


def test_table_of_a_ramp_has_a_column_a_run_and_a_row_a_reason() -> None:
    columns, rows = table([run_of(4, 0.05, {}), run_of(8, None, {"superseded": 2})])
    assert columns == ["cameras", "4", "8"]
    cells = {name: values for name, *values in rows}
    assert all(len(values) == 2 for values in cells.values())
    assert cells["CPU cores, total"] == ["2.00", "4.00"]
    assert cells["CPU cores a camera"] == ["0.500", "0.500"]
    assert list(cells)[:3] == ["CPU cores, total", "CPU cores, reader", "CPU cores, ray"]
    assert cells["RSS MB"] == ["3.0", "3.0"]
    assert cells["decoded share of frames"] == ["0.50", "0.50"]
    assert cells["lag p95 s, worst camera"] == ["0.050", "-"]
    assert cells["crops dropped, superseded"] == ["0", "16"]
    assert cells["events, person"] == ["4", "8"]


def test_table_of_a_long_ramp_fits_a_screen() -> None:
    columns, rows = table([run_of(count, 0.05, {"detector_unavailable": 12345}) for count in (2, 4, 8, 16, 32)])
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    assert sum(widths) + 2 * len(widths) <= 80


def test_report_of_a_ramp_begins_with_what_grows_with_the_cameras() -> None:
    runs = [run_of(4, 0.05, {}), run_of(8, None, {})]
    page = report(runs, *table(runs))
    titles = re.findall(r'class="title"[^>]*>([^<]*)<', page)
    assert titles == ["CPU", "Lag, worst camera", *PLOTS, *PLOTS]
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["4 cameras", "8 cameras"]
