"""``raycctv demo``: see the whole pipeline work, on real footage, with one command."""

from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, shown_by, stderr, stdout
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
        summary = trial.run(say=lambda line: stderr.print(line, markup=False), watch=shown_by(bar))
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
    columns = ["camera", "sent s", "recorded s", "coverage", "lag p95 s", "crops", "dropped", "events"]
    print_table("Cameras", columns, [_camera_row(camera) for camera in summary["cameras"]])
    cores, rss = summary["cpu_cores"], summary["rss_bytes"]
    parts = sorted(cores, key=lambda part: -cores[part])
    rows = [[part, f"{cores[part]:.2f}", rss.get(part, 0) // 10**6] for part in parts]
    print_table("Cost", ["part", "CPU cores", "RSS MB"], rows)
    folder = summary["folder"]
    stdout.print(f"events by kind: {_counts(summary['events'])}", markup=False)
    stdout.print(f"written to disk: {summary['disk_bytes_per_s'] / 1e6:.2f} MB/s", markup=False)
    stdout.print(f"recordings: {folder}/recordings; events and snapshots: {folder}/log", markup=False)


def _camera_row(camera: dict[str, Any]) -> list[object]:
    lag_s = camera["lag_p95_s"]
    return [
        camera["camera"],
        f"{camera['streamed_s']:.1f}",
        f"{camera['recorded_s']:.1f}",
        f"{camera['coverage']:.3f}",
        "-" if lag_s is None else f"{lag_s:.2f}",
        camera["candidates"] or 0,
        sum((camera["dropped"] or {}).values()),
        _counts(camera["events"]),
    ]


def _counts(events: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in events.items()) or "-"
