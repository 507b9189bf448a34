"""``raycctv loadtest``: how many cameras this machine carries, and what they cost it."""

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Annotated, Any

import typer

from raycctv.cli.output import Json, print_json, print_table, progress, shown_by, stderr, stdout
from raycctv.cli.report import report as report_page
from raycctv.config import Loki, ServerUrl
from raycctv.errors import RaycctvError
from raycctv.types import CameraName, Watch

_MOST_CAMERAS = 64


def counts(text: str) -> tuple[int, ...]:
    """Numbers of cameras, one or a ramp.

    Raises:
        typer.BadParameter: it is none.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = tuple(int(part) for part in parts if part.isdecimal())
    if len(numbers) != len(parts) or any(not 1 <= number <= _MOST_CAMERAS for number in numbers):
        raise typer.BadParameter(f"{text!r}: write a number from 1 to {_MOST_CAMERAS}, or several for a ramp: 4,8,16")
    if list(numbers) != sorted(set(numbers)):
        raise typer.BadParameter(f"{text!r}: a ramp goes up: 4,8,16")
    return numbers


def share(value: float) -> float:
    """A share of cameras with motion.

    Raises:
        typer.BadParameter: it is none.
    """
    from raycctv.simulate.activity import LEAST_ACTIVITY

    if value != 0 and not LEAST_ACTIVITY <= value <= 1:
        raise typer.BadParameter(f"{value:g}: write 0, or a share from {LEAST_ACTIVITY:g} to 1")
    return value


def writable(path: Path | None) -> Path | None:
    """A file that can be written, and said so before the test rather than after it.

    Raises:
        typer.BadParameter: it cannot.
    """
    if path is not None:
        folder = path.resolve().parent
        if path.is_dir() or not os.access(folder, os.W_OK):
            raise typer.BadParameter(f"{path}: name a file in a folder that exists and can be written")
    return path


def server(text: str) -> Loki:
    """A Loki at this URL.

    Raises:
        typer.BadParameter: it is none.
    """
    try:
        return Loki(url=ServerUrl.parse(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def usable(folder: Path) -> Path:
    """A folder that exists from now on.

    Raises:
        typer.BadParameter: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"{folder}: cannot be made: {error.strerror}") from error
    return folder


def loadtest(
    cameras: Annotated[
        Any, typer.Option(parser=counts, metavar="N[,N...]", help="Simulated cameras, 1920 x 1080 at 15 frames a second.")
    ] = "4",
    seconds: Annotated[int, typer.Option(min=5, max=3600, help="How long is measured.")] = 60,
    warm_up: Annotated[int, typer.Option(min=1, max=600, help="Seconds of streaming before that, which do not count.")] = 20,
    activity: Annotated[float, typer.Option(callback=share, help="Share of the cameras with motion at any time.")] = 0.25,
    folder: Annotated[
        Path, typer.Option(callback=usable, help="Recordings and logs go here; those of the last test are replaced.")
    ] = Path("var/loadtest"),
    loki: Annotated[
        Any, typer.Option(parser=server, metavar="URL", help="Push logs and events to this Loki, as the key `loki` does.")
    ] = None,
    report: Annotated[Path | None, typer.Option(callback=writable, help="Write plots over time to this HTML file.")] = None,
    keep_footage: Annotated[bool, typer.Option(help="Keep what was recorded, 15 MB a minute and camera.")] = False,
    json: Json = False,
) -> None:
    """Run so many cameras through the whole pipeline on this machine, and say what that costs.

    Several numbers are a ramp: one test after the other; one that fails ends it, and what was measured until then is shown.
    The cameras only send what was coded before, by copying.
    """
    from raycctv.detection.models import locate

    locate("ssdlite_mobilenet_v2")
    runs: list[dict[str, Any]] = []
    failure: RaycctvError | None = None
    with progress() as bar:
        show = shown_by(bar)
        for count in cameras:
            try:
                runs.append(_run(count, seconds, warm_up, activity, loki, folder / f"{count}-cameras", show))
            except RaycctvError as error:
                failure = error
                break
            finally:
                if not keep_footage:
                    shutil.rmtree(folder / f"{count}-cameras" / "recordings", ignore_errors=True)
    if runs:
        _print(runs, report, {"runs": runs} if len(cameras) > 1 else runs[0], json)
    if failure is not None:
        raise failure


def _run(
    count: int, seconds: int, warm_up_s: int, activity: float, loki: Loki | None, folder: Path, show: Watch
) -> dict[str, Any]:
    from actors.trial import Trial, TrialCamera
    from raycctv.simulate.activity import GOP_S, motion_share, prepare_clips, schedule, turned, write_stream

    streams = folder / "streams"
    shutil.rmtree(streams, ignore_errors=True)
    streams.mkdir(parents=True)
    for name, clip in prepare_clips(show).items():
        (streams / f"{name}.mp4").symlink_to(clip.resolve())
    shown = {CameraName(f"camera{i + 1:02d}"): turned(schedule(activity), i / count) for i in range(count)}
    for camera, spans in shown.items():
        write_stream(spans, streams / f"{camera}.ffconcat")
    simulated = tuple(TrialCamera(camera, streams / f"{camera}.ffconcat") for camera in shown)
    trial = Trial(simulated, seconds, folder, warm_up_s, spread_s=GOP_S, loki=loki)
    summary = trial.run(
        say=lambda line: stderr.print(line, markup=False),
        watch=lambda what, done, total: show(f"{count} cameras: {what}", done, total),
    )
    for camera in summary["cameras"]:
        camera["motion_share"] = round(motion_share(shown[camera["camera"]], warm_up_s, warm_up_s + seconds), 3)
    return {**summary, "cameras_count": count, "activity": activity, "cpu_count": os.cpu_count()}


def _print(runs: list[dict[str, Any]], report_path: Path | None, value: dict[str, Any], json: bool) -> None:
    columns, rows = table(runs)
    if report_path is not None:
        report_path.write_text(report_page(runs, columns, rows))
    if json:
        print_json(value)
        return
    print_table("Load", columns, rows)
    if report_path is not None:
        stdout.print(f"plots: {report_path}", markup=False)


def table(runs: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows that sum the runs up: a column a run, so that a ramp fits a screen."""
    parts = sorted(runs[-1]["cpu_cores"], key=lambda part: -runs[-1]["cpu_cores"][part])
    rows = {f"CPU cores, {part}": [f"{run['cpu_cores'].get(part, 0):.2f}" for run in runs] for part in parts}
    rows["CPU cores a camera"] = [f"{run['cpu_cores']['total'] / run['cameras_count']:.3f}" for run in runs]
    for name, key in {"RSS MB": "rss_bytes", "PSS MB": "pss_bytes", "RSS growth MB/min": "rss_slope_bytes_per_min"}.items():
        rows[name] = [f"{run[key]['total'] / 1e6:.1f}" for run in runs]
    rows["disk MB/s"] = [f"{run['disk_bytes_per_s'] / 1e6:.2f}" for run in runs]
    rows["time with motion"] = [_over(run, "motion_share", mean, 2) for run in runs]
    rows["sent s, least"] = [_over(run, "streamed_s", min, 1) for run in runs]
    rows["coverage, worst"] = [_over(run, "coverage", min, 3) for run in runs]
    for name, key in {"lag p50 s": "lag_p50_s", "lag p95 s": "lag_p95_s"}.items():
        rows[f"{name}, median camera"] = [_over(run, key, median, 3) for run in runs]
        rows[f"{name}, worst camera"] = [_over(run, key, max, 3) for run in runs]
    rows["decoded share of frames"] = [f"{_sum(run, 'decoded_frames') / max(_sum(run, 'frames'), 1):.2f}" for run in runs]
    rows["crops asked about"] = [str(_sum(run, "candidates")) for run in runs]
    rows |= _counted("crops dropped", [_total(camera["dropped"] for camera in run["cameras"]) for run in runs])
    rows |= _counted("events", [run["events"] for run in runs])
    return ["cameras", *(str(run["cameras_count"]) for run in runs)], [[name, *cells] for name, cells in rows.items()]


def _over(run: dict[str, Any], key: str, of: Callable[[list[float]], float], digits: int) -> str:
    """One number for all cameras."""
    values = [camera[key] for camera in run["cameras"] if camera[key] is not None]
    return f"{of(values):.{digits}f}" if values else "-"


def _sum(run: dict[str, Any], key: str) -> int:
    return sum(int(camera[key]) for camera in run["cameras"])


def _total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    return sum((Counter(count) for count in counts), Counter())


def _counted(what: str, runs: Sequence[Mapping[str, int]]) -> dict[str, list[str]]:
    """A row a reason or kind; a row of zeros where there is none."""
    kinds = sorted({kind for run in runs for kind in run})
    return {f"{what}, {kind}": [str(run.get(kind, 0)) for run in runs] for kind in kinds} or {what: ["0"] * len(runs)}
