"""``raycctv analyze``: the pipeline over video files, as fast as the machine goes."""

import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from raycctv.cli.output import Json, print_json, print_table, progress
from raycctv.clock import NS_PER_S
from raycctv.config import Camera, Config, StreamUrl, load
from raycctv.errors import ConfigError, StreamError
from raycctv.types import CameraName, Event, FrameCounts


class Decode(StrEnum):
    """How much of a file is decoded; see ``decode.mode`` of the configuration."""

    ADAPTIVE = "adaptive"
    LEAN = "lean"
    ALL = "all"


@dataclass
class _FileResult:
    """What is reported of one file."""

    path: Path
    counts: FrameCounts = field(default_factory=FrameCounts)
    media_s: float = 0.0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    error: str | None = None
    events: dict[str, Event] = field(default_factory=dict)
    snapshots: dict[str, bytes] = field(default_factory=dict)


def analyze(
    files: Annotated[list[Path], typer.Argument(help="Video files, of any kind that ffmpeg reads.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration; without it the defaults hold.")] = None,
    camera: Annotated[str | None, typer.Option(help="Camera whose masks, zones and objects hold. Default: the first.")] = None,
    decode: Annotated[
        Decode | None,
        typer.Option(help="adaptive: of quiet stretches keyframes alone; lean: as on a busy machine; all: every frame."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for snapshots and masks.")] = None,
    masks: Annotated[bool, typer.Option("--masks", help="Write what moved in each frame as OUT/<file>/<frame>.png.")] = False,
    json: Json = False,
) -> None:
    """Find the events in video FILES, with the pipeline that live cameras run through.

    Exits 1 where a file could not be read; the others are analysed all the same.
    """
    from raycctv.detection.backends import open_backend

    if masks and out is None:
        raise typer.BadParameter("--masks needs --out, the folder to write to")
    settings, rules = _rules(config, camera)
    settings = _decoding(settings, Decode.ALL if masks else decode)
    threads = max(settings.detection.threads, 2)
    detection = settings.detection
    backend = open_backend(detection.model, detection.backend, threads=threads, min_score=detection.min_score)
    results = []
    with progress() as bar:
        for path in files:
            results.append(_analyzed(path, rules, settings, backend, out if masks else None, bar))
            if out is not None:
                _write_snapshots(results[-1], out)
    backend.close()
    if json:
        print_json({"files": [_as_json(result) for result in results]})
    else:
        _print(results)
    if any(result.error for result in results):
        raise typer.Exit(1)


def _rules(config: Path | None, camera: str | None) -> tuple[Config, Camera]:
    if config is None:
        any_camera = Camera(source=StreamUrl.parse("file:///any"))
        return Config(cameras={CameraName("any"): any_camera}), any_camera
    loaded = load(config)
    name = CameraName(camera or next(iter(loaded.cameras)))
    if name not in loaded.cameras:
        raise ConfigError(f"{config}: has no camera {name!r}; it has {', '.join(loaded.cameras)}")
    return loaded, loaded.cameras[name]


def _decoding(settings: Config, decode: Decode | None) -> Config:
    if decode is None:
        return settings
    return settings.model_copy(update={"decode": settings.decode.model_copy(update={"mode": decode.value})})


def _analyzed(path: Path, rules: Camera, settings: Config, backend: Any, masks: Path | None, bar: Progress) -> _FileResult:
    from raycctv.pipeline import analyze_file

    result = _FileResult(path)
    task = bar.add_task(path.name, total=_frame_count(path))
    writer = _MaskWriter(masks / path.stem) if masks else None

    def on_frame(frame: Any, analysis: Any) -> None:
        result.media_s = frame.media_time_s
        bar.update(task, completed=result.counts.frames)
        if writer is not None:
            writer.write(frame, analysis.motion.mask)

    name = CameraName(path.stem[:64])
    with _timed(result):
        try:
            for report in analyze_file(name, path, rules, settings, backend, on_frame=on_frame, counts=result.counts):
                result.events[report.event.id] = report.event
                if report.snapshot_jpeg:
                    result.snapshots[report.event.id] = report.snapshot_jpeg
        except StreamError as error:
            result.error = str(error)
    result.media_s = max(result.media_s, result.counts.media_s)
    _finish(bar, task, result)
    return result


class _timed:  # noqa: N801 - reads as a word of the with statement
    """Adds wall and CPU seconds (of all threads) to a result."""

    def __init__(self, result: _FileResult) -> None:
        self._result = result

    def __enter__(self) -> None:
        self._wall_s, self._cpu_s = time.monotonic(), _cpu_s()

    def __exit__(self, *_: object) -> None:
        self._result.wall_s = time.monotonic() - self._wall_s
        self._result.cpu_s = _cpu_s() - self._cpu_s


class _MaskWriter:
    """Writes masks of motion as PNG: 0 or 255, at the source's resolution, named by frame index in six digits."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def write(self, frame: Any, mask: Any) -> None:
        import cv2
        import numpy as np

        size = (frame.width_px, frame.height_px)
        if mask is None:
            mask = np.zeros((frame.height_px, frame.width_px), np.uint8)
        whole = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(self._folder / f"{frame.seq:06d}.png"), whole)


def _finish(bar: Progress, task: TaskID, result: _FileResult) -> None:
    bar.update(
        task,
        completed=result.counts.frames,
        total=result.counts.frames,
        description=f"{result.path.name}: {len(result.events)} events",
    )


def _frame_count(path: Path) -> int | None:
    from raycctv.errors import RaycctvError
    from raycctv.pipeline import probe

    try:
        info = probe(CameraName("file"), StreamUrl.parse(f"file://{path.resolve()}"))
    except RaycctvError:
        return None  # the analysis says what is wrong with it
    return round(info.duration_s * info.frame_rate) if info.duration_s and info.frame_rate else None


def _write_snapshots(result: _FileResult, out: Path) -> None:
    folder = out / result.path.stem
    folder.mkdir(parents=True, exist_ok=True)
    for event_id, jpeg in result.snapshots.items():
        (folder / f"{event_id}.jpg").write_bytes(jpeg)


def _as_json(result: _FileResult) -> dict[str, Any]:
    values: dict[str, Any] = {
        "file": str(result.path),
        "frames": result.counts.frames,
        "decoded_frames": result.counts.decoded_frames,
        "media_s": round(result.media_s, 3),
        "cpu_s": round(result.cpu_s, 3),
        "wall_s": round(result.wall_s, 3),
        "events": [_event_json(event) for event in result.events.values()],
    }
    return values if result.error is None else {**values, "error": result.error}


def _event_json(event: Event) -> dict[str, Any]:
    """An event as everywhere, and its media time: a file's first frame counts as captured at 0."""
    from raycctv.sinks.event_log import to_json

    end_ns = event.ended_at_ns
    return {
        **to_json(event, ()),
        "start_s": round(event.started_at_ns / NS_PER_S, 3),
        "end_s": None if end_ns is None else round(end_ns / NS_PER_S, 3),
    }


def _print(results: list[_FileResult]) -> None:
    for result in results:
        speed = result.media_s / result.wall_s if result.wall_s else 0.0
        title = (
            f"{result.path.name}: {_decoded(result.counts)}, {result.media_s:.1f} s in {result.wall_s:.1f} s ({speed:.1f} x)"
        )
        if result.error:
            title += f"; error: {result.error}"
        rows = list(_rows(result))
        print_table(title, ["start_s", "end_s", "kind", "score", "zones", "why"], rows)


def _decoded(counts: FrameCounts) -> str:
    less = "" if counts.decoded_frames >= counts.frames else f" ({counts.decoded_frames} decoded)"
    return f"{counts.frames} frames{less}"


def _rows(result: _FileResult) -> Iterator[list[object]]:
    for event in result.events.values():
        end = "" if event.ended_at_ns is None else f"{event.ended_at_ns / NS_PER_S:.1f}"
        yield [f"{event.started_at_ns / NS_PER_S:.1f}", end, event.kind, event.score, ", ".join(event.zones), event.why]


def _cpu_s() -> float:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime
