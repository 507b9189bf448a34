"""The demo, shorter: everything real, end to end."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from raycctv.clock import parse_iso
from raycctv.recording.catalog import CATALOG_NAME
from raycctv.types import HEALTH_KINDS

SECONDS = 24


def test_demo_records_and_sees_what_its_cameras_show(pedestrians: Path, weights: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from raycctv.cli.main import main; main()", "demo"]
    options = ["--seconds", str(SECONDS), "--folder", str(tmp_path / "demo"), "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    cameras = {camera["camera"]: camera for camera in summary["cameras"]}
    assert list(cameras) == ["plaza", "walkway", "empty", "gate"]
    for name in ("plaza", "walkway", "empty"):
        assert cameras[name]["streamed_s"] == pytest.approx(SECONDS, abs=2)
        assert cameras[name]["coverage"] >= 0.99
    assert cameras["gate"]["recorded_s"] >= SECONDS - 10 - 5
    for name in ("plaza", "walkway", "gate"):
        assert cameras[name]["events"]["person"] >= 1
    assert cameras["empty"]["events"] == {}
    assert {name: camera["events"].get("camera_offline", 0) for name, camera in cameras.items()} == {
        "plaza": 0, "walkway": 0, "empty": 0, "gate": 1
    }  # fmt: skip
    assert all(camera["frames"] >= camera["decoded_frames"] > 0 for camera in cameras.values())
    assert cameras["walkway"]["decoded_frames"] > 0.2 * cameras["walkway"]["frames"]
    assert cameras["empty"]["decoded_frames"] < 0.8 * cameras["empty"]["frames"]
    assert all(camera["lag_p50_s"] <= camera["lag_p95_s"] for camera in cameras.values())
    assert {"total", "reader", "detector", "storage", "recorder", "ray", "rtmp", "simulator"} == set(summary["cpu_cores"])
    assert summary["events"]["person"] == sum(camera["events"].get("person", 0) for camera in cameras.values())
    assert summary["disk_bytes_per_s"] > 10_000
    assert "gate goes offline for 10 s" in done.stderr

    recordings = tmp_path / "demo" / "recordings"
    assert (recordings / CATALOG_NAME).is_file()
    files = list(recordings.glob("*/2*/*.mp4"))
    assert len(files) >= 5  # the gate's outage made a second
    for file in files:
        shown = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", str(file)]
        assert subprocess.run(shown, capture_output=True, text=True, check=True).stdout == "h264,1280,720\n"
    snapshots = list((tmp_path / "demo" / "log" / "snapshots").rglob("*.jpg"))
    assert len(snapshots) == sum(count for kind, count in summary["events"].items() if kind not in HEALTH_KINDS)
    picture = cv2.imread(str(snapshots[0]))
    assert picture is not None
    assert picture.shape == (720, 1280, 3)
    lines = [json.loads(line) for line in (tmp_path / "demo" / "log" / "events.jsonl").read_text().splitlines()]
    seen = {line["id"] for line in lines if line["ended_at"] and line["kind"] not in HEALTH_KINDS}
    assert seen == {path.stem for path in snapshots}
    offline_s = [
        (parse_iso(line["ended_at"]) - parse_iso(line["started_at"])) / 1e9
        for line in lines
        if (line["camera"], line["kind"]) == ("gate", "camera_offline") and line["ended_at"]
    ]
    assert any(9 < lasted_s < 15 for lasted_s in offline_s), offline_s
