"""The cameras, all at a glance."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from raycctv.clock import iso
from raycctv.console.access import Seen, Viewer, audit
from raycctv.console.page import render
from raycctv.console.service import Service, service
from raycctv.console.states import CameraState, camera_states
from raycctv.types import CameraName, Event, category_of

router = APIRouter(tags=["cameras"])

_LOOKED_AT = 20
"""Events of a camera that are looked at for the last that is about what it saw."""


class LastEvent(BaseModel):
    """The newest event of a camera that shows an object or motion."""

    id: str
    kind: str
    started_at: str
    ended_at: str | None
    score: float

    @classmethod
    def of(cls, event: Event) -> "LastEvent":
        ended_at = None if event.ended_at_ns is None else iso(event.ended_at_ns)
        return cls(id=event.id, kind=event.kind, started_at=iso(event.started_at_ns), ended_at=ended_at, score=event.score)


class CameraAnswer(CameraState):
    """A camera and its last event."""

    last_event: LastEvent | None


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def cameras_page(request: Request, account: Viewer) -> HTMLResponse:
    """Live pictures of all cameras."""
    audit(request, "saw all cameras", ongoing=True)
    return render(request, "cameras.html", states=known(service(request), service(request).cameras_of(account)))


@router.get("/api/cameras")
def cameras(request: Request, account: Viewer) -> list[CameraAnswer]:
    """How each camera is that the account sees."""
    return known(service(request), service(request).cameras_of(account))


@router.get("/api/cameras/{camera}")
def camera(request: Request, camera: Seen) -> CameraAnswer:
    """How one camera is."""
    return known(service(request), [camera])[0]


def known(parts: Service, cameras: list[CameraName]) -> list[CameraAnswer]:
    """Of these cameras, in that order."""
    states = camera_states(parts.config, parts.status(), cameras)
    return [CameraAnswer(**vars(state), last_event=_last_event(parts, CameraName(state.camera))) for state in states]


def _last_event(parts: Service, camera: CameraName) -> LastEvent | None:
    newest = parts.catalog.events(camera, limit=_LOOKED_AT)
    return next((LastEvent.of(event) for event in newest if category_of(event.kind) != "health"), None)
