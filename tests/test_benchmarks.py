"""Every benchmark runs, small, and says what it measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = {
    "catalog.py": ["--segments", "6400"],
    "decode_cost.py": ["--seconds", "3", "--warm-up", "4"],
    "decode_recall.py": ["{clip}"],
    "elasticsearch_ingest.py": ["--events", "500", "--runs", "1"],
    "recorders.py": ["--cameras", "2", "--seconds", "5", "--segment", "5"],
}


@pytest.mark.usefixtures("pedestrians", "weights")
@pytest.mark.parametrize("benchmark", sorted(path.name for path in BENCHMARKS.glob("*.py")))
def test_benchmark_runs_and_prints_json(benchmark: str, clip: Path) -> None:
    options = [option.format(clip=clip) for option in SMALL[benchmark]]
    command = [sys.executable, str(BENCHMARKS / benchmark), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)
    assert f"## {benchmark}" in (BENCHMARKS / "README.md").read_text()
