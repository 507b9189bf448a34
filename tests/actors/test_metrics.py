"""Metrics: as documented, from counters that exist, and really in what Prometheus reads."""

import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

from actors.batching import BatchStats
from actors.metrics import METRICS, of_detector, of_loki, of_reader, of_sink, of_storage
from raycctv.live import ReaderStats
from raycctv.types import CameraName

STORAGE = {
    "recorders": {"gate": {"recording": True, "starts": 2, "coverage_24h": 0.5}, "new": {
        "recording": False, "starts": 1, "coverage_24h": None}},
    "filed_bytes": 7, "segments_filed": 1, "segments_deleted": 0, "free_bytes": 5, "disk_bytes": 9,
}  # fmt: skip
SERVERS = {"elasticsearch": {"owed": 3, "delivered": 5, "refused": 0}, "loki": {"dropped": 2, "refused": 1}}
STATS = ReaderStats(
    CameraName("gate"), state="streaming", frames=150, decoded_frames=20, candidates=4, dropped={"superseded": 2},
    events={"person": 1}, lags_s=deque([9.0, *[0.1] * 74, 0.4]),
)  # fmt: skip
SAMPLES = [
    *of_reader(STATS), *of_detector("detector-0", BatchStats(2, 6, 0.5)), *of_storage(STORAGE),
    *of_sink({"owed": 1, "servers": SERVERS}), *of_loki("sink", SERVERS["loki"]),
]  # fmt: skip

PUBLISH = """
import sys, time, urllib.request
import ray
from actors import cluster
from actors.metrics import Publisher, of_reader
from raycctv.live import ReaderStats

@ray.remote
class Reader:
    def __init__(self):
        self.stats = ReaderStats("gate", state="streaming", frames=7, dropped={"superseded": 2}, events={"person": 1})
        self.stats.lags_s.append(0.25)
        self.publisher = Publisher(lambda: of_reader(self.stats), every_s=0.2)
    def more(self):
        self.stats.frames += 3

with cluster.private_cluster(cpus=1):
    reader = Reader.remote()
    ray.get(reader.more.remote())
    port = ray.nodes()[0]["MetricsExportPort"]
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        except OSError:
            text = ""
        lines = [line for line in text.splitlines() if ("raycctv" in line or "ray_node_" in line) and not line.startswith("#")]
        if any("raycctv_frames_total" in line and line.endswith(" 10.0") for line in lines) and "ray_node_mem_used" in text:
            break
        time.sleep(0.2)
    print("\\n".join(lines))
"""


def test_every_metric_is_published_and_has_its_tags() -> None:
    assert {sample.name for sample in SAMPLES} == set(METRICS)
    for sample in SAMPLES:
        assert tuple(sample.tags) == METRICS[sample.name].tags, sample


def test_names_follow_prometheus() -> None:
    """Base units, ``_total`` on counters and nothing else. Source: prometheus.io/docs/practices/naming."""
    for name, metric in METRICS.items():
        assert re.fullmatch(r"raycctv_[a-z_]+", name)
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|mb|kb|percent)(_|$)", name), name


def test_lag_is_the_longest_of_the_last_seconds() -> None:
    (lag,) = (sample.value for sample in of_reader(STATS) if sample.name == "raycctv_lag_seconds")
    assert lag == 0.4
    assert "raycctv_lag_seconds" not in {sample.name for sample in of_reader(ReaderStats(CameraName("gate")))}


def test_metrics_are_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text()
    assert [name for name in METRICS if f"`{name}`" not in document] == []


@pytest.mark.timeout(150)
def test_prometheus_reads_them_from_ray_and_counters_count_what_is_new() -> None:
    done = subprocess.run([sys.executable, "-c", PUBLISH], capture_output=True, text=True, check=True)
    found = dict(re.findall(r"^ray_(\w+)\{(?:.*)\} (\S+)$", done.stdout, re.MULTILINE))
    assert found["raycctv_frames_total"] == "10.0", done.stdout
    assert found["raycctv_camera_up"] == "1.0"
    assert {"node_cpu_utilization", "node_mem_used"} <= set(found)
    assert found["raycctv_lag_seconds"] == "0.25"
    assert re.search(r'ray_raycctv_dropped_candidates_total\{.*camera="gate".*reason="superseded".*\} 2.0', done.stdout)
