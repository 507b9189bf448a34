"""``raycctv events`` and ``raycctv recordings``: what the catalog knows."""

from collections import defaultdict
from typing import Annotated, Any

import typer

from raycctv.cli.cluster import DEFAULT_CONFIG
from raycctv.cli.output import Json, print_json, print_table
from raycctv.cli.when import ConfigOption, Root, Since, Until, instant_ns, open_catalog
from raycctv.clock import NS_PER_S, iso
from raycctv.types import CameraName, Segment

CameraOption = Annotated[str | None, typer.Option(help="Only this camera.")]


def events(
    config: ConfigOption = DEFAULT_CONFIG,
    root: Root = None,
    camera: CameraOption = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind: a label such as person, or motion.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 100,
    json: Json = False,
) -> None:
    """List events, newest first."""
    from raycctv.sinks.event_log import to_json

    with open_catalog(config, root) as catalog:
        name = CameraName(camera) if camera else None
        found = catalog.events(name, kind, instant_ns(since), instant_ns(until), limit)
        rows = [to_json(event, [segment.path for segment in catalog.segments_of(event)]) for event in found]
    if json:
        for row in rows:
            print_json(row)
        return
    columns = ["started_at", "ended_at", "camera", "kind", "score", "zones", "why"]
    print_table("Events", columns, [[_cell(row[column]) for column in columns] for row in rows])


def recordings(
    config: ConfigOption = DEFAULT_CONFIG,
    root: Root = None,
    camera: CameraOption = None,
    since: Since = None,
    until: Until = None,
    json: Json = False,
) -> None:
    """List footage: a line a segment as JSON, a line a camera in the table."""
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
