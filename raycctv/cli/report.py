"""The report of a load test: one HTML file that holds its plots and loads nothing."""

from collections.abc import Sequence
from functools import partial
from html import escape
from typing import Any

from raycctv.cli.plot import plot

Run = dict[str, Any]
"""A run of ``loadtest --json``."""

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>raycctv load test</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 1320px; margin: 2em auto; padding: 0 1em }}
h1 {{ font-size: 1.6em }} h2 {{ margin-top: 2em; border-bottom: 1px solid #ccc }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1em 0 }}
th, td {{ padding: .15em .9em .15em 0; text-align: right; border-bottom: 1px solid #eee }}
th:first-child, td:first-child {{ text-align: left }}
.plots {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(480px, 1fr)); gap: 1em }}
svg {{ width: 100%; height: auto; background: #fff }}
text {{ font: 12px system-ui, sans-serif; fill: #333 }} text.title {{ font-size: 14px; font-weight: 600 }}
.grid {{ stroke: #e3e3e3 }} .line {{ fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }}
</style>
<h1>raycctv load test</h1>
{body}
</html>
"""


def report(runs: Sequence[Run], columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The page.

    Args:
        columns, rows: the table that sums the runs up.
    """
    ramp = f'<div class="plots">{_ramp(runs)}</div>' if len(runs) > 1 else ""
    return _PAGE.format(body=_about(runs[0]) + _table(columns, rows) + ramp + "".join(map(_section, runs)))


def _about(run: Run) -> str:
    return (
        f"<p>Cameras of 1920 x 1080 at 15 frames a second, a share of {run['activity']:g} of them with motion at any time. "
        f"Measured for {run['seconds']:g} s, after {run['warm_up_s']:g} s that do not count, on {run['cpu_count']} CPU cores "
        "that also ran the cameras. One core is 1.0. RSS counts a page that processes share in each of them, PSS once.</p>"
    )


def _ramp(runs: Sequence[Run]) -> str:
    cameras = [run["cameras_count"] for run in runs]

    def worst(key: str) -> list[float | None]:
        return [max((camera[key] for camera in run["cameras"] if camera[key] is not None), default=None) for run in runs]

    cores = {part: [run["cpu_cores"].get(part, 0.0) for run in runs] for part in _parts(runs[-1])}
    lags = {"median": worst("lag_p50_s"), "95 %": worst("lag_p95_s")}
    return plot("CPU", "cameras", "cores", cameras, cores) + plot("Lag, worst camera", "cameras", "s", cameras, lags)


def _section(run: Run) -> str:
    samples, parts = run["samples"], _parts(run)
    draw = partial(plot, x_label="time, s", x=[sample["at_s"] for sample in samples])
    plots = [
        draw("CPU by part", y_label="cores", lines={p: [s["cpu_cores"].get(p, 0.0) for s in samples] for p in parts}),
        draw("Memory by part", y_label="RSS, MB", lines={p: [s["rss_bytes"].get(p, 0) / 1e6 for s in samples] for p in parts}),
        draw("Written to disk", y_label="MB/s", lines={"recorders": [s["disk_bytes_per_s"] / 1e6 for s in samples]}),
        draw("Lag, 95 % of frames", y_label="s", lines={"all cameras": [s["lag_p95_s"] for s in samples]}),
        draw("Crops dropped", y_label="crops a sample", lines={"all cameras": [s["dropped"] for s in samples]}),
    ]
    columns = ["camera", "motion", "sent s", "coverage", "decoded", "lag p50 s", "lag p95 s", "crops", "dropped", "events"]
    rows = [_camera_row(camera) for camera in run["cameras"]]
    return f"<h2>{run['cameras_count']} cameras</h2>" + f'<div class="plots">{"".join(plots)}</div>' + _table(columns, rows)


def _camera_row(camera: dict[str, Any]) -> list[object]:
    lags = ["-" if camera[key] is None else f"{camera[key]:.3f}" for key in ("lag_p50_s", "lag_p95_s")]
    decoded = camera["decoded_frames"] / camera["frames"] if camera["frames"] else 0.0
    return [
        camera["camera"], f"{camera['motion_share']:.0%}", f"{camera['streamed_s']:.1f}", f"{camera['coverage']:.3f}",
        f"{decoded:.0%}", *lags, camera["candidates"], sum(camera["dropped"].values()), sum(camera["events"].values()),
    ]  # fmt: skip


def _parts(run: Run) -> list[str]:
    """The total, then what costs most first."""
    return sorted(run["cpu_cores"], key=lambda part: -run["cpu_cores"][part])


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
