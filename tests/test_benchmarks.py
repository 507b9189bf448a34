"""Every benchmark runs, small, and says what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "accuracy.py": ["--quick", "--only", "pictures", "--data", "{data}"],
    "console.py": ["--cameras", "2", "--seconds", "1", "--viewers", "2"],
    "catalog.py": ["--segments", "6400"],
    "decode_cost.py": ["--seconds", "3", "--warm-up", "4"],
    "decode_recall.py": ["{clip}", "--encoding", "quality", "--encoding", "H.265"],
    "detector_actor.py": ["--seconds", "1", "--cameras", "2"],
    "elasticsearch_ingest.py": ["--events", "500", "--runs", "1"],
    "inference.py": ["--seconds", "0.1", "--only", "openvino-bf16"],
    "hardware_decode.py": ["--codec", "h264", "--pictures", "30", "--rounds", "1"],
    "load_ramp.py": ["--cameras", "1", "--seconds", "5", "--warm-up", "1"],
    "loki_gone.py": ["--cameras", "1", "--seconds", "5", "--warm-up", "1"],
    "metrics.py": ["--cameras", "2", "--publications", "5"],
    "motion_algorithms.py": ["--pictures", "6"],
    "ray_transfer.py": ["--part", "calls", "--calls", "10"],
    "recorders.py": ["--cameras", "2", "--seconds", "5", "--segment", "5"],
    "timeline.py": ["--cameras", "2", "--days", "1", "--events", "5"],
    "scale.py": ["--cameras", "20", "--seconds", "5", "--settle", "1", "--visits-an-hour", "600", "--visit", "1"],
}


SLOW = {
    "console.py", "decode_cost.py", "detector_actor.py", "load_ramp.py", "loki_gone.py", "metrics.py", "ray_transfer.py",
    "recorders.py", "scale.py",
}  # fmt: skip
"""Those that wait for streams or start a Ray: what they measure has tests of its own."""

ALL = [
    pytest.param(path.name, marks=[pytest.mark.slow] if path.name in SLOW else []) for path in sorted(BENCHMARKS.glob("*.py"))
]


@pytest.mark.usefixtures("pedestrians", "weights")
@pytest.mark.parametrize("benchmark", ALL)
def test_benchmark_runs_and_prints_json(benchmark: str, clip: Path, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue("shared_data") if "{data}" in SMALL[benchmark] else None
    options = [option.format(clip=clip, data=data) for option in SMALL[benchmark]]
    command = [sys.executable, str(BENCHMARKS / benchmark), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)


@pytest.mark.parametrize("benchmark", sorted(SMALL))
def test_what_a_benchmark_measured_stands_in_the_readme_with_its_command(benchmark: str) -> None:
    _, _, section = (BENCHMARKS / "README.md").read_text().partition(f"\n## {benchmark}\n")
    assert f"benchmarks/{benchmark}" in section.partition("\n## ")[0]
