"""A day of cameras: what was recorded, what was not and why, and what was seen."""

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from raycctv.clock import NS_PER_S, iso
from raycctv.console.access import Seen, Viewer, audit
from raycctv.console.instants import From, To, span_of
from raycctv.console.page import render
from raycctv.console.service import Service, service
from raycctv.recording.coverage import Cause, coverage
from raycctv.recording.filing import growing, told_ns
from raycctv.recording.layout import incoming_dir
from raycctv.types import CAMERA_OFFLINE, HEALTH_KINDS, NO_CAMERA, CameraName, Category, Event, Span, category_of

router = APIRouter(tags=["footage"])

LONGEST_S = 8 * 86400.0
_FILING_S = 30.0
"""Time after a segment's end within which it is filed, at the latest."""

_ADJOINING_NS = 3 * NS_PER_S

_EVENTS_MAX = 20_000
"""Events of one answer; a day of 32 cameras has a few thousand."""


class Stretch(BaseModel):
    """[from, to)."""

    from_: str = Field(alias="from")
    to: str

    model_config = {"populate_by_name": True}


class TimelineGap(Stretch):
    """What was not recorded, because the camera was away or because we did not."""

    cause: Cause


class TimelineEvent(BaseModel):
    """As much of an event as a timeline shows."""

    id: str
    kind: str
    category: Category
    started_at: str
    ended_at: str | None
    score: float


class TimelineCamera(BaseModel):
    """One camera's time.

    Attributes:
        recorded: footage, what is being written now included.
        gaps: from its first footage on, oldest first.
        events: oldest first.
        coverage: recorded over sent; null before the first footage.
    """

    camera: str
    recorded: list[Stretch]
    gaps: list[TimelineGap]
    coverage: float | None
    events: list[TimelineEvent]


class TimelineAnswer(BaseModel):
    """In the order of the configuration. ``now`` is the server's clock."""

    from_: str = Field(alias="from")
    to: str
    now: str
    cameras: list[TimelineCamera]

    model_config = {"populate_by_name": True}


@router.get("/timeline", response_class=HTMLResponse, include_in_schema=False)
def timeline_page(request: Request, account: Viewer) -> HTMLResponse:
    """A day of all cameras; a script draws it."""
    return render(request, "timeline.html", only=None)


@router.get("/camera/{camera}", response_class=HTMLResponse, include_in_schema=False)
def camera_page(request: Request, account: Viewer, camera: Seen) -> HTMLResponse:
    """One camera, live."""
    audit(request, "saw live", camera, ongoing=True)
    recorded = service(request).config.cameras[camera].recorded
    return render(request, "camera.html", camera=camera, recorded=recorded, may_set_up=account.may("administrator"))


@router.get("/api/timeline")
def timeline(
    request: Request,
    account: Viewer,
    from_ns: From,
    to_ns: To,
    camera: Annotated[list[str] | None, Query(description="only these cameras")] = None,
) -> TimelineAnswer:
    """What was recorded and seen from ``from`` to ``to``, eight days at most."""
    parts = service(request)
    span_of(NO_CAMERA, from_ns, to_ns, LONGEST_S)
    cameras = parts.cameras_of(account)
    for name in camera or ():
        if name not in cameras:
            raise HTTPException(404, "there is no such camera")
    chosen = [name for name in cameras if camera is None or name in camera]
    return TimelineAnswer(
        from_=iso(from_ns), to=iso(to_ns), now=iso(parts.clock.now_ns()), cameras=_rows(parts, chosen, from_ns, to_ns)
    )  # fmt: skip


def _rows(parts: Service, cameras: list[CameraName], from_ns: int, to_ns: int) -> list[TimelineCamera]:
    only = cameras[0] if len(cameras) == 1 else None
    spans, found = parts.catalog.spans(from_ns, to_ns), parts.catalog.events(only, None, from_ns, to_ns, _EVENTS_MAX)
    events: dict[CameraName, list[Event]] = {name: [] for name in cameras}
    for event in reversed(found):
        if event.camera in events:
            events[event.camera].append(event)
    filed_ns = parts.clock.now_ns() - round((parts.config.recording.segment_s + _FILING_S) * NS_PER_S)
    rows = []
    for name in cameras:
        recorded = _with_growing(parts, name, spans.get(name, []), to_ns)
        rows.append(_row(parts, Span(name, from_ns, to_ns), recorded, events[name], filed_ns))
    return rows


def _with_growing(
    parts: Service, camera: CameraName, recorded: list[tuple[int, int]], to_ns: int
) -> list[tuple[int, int]]:  # fmt: skip
    """And what is being written now. Its files tell when they begin to the second."""
    path = growing(incoming_dir(parts.config.recording.root, camera)) if parts.clock.now_ns() <= to_ns else None
    try:
        begin_ns, end_ns = (None, 0) if path is None else (told_ns(path), path.stat().st_mtime_ns)
    except OSError:  # filed meanwhile
        return recorded
    if begin_ns is None or begin_ns >= end_ns:
        return recorded
    if recorded and begin_ns - recorded[-1][1] < _ADJOINING_NS:
        return [*recorded[:-1], (recorded[-1][0], max(end_ns, recorded[-1][1]))]
    return [*recorded, (begin_ns, end_ns)]


def _row(parts: Service, span: Span, recorded: list[tuple[int, int]], events: list[Event], filed_ns: int) -> TimelineCamera:
    """What is missing counts from the camera's first footage to where footage would be filed by now."""
    earlier, _ = parts.catalog.around(span)
    away = [(one.started_at_ns, one.ended_at_ns or span.to_ns) for one in events if one.kind == CAMERA_OFFLINE]
    begin_ns = span.from_ns if earlier is not None or not recorded else max(span.from_ns, recorded[0][0])
    end_ns = min(span.to_ns, max(filed_ns, recorded[-1][1] if recorded else 0))
    known = (earlier is not None or bool(recorded)) and end_ns > begin_ns
    covered = coverage(span.camera, recorded, away, begin_ns, end_ns) if known else None
    gaps = covered.gaps if covered else []
    return TimelineCamera(
        camera=span.camera,
        recorded=[Stretch(from_=iso(begin), to=iso(end)) for begin, end in recorded],
        gaps=[TimelineGap(from_=iso(gap.from_ns), to=iso(gap.to_ns), cause=gap.cause) for gap in gaps],
        coverage=round(covered.share, 5) if covered else None,
        events=[_event(one) for one in events if one.kind not in HEALTH_KINDS],
    )


def _event(event: Event) -> TimelineEvent:
    return TimelineEvent(
        id=event.id, kind=event.kind, category=category_of(event.kind), started_at=iso(event.started_at_ns),
        ended_at=None if event.ended_at_ns is None else iso(event.ended_at_ns), score=event.score,
    )  # fmt: skip
