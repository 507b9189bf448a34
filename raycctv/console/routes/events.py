"""What was seen: found, looked at, judged and kept."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic import BaseModel, Field

from raycctv.clock import NS_PER_S, iso
from raycctv.console.access import Operator, Viewer, audit
from raycctv.console.accounts import Account
from raycctv.console.instants import InstantNs
from raycctv.console.page import render
from raycctv.console.service import Service, service
from raycctv.search import And, Compare, Is, Or, QueryError, of_kind, parse
from raycctv.search import Query as Search
from raycctv.sinks.event_log import to_json
from raycctv.types import CATEGORIES, CameraName, Category, Event, Span

router = APIRouter(tags=["events"])

PRE_ROLL_S, POST_ROLL_S = 5.0, 5.0
"""Footage before and after an event that is shown, protected and exported with it."""

_PAGE = 50


class EventAnswer(BaseModel):
    """An event as raycctv writes it everywhere, and what people have made of it.

    Attributes:
        box: xyxy, pixels of the frame; its snapshot has it drawn.
        segments: filed footage of it.
        false_alarm: somebody has said that it shows nothing.
        protected: no rule deletes its footage.
        play_from, play_to: with what was before and after.
    """

    id: str
    camera: str
    kind: str
    category: Category
    started_at: str
    ended_at: str | None
    labels: dict[str, float]
    zones: list[str]
    box: list[int]
    score: float
    segments: list[str]
    model: str | None
    snapshot: str | None
    why: str
    false_alarm: bool
    protected: bool
    play_from: str
    play_to: str


class EventsAnswer(BaseModel):
    """Newest first; ``next`` is the ``before`` of the next page, null where there is none."""

    events: list[EventAnswer]
    next: str | None


class Wanted(BaseModel):
    """Which events. All that is given must fit."""

    camera: list[str] = Field([], description="one of these cameras")
    kind: str | None = Field(None, max_length=64, description="person, car, motion, ..., or a category: object, motion, health")
    label: str | None = Field(None, max_length=64, description="one of its labels")
    zone: str | None = Field(None, max_length=64, description="one of its zones")
    from_: InstantNs | None = Field(None, alias="from", description="not ended before")
    to: InstantNs | None = Field(None, description="begun before")
    min_score: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    search: str | None = Field(None, max_length=500, description="as raycctv events --search: person AND zone:gate")
    false_alarm: bool | None = Field(None, description="only those that are marked so, or only the others")
    before: str | None = Field(None, max_length=128, description="only what follows this event in the list")
    limit: int = Field(_PAGE, ge=1, le=500)

    model_config = {"extra": "forbid"}


class FalseAlarm(BaseModel):
    """Whether it shows nothing."""

    false_alarm: bool


class Protected(BaseModel):
    """Whether its footage is kept."""

    protected: bool


_NONE: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such event."}}


@router.get("/events", response_class=HTMLResponse, include_in_schema=False)
def events_page(request: Request, account: Viewer) -> HTMLResponse:
    """The list; a script fills it."""
    config = service(request).config
    cameras = service(request).cameras_of(account)
    zones = sorted({zone for name in cameras for zone in config.cameras[name].zones})
    labels = sorted({label for name in cameras for label in config.cameras[name].objects})
    return render(request, "events.html", zones=zones, kinds=[*CATEGORIES, *labels])


@router.get("/events/{event_id}", response_class=HTMLResponse, include_in_schema=False)
def event_page(request: Request, account: Viewer, event_id: str) -> HTMLResponse:
    """One event, with its footage."""
    return render(request, "event.html", event=event(request, account, event_id))


@router.get("/api/events")
def events(request: Request, account: Viewer, wanted: Annotated[Wanted, Query()]) -> EventsAnswer:
    """Events that the account may see, newest first."""
    catalog = service(request).catalog
    before = None if wanted.before is None else _found(service(request), account, wanted.before)
    found = catalog.events(
        None, None, wanted.from_, wanted.to, wanted.limit + 1, _query(wanted, service(request).cameras_of(account), account),
        before=before, false_alarm=wanted.false_alarm,
    )  # fmt: skip
    page = found[: wanted.limit]
    following = page[-1].id if len(found) > wanted.limit else None
    return EventsAnswer(events=answers(service(request), page), next=following)


@router.get("/api/events/{event_id}", responses=_NONE)
def event(request: Request, account: Viewer, event_id: str) -> EventAnswer:
    """One event."""
    return answers(service(request), [_found(service(request), account, event_id)])[0]


@router.get(
    "/api/events/{event_id}/snapshot", response_class=Response, responses={**_NONE, 200: {"content": {"image/jpeg": {}}}}
)  # fmt: skip
def snapshot(request: Request, account: Viewer, event_id: str) -> Response:
    """The best view of it, with its box drawn."""
    found = _found(service(request), account, event_id)
    folder = service(request).config.logs.dir.resolve()
    path = None if found.snapshot is None else (folder / found.snapshot).resolve()
    if path is None or not path.is_relative_to(folder) or not path.is_file():
        raise HTTPException(404, "this event has no picture")
    audit(request, "saw event", found.camera, event=found.id, ongoing=True)
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})


@router.post("/api/events/{event_id}/false-alarm", responses=_NONE)
def judge(request: Request, account: Operator, event_id: str, body: FalseAlarm) -> EventAnswer:
    """Say that an event shows nothing, for those who tune thresholds; or take that back. The event stays."""
    parts, found = service(request), _found(service(request), account, event_id)
    if body.false_alarm:
        parts.catalog.mark_false_alarm(found.id, parts.clock.now_ns(), account.name)
    else:
        parts.catalog.unmark_false_alarm(found.id)
    audit(request, "marked as false alarm" if body.false_alarm else "took back a false alarm", found.camera, event=found.id)
    return answers(parts, [found])[0]


@router.post("/api/events/{event_id}/protect", responses=_NONE)
def protect(request: Request, account: Operator, event_id: str, body: Protected) -> EventAnswer:
    """Keep the footage of an event, whatever the rules say, or leave it to them again."""
    parts, found = service(request), _found(service(request), account, event_id)
    span = shown(found, parts.clock.now_ns())
    if body.protected:
        parts.catalog.protect(span)
    else:
        parts.catalog.release(span)
    audit(request, "protected" if body.protected else "released", found.camera, event=found.id)
    return answers(parts, [found])[0]


def shown(event: Event, now_ns: int) -> Span:
    """An event with what was before and after."""
    ended_ns = now_ns if event.ended_at_ns is None else event.ended_at_ns
    from_ns = event.started_at_ns - round(PRE_ROLL_S * NS_PER_S)
    return Span(event.camera, from_ns, max(ended_ns, event.started_at_ns) + round(POST_ROLL_S * NS_PER_S))


def answers(parts: Service, found: Iterable[Event]) -> list[EventAnswer]:
    """Events, and what people have made of them."""
    events = list(found)
    catalog, now_ns = parts.catalog, parts.clock.now_ns()
    false_alarms, protected = catalog.false_alarms(one.id for one in events), catalog.protected()
    return [
        EventAnswer(
            **to_json(one, [segment.path for segment in catalog.segments_of(one)]),
            false_alarm=one.id in false_alarms,
            protected=any(kept.camera == one.camera and _covers(kept, one, now_ns) for kept in protected),
            play_from=iso(shown(one, now_ns).from_ns),
            play_to=iso(shown(one, now_ns).to_ns),
        )
        for one in events
    ]


def _covers(kept: Span, event: Event, now_ns: int) -> bool:
    return Span(event.camera, event.started_at_ns, max(event.ended_at_ns or now_ns, event.started_at_ns + 1)).within(kept)


def _found(parts: Service, account: Account, event_id: str) -> Event:
    found = parts.catalog.event(event_id)
    if found is None or not account.sees(found.camera):
        raise HTTPException(404, "there is no such event")
    return found


def _query(wanted: Wanted, cameras: list[CameraName], account: Account) -> Search | None:
    """What the catalog is asked; an account that does not see every camera is told of those alone."""
    chosen = [name for name in wanted.camera if account.sees(name)] if wanted.camera else None
    if chosen is None and account.cameras is not None:
        chosen = list(cameras)
    parts: list[Search] = [] if chosen is None else [Or(tuple(Is("camera", name) for name in chosen)) if chosen else _NOTHING]
    parts += [] if wanted.kind is None else [of_kind(wanted.kind)]
    parts += [] if wanted.label is None else [Is("label", wanted.label)]
    parts += [] if wanted.zone is None else [Is("zone", wanted.zone)]
    parts += [] if wanted.min_score is None else [Compare("score", ">=", wanted.min_score)]
    try:
        parts += [] if not wanted.search or not wanted.search.strip() else [parse(wanted.search)]
    except QueryError as error:
        raise HTTPException(422, f"search: {error}") from error
    return And(tuple(parts)) if parts else None


_NOTHING = Compare("score", ">", 2.0)
"""No event has such a score."""
