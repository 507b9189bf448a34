"""``raycctv export`` and ``raycctv verify``: footage handed over, and footage looked over."""

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import Json, print_json, print_table, progress, stdout
from raycctv.cli.when import ConfigOption, Root, footage_root, open_catalog, span
from raycctv.clock import NS_PER_S, iso
from raycctv.config import load
from raycctv.errors import RecordingError
from raycctv.types import Segment, Span


def export(
    camera: Annotated[str, typer.Argument(help="Whose footage.")],
    start: Annotated[str, typer.Argument(help="From: an ISO 8601 time or an age (30m, 2h).")],
    end: Annotated[str, typer.Argument(help="To: an ISO 8601 time or an age.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write (MP4).")],
    exact: Annotated[bool, typer.Option("--exact", help="Cut at the frame; the video is coded anew for that.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    root: Root = None,
    json: Json = False,
) -> None:
    """Write the footage of CAMERA from START to END to one file: the recorded packets themselves, across segments and gaps.

    It begins at the keyframe before START, unless --exact. Where the camera has changed its picture, a second file follows.
    """
    from raycctv.recording import export as exporting

    wanted = span(camera, start, end)
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} exists; --force overwrites it", param_hint="--output")
    folder = footage_root(config, root)
    with open_catalog(config, root) as catalog:
        segments = catalog.segments(wanted.camera, wanted.from_ns, wanted.to_ns)
        if not segments:
            raise RecordingError(_nothing(wanted, *catalog.around(wanted)))
    files: list[exporting.Exported] = []
    with progress() as bar:
        task = bar.add_task("exporting", total=len(segments))
        if exact:
            with tempfile.TemporaryDirectory(dir=output.resolve().parent) as drafts:
                whole = exporting.export(segments, folder, wanted, Path(drafts, output.name), lambda: bar.advance(task))
                for part in whole:
                    told = partial(_seconds_coded, bar, bar.add_task("coding, seconds", total=round(part.recorded_s)))
                    files.append(exporting.cut_exactly(part, wanted, output.with_name(part.path.name), told))
        else:
            files = exporting.export(segments, folder, wanted, output, lambda: bar.advance(task))
    for file in files:
        row: dict[str, Any] = {
            "file": str(file.path),
            "camera": camera,
            "from": iso(file.from_ns),
            "to": iso(file.to_ns),
            "recorded_s": round(file.recorded_s, 3),
            "gaps": [_gap(start, end) for start, end in file.gaps],
        }
        print_json(row) if json else _say(row)


def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    root: Root = None,
    quick: Annotated[bool, typer.Option("--quick", help="Parse the files, but decode none.")] = False,
    json: Json = False,
) -> None:
    """Check that every segment decodes and is what the catalog says, and the logs; exits 1 where something is wrong."""
    from raycctv.recording.verify import Bad
    from raycctv.recording.verify import verify as verify_footage
    from raycctv.sinks import component_log, event_log

    folder = footage_root(config, root)
    with open_catalog(config, root) as catalog, progress() as bar:
        task = bar.add_task("reading segments", total=len(catalog.segments()))
        found = verify_footage(catalog, folder, quick=quick, on_segment=lambda: bar.advance(task))
    logs = None if root is not None else load(config).logs.dir
    checked = [] if logs is None else [event_log.check(logs), component_log.check(logs)]
    lines = sum(count for count, _ in checked)
    bad_lines = [line for _, bad in checked for line in bad]
    bad = [*found.bad, *(Bad(where, problem) for where, problem in bad_lines)]
    cameras = [
        {
            "camera": c.camera,
            "from": iso(c.from_ns),
            "to": iso(c.to_ns),
            "coverage": round(c.share, 5),
            "gaps": [{**_gap(gap.from_ns, gap.to_ns), "cause": gap.cause} for gap in c.gaps],
        }
        for c in found.cameras
    ]
    if json:
        rows = [{"path": one.path, "problem": one.problem} for one in bad]
        print_json({"segments": found.segments, "log_lines": lines, "bad": rows, "cameras": cameras})
    else:
        print_table(
            f"{found.segments} segments, {lines} lines of logs",
            ["camera", "from", "to", "coverage", "gaps"],
            [[c["camera"], c["from"], c["to"], f"{c['coverage']:.5f}", _gap_text(c["gaps"])] for c in cameras],
        )
        if bad:
            print_table(f"{len(bad)} are wrong", ["path", "problem"], [[one.path, one.problem] for one in bad])
    if bad:
        raise typer.Exit(1)


def _seconds_coded(bar: Progress, task: TaskID, seconds: float) -> None:
    bar.update(task, completed=round(seconds))


def _nothing(wanted: Span, before: Segment | None, after: Segment | None) -> str:
    near = [f"ends {iso(before.ended_at_ns)}"] if before else []
    near += [f"begins again {iso(after.started_at_ns)}" if before else f"begins {iso(after.started_at_ns)}"] if after else []
    nearest = f"; the nearest {' and '.join(near)}" if near else ", nor any other time"
    return f"{wanted.camera} has no footage from {iso(wanted.from_ns)} to {iso(wanted.to_ns)}{nearest}"


def _gap(from_ns: int, to_ns: int) -> dict[str, Any]:
    return {"from": iso(from_ns), "to": iso(to_ns), "duration_s": round((to_ns - from_ns) / NS_PER_S, 3)}


def _gap_text(gaps: Any) -> str:
    longest = sorted(gaps, key=lambda gap: -gap["duration_s"])[:3]
    text = ", ".join(f"{gap['duration_s']:.0f} s at {gap['from']}{_cause(gap)}" for gap in longest)
    return f"{len(gaps)}: {text}" if gaps else "-"


def _cause(gap: dict[str, Any]) -> str:
    return f" ({gap['cause'].replace('_', ' ')})" if "cause" in gap else ""


def _say(row: dict[str, Any]) -> None:
    text = f"{row['file']}: {row['camera']} from {row['from']} to {row['to']}, {row['recorded_s']:.1f} s"
    stdout.print(text + (f"; gaps: {_gap_text(row['gaps'])}" if row["gaps"] else ""), markup=False)
