"""``raycctv events`` and ``raycctv recordings``: what the catalog knows."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import Json, print_json, print_table, progress, stdout
from raycctv.cli.when import ConfigOption, Root, Since, Until, footage_root, instant_ns, open_catalog, span
from raycctv.clock import NS_PER_S, SystemClock, iso
from raycctv.config import Elasticsearch, load
from raycctv.errors import ConfigError
from raycctv.recording.catalog import Catalog
from raycctv.search import And, Query, QueryError, of_kind, parse
from raycctv.types import CameraName, Segment, Span, category_of

CameraOption = Annotated[str | None, typer.Option(help="Only this camera.")]


def events(
    config: ConfigOption = DEFAULT_CONFIG,
    root: Root = None,
    camera: CameraOption = None,
    kind: Annotated[
        str | None,
        typer.Option(help="Only this kind: person, car, motion, camera_offline, ...; or all of a category: object, health."),
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    search: Annotated[
        str | None,
        typer.Option(help="""Only what fits: 'person AND zone:gate', '(car OR truck) NOT camera:yard', 'score>=0.8'."""),
    ] = None,
    false_alarms: Annotated[
        bool, typer.Option("--false-alarms", help="Only those that somebody has marked as showing nothing.")
    ] = False,
    json: Json = False,
) -> None:
    """List events, newest first. A search asks Elasticsearch where the configuration names one, else the catalog."""
    query = _query(search, kind)
    only = CameraName(camera) if camera else None
    asked = _Asked(only, instant_ns(since), instant_ns(until), limit, query, True if false_alarms else None)
    server = None if root is not None or search is None or false_alarms else load(config).elasticsearch
    rows = _from_catalog(asked, config, root) if server is None else _from_elasticsearch(asked, server, config)
    if json:
        for row in rows:
            print_json(row)
        return
    columns = ["started_at", "ended_at", "camera", "kind", "score", "zones", "why"]
    print_table("Events", columns, [[_cell(row[column]) for column in columns] for row in rows])


@dataclass(frozen=True)
class _Asked:
    camera: CameraName | None
    from_ns: int | None
    to_ns: int | None
    limit: int
    search: Query | None
    false_alarm: bool | None


def _query(text: str | None, kind: str | None) -> Query | None:
    wanted = [] if kind is None else [of_kind(kind)]
    try:
        wanted += [] if text is None else [parse(text)]
    except QueryError as error:
        raise typer.BadParameter(str(error), param_hint="--search") from None
    return And(tuple(wanted)) if wanted else None


def _from_catalog(asked: _Asked, config: Path, root: Path | None) -> list[dict[str, Any]]:
    from raycctv.sinks.event_log import to_json

    with open_catalog(config, root) as catalog:
        found = catalog.events(
            asked.camera, None, asked.from_ns, asked.to_ns, asked.limit, asked.search, false_alarm=asked.false_alarm
        )
        rows = [to_json(event, [segment.path for segment in catalog.segments_of(event)]) for event in found]
        return _marked(rows, catalog)


def _from_elasticsearch(asked: _Asked, server: Elasticsearch, config: Path) -> list[dict[str, Any]]:
    """Its segments are those that were filed when the event ended. Where there is no catalog, nobody knows the false alarms."""
    from raycctv.sinks.elasticsearch import Searcher
    from raycctv.sinks.event_log import FIELDS

    assert asked.search is not None
    searcher = Searcher(server)
    found = searcher.events(asked.search, asked.camera, asked.from_ns, asked.to_ns, asked.limit)
    searcher.close()
    rows = [{**{field: one.get(field) for field in FIELDS}, "category": category_of(one["kind"])} for one in found]
    try:
        with open_catalog(config, None) as catalog:
            return _marked(rows, catalog)
    except ConfigError:
        return [{**row, "false_alarm": None} for row in rows]


def _marked(rows: list[dict[str, Any]], catalog: Catalog) -> list[dict[str, Any]]:
    false_alarms = catalog.false_alarms(row["id"] for row in rows)
    return [{**row, "false_alarm": row["id"] in false_alarms} for row in rows]


def recordings(
    config: ConfigOption = DEFAULT_CONFIG,
    root: Root = None,
    camera: CameraOption = None,
    since: Since = None,
    until: Until = None,
    plan: Annotated[bool, typer.Option("--plan", help="List what the rules would delete now, and why.")] = False,
    keep: Annotated[
        tuple[str, str, str] | None,
        typer.Option(metavar="CAMERA START END", help="Protect a span: no rule deletes it. Times as for --since."),
    ] = None,
    release: Annotated[
        tuple[str, str, str] | None, typer.Option(metavar="CAMERA START END", help="Take back what --keep protects in a span.")
    ] = None,
    rescan: Annotated[bool, typer.Option("--rescan", help="Make the list of footage anew from the files alone.")] = False,
    json: Json = False,
) -> None:
    """List footage: a line a segment as JSON, a line a camera in the table. Also protects it, and says what would go."""
    if sum([plan, keep is not None, release is not None, rescan]) > 1:
        raise typer.BadParameter("choose one of --plan, --keep, --release and --rescan")
    if plan:
        _print_plan(config, root, json)
    elif keep is not None:
        _keep(config, root, span(*keep))
    elif release is not None:
        with open_catalog(config, root, read_only=False) as catalog:
            stdout.print(f"released {catalog.release(span(*release))} protected spans", markup=False)
    elif rescan:
        _rescan(config, root)
    else:
        _list(config, root, camera, since, until, json)


def _list(config: Path, root: Path | None, camera: str | None, since: str | None, until: str | None, json: bool) -> None:
    with open_catalog(config, root) as catalog:
        found = catalog.segments(CameraName(camera) if camera else None, instant_ns(since), instant_ns(until))
    if json:
        for segment in found:
            print_json(_as_json(segment))
        return
    by_camera: dict[str, list[Segment]] = defaultdict(list)
    for segment in found:
        by_camera[segment.camera].append(segment)
    columns = ["camera", "segments", "from", "to", "recorded s", "MB", "codec", "size"]
    print_table("Recordings", columns, [_camera_row(name, own) for name, own in sorted(by_camera.items())])


def _print_plan(config: Path, root: Path | None, json: bool) -> None:
    from raycctv.storage import planned_now

    loaded = load(config)
    if root is not None:
        loaded = loaded.model_copy(update={"recording": loaded.recording.model_copy(update={"root": root})})
    keep = {name: camera.keep for name, camera in loaded.cameras.items()}
    with open_catalog(config, root) as catalog:
        deletions = planned_now(catalog, loaded.recording, keep, SystemClock().now_ns())
    if json:
        for deletion in deletions:
            print_json({**_as_json(deletion.segment), "reason": deletion.reason})
        return
    rows = [[d.segment.camera, iso(d.segment.started_at_ns), f"{d.segment.size_bytes / 1e6:.1f}", d.reason] for d in deletions]
    print_table(f"{len(rows)} segments would be deleted now", ["camera", "from", "MB", "reason"], rows)


def _keep(config: Path, root: Path | None, wanted: Span) -> None:
    with open_catalog(config, root, read_only=False) as catalog:
        catalog.protect(wanted)
        found = catalog.segments(wanted.camera, wanted.from_ns, wanted.to_ns)
    what = f"{wanted.camera} from {iso(wanted.from_ns)} to {iso(wanted.to_ns)}"
    stdout.print(f"protected {what}: {len(found)} segments so far", markup=False)


def _rescan(config: Path, root: Path | None) -> None:
    folder = footage_root(config, root)
    with open_catalog(config, root, read_only=False) as catalog, progress() as bar:
        task = bar.add_task("reading footage", total=None)
        counts = catalog.rescan(folder, on_file=lambda: bar.update(task, advance=1))
    stdout.print(f"{counts.inserted} segments found", markup=False)


def _as_json(segment: Segment) -> dict[str, Any]:
    return {
        "camera": segment.camera,
        "path": segment.path,
        "started_at": iso(segment.started_at_ns),
        "ended_at": iso(segment.ended_at_ns),
        "duration_s": round(segment.duration_ns / NS_PER_S, 3),
        "size_bytes": segment.size_bytes,
        "codec": segment.codec,
        "width": segment.width_px,
        "height": segment.height_px,
    }


def _camera_row(name: str, own: list[Segment]) -> list[object]:
    last = own[-1]
    return [
        name,
        len(own),
        iso(own[0].started_at_ns),
        iso(max(segment.ended_at_ns for segment in own)),
        f"{sum(segment.duration_ns for segment in own) / NS_PER_S:.1f}",
        f"{sum(segment.size_bytes for segment in own) / 1e6:.1f}",
        last.codec,
        f"{last.width_px} x {last.height_px}",
    ]


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else value
