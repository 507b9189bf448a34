"""``raycctv demo``: see the whole pipeline work, on real footage, with one command."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, stderr, stdout
from raycctv.types import CameraName

_SCENES = ("plaza", "walkway", "empty", "gate")
"""What the cameras show, in turn; the fourth is the one that goes offline."""

_OFFLINE_S = 10.0


def demo(
    cameras: Annotated[int, typer.Option(min=1, max=32, help="Simulated cameras, 1280 x 720 at 15 frames a second.")] = 4,
    seconds: Annotated[int, typer.Option(min=20, max=3600, help="How long they stream.")] = 60,
    folder: Annotated[Path, typer.Option(help="Recordings and logs go here; those of the last demo are replaced.")] = Path(
        "var/demo"
    ),
    json: Json = False,
) -> None:
    """Run the whole pipeline on this machine: cameras, RTMP, readers, detector, recorders, events.

    The cameras send real footage of pedestrians, but for the third, which shows the empty place; the fourth goes offline
    for ten seconds and returns. Ends with what was recorded, what was seen and what it cost.
    """
    from actors.trial import Trial

    trial = Trial(tuple(_cameras(cameras, seconds)), seconds, folder)
    with progress() as bar:
        task = bar.add_task("streaming", total=seconds)
        summary = trial.run(
            say=lambda line: stderr.print(line, markup=False),
            tick=lambda now_s: bar.update(task, completed=round(now_s)),
        )
        bar.update(task, completed=seconds)
    if json:
        print_json(summary)
    else:
        _print(summary)


def _cameras(count: int, seconds: int) -> list[Any]:
    from actors.trial import TrialCamera
    from raycctv.detection.models import locate
    from raycctv.simulate.scenes import prepare

    locate("ssdlite_mobilenet_v2")
    with progress() as bar:
        wanted = _SCENES[:count]
        clips = {scene: prepare(scene) for scene in bar.track(wanted, description="preparing footage")}
    return [
        TrialCamera(
            name=CameraName(f"{_SCENES[i % 4]}{i // 4 + 1}" if count > len(_SCENES) else _SCENES[i]),
            clip=clips[_SCENES[i % 4]],
            offline_from_s=seconds / 2 - _OFFLINE_S / 2,
            offline_s=_OFFLINE_S if _SCENES[i % 4] == "gate" else 0.0,
        )
        for i in range(count)
    ]


def _print(summary: dict[str, Any]) -> None:
    columns = [
        "camera",
        "streamed s",
        "recorded s",
        "coverage",
        "frames",
        "lag p50 s",
        "lag p95 s",
        "crops",
        "dropped",
        "events",
    ]
    keys = [
        "camera",
        "streamed_s",
        "recorded_s",
        "coverage",
        "frames",
        "lag_p50_s",
        "lag_p95_s",
        "candidates",
        "dropped",
        "events",
    ]
    rows = [[_cell(camera[key]) for key in keys] for camera in summary["cameras"]]
    print_table("Cameras", columns, rows)
    parts = sorted(summary["cpu_cores"], key=lambda part: -summary["cpu_cores"][part])
    cores, rss = summary["cpu_cores"], summary["rss_bytes"]
    print_table(
        "Cost", ["part", "CPU cores", "RSS MB"], [[part, f"{cores[part]:.2f}", rss.get(part, 0) // 10**6] for part in parts]
    )
    folder = summary["folder"]
    stdout.print(f"events by kind: {_cell(summary['events'])}; disk {summary['disk_bytes_per_s'] / 1e6:.2f} MB/s", markup=False)
    stdout.print(f"recordings in {folder}/recordings, events and snapshots in {folder}/log", markup=False)


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{count} {key}" for key, count in value.items()) or "-"
    return f"{value:.3f}" if isinstance(value, float) else value
