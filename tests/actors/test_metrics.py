"""Metrics: as documented, and from counters that exist."""

import re
from collections import deque
from pathlib import Path

import pytest
from ray.util.metrics import Counter
from support import until

from actors.batching import BatchStats
from actors.metrics import METRICS, Publisher, Sample, of_detector, of_loki, of_reader, of_sink, of_storage
from raycctv.live import ReaderStats
from raycctv.types import CameraName, Fallback

STORAGE = {
    "recorders": {"gate": {"recording": True, "starts": 2, "coverage_24h": 0.5}, "new": {
        "recording": False, "starts": 1, "coverage_24h": None}},
    "filed_bytes": 7, "segments_filed": 1, "segments_deleted": 0, "free_bytes": 5, "disk_bytes": 9,
}  # fmt: skip
SERVERS = {"elasticsearch": {"owed": 3, "delivered": 5, "refused": 0}, "loki": {"dropped": 2, "refused": 1}}
STATS = ReaderStats(
    CameraName("gate"), state="streaming", frames=150, decoded_frames=20, candidates=4, dropped={"superseded": 2},
    events={"person": 1}, decode={
        "fallback": Fallback.MISSES, "wakes": {"keyframe": 1, "packets": 4}, "false_wakes": 2, "audits": 5, "audit_misses": 3},
    lags_s=deque([9.0, *[0.1] * 74, 0.4]),
)  # fmt: skip
SAMPLES = [
    *of_reader(STATS), *of_detector("detector-0", BatchStats(2, 6, 0.5)), *of_storage(STORAGE),
    *of_sink({"owed": 1, "servers": SERVERS}), *of_loki("sink", SERVERS["loki"]),
]  # fmt: skip


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


def test_metrics_say_why_everything_is_decoded() -> None:
    whole = {sample.tags["reason"]: sample.value for sample in of_reader(STATS) if sample.name == "raycctv_decoded_whole"}
    assert whole == {"settings": 0, "codec": 0, "gop": 0, "misses": 1, "learning": 0}
    connecting = [sample.value for sample in of_reader(ReaderStats(CameraName("new"))) if "whole" in sample.name]
    assert connecting == [0] * 5


def test_metrics_are_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "deployment.md").read_text()
    assert [name for name in METRICS if f"`{name}`" not in document] == []


def test_counters_count_what_is_new_and_start_over_with_their_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Ray and Prometheus make of it: tests/actors/test_cluster.py."""
    published: list[tuple[str, float, dict[str, str]]] = []
    monkeypatch.setattr(Counter, "inc", lambda metric, value, tags: published.append((metric.info["name"], value, tags)))
    totals = [5.0, 5.0, 8.0, 2.0]
    looks = iter([[Sample("raycctv_frames_total", total, {"camera": "gate"})] for total in totals])
    publisher = Publisher(lambda: next(looks, []), every_s=0.01)
    until(lambda: len(published) == 3, 20)
    publisher.close()
    assert published == [("raycctv_frames_total", value, {"camera": "gate"}) for value in (5.0, 3.0, 2.0)]


@pytest.mark.logs_errors
def test_one_bad_look_does_not_end_the_publishing() -> None:
    looks: list[int] = []

    def look() -> list[Sample]:
        looks.append(1)
        raise ZeroDivisionError

    publisher = Publisher(look, every_s=0.01)
    until(lambda: len(looks) > 2, 20)
    publisher.close()
