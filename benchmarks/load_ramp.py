"""How does the cost of the whole pipeline grow with the number of cameras?

Runs ``raycctv loadtest`` as a ramp and keeps of each run what tells whether the machine carries it: CPU by camera and part,
memory, lag, drops, coverage, and how much was decoded. The ramp is the load test's own; this only asks for it and sums it up.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Run = dict[str, Any]


def ramp(cameras: str, seconds: int, warm_up_s: int, activity: float) -> list[Run]:
    """What ``loadtest --json`` says of each number of cameras; where one fails, of those before it."""
    asked = ["--cameras", cameras, "--seconds", str(seconds), "--warm-up", str(warm_up_s), "--activity", str(activity)]
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("raycctv")), "loadtest", *asked, "--folder", folder, "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise SystemExit("the load test failed; it says above why")
    said: dict[str, Any] = json.loads(done.stdout)
    runs: list[Run] = said.get("runs", [said])
    return runs


def summary(run: Run) -> dict[str, Any]:
    """One run in numbers; lags and coverage are those of the worst camera."""
    cameras, count = run["cameras"], run["cameras_count"]
    frames = sum(camera["frames"] for camera in cameras)
    return {
        "cameras": count,
        "activity": run["activity"],
        "seconds": run["seconds"],
        "cpu_cores": run["cpu_cores"],
        "cpu_cores_a_camera": round(run["cpu_cores"]["total"] / count, 4),
        "pss_bytes": run["pss_bytes"]["total"],
        "rss_slope_bytes_per_min": run["rss_slope_bytes_per_min"]["total"],
        "lag_p50_s": worst(camera["lag_p50_s"] for camera in cameras),
        "lag_p95_s": worst(camera["lag_p95_s"] for camera in cameras),
        "coverage": min(camera["coverage"] for camera in cameras),
        "decoded": round(sum(camera["decoded_frames"] for camera in cameras) / max(frames, 1), 3),
        "candidates": sum(camera["candidates"] for camera in cameras),
        "dropped": sum(sum(camera["dropped"].values()) for camera in cameras),
        "disk_bytes_per_s": run["disk_bytes_per_s"],
    }


def worst(lags_s: Iterable[float | None]) -> float | None:
    return max((lag_s for lag_s in lags_s if lag_s is not None), default=None)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    columns = ["cameras", "cores", "cores a camera", "PSS, GB", "lag p95, s", "coverage", "decoded", "crops", "dropped"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        lag = "-" if row["lag_p95_s"] is None else f"{row['lag_p95_s']:.2f}"
        print(
            f"| {row['cameras']} | {row['cpu_cores']['total']:.2f} | {row['cpu_cores_a_camera']:.3f} "
            f"| {row['pss_bytes'] / 1e9:.2f} | {lag} | {row['coverage']:.3f} | {row['decoded']:.2f} "
            f"| {row['candidates']} | {row['dropped']} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cameras", default="4,8,16,32", metavar="N[,N...]")
    parser.add_argument("--seconds", type=int, default=120, help="of each number of cameras")
    parser.add_argument("--warm-up", type=int, default=60)
    parser.add_argument("--activity", type=float, default=0.25, help="share of the cameras with motion at any time")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    rows = [summary(run) for run in ramp(options.cameras, options.seconds, options.warm_up, options.activity)]
    if options.json:
        print(json.dumps(rows))
        return
    print_table(rows)


if __name__ == "__main__":
    main()
