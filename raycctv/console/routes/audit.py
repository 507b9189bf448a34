"""Who did what."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from raycctv.clock import iso
from raycctv.console.access import Administrator
from raycctv.console.audit import Note
from raycctv.console.page import render
from raycctv.console.service import service

router = APIRouter(tags=["audit"])

_PAGE = 200

Text = Annotated[str | None, Query(max_length=64)]
Id = Annotated[int | None, Query(ge=0, le=2**53)]


class NoteAnswer(BaseModel):
    """One line. ``camera`` is null where it concerns none, ``account`` where nobody was logged in."""

    id: int
    at: str
    account: str | None
    address: str | None
    what: str
    camera: str | None
    details: dict[str, Any]

    @classmethod
    def of(cls, note: Note) -> "NoteAnswer":
        return cls(
            id=note.id, at=iso(note.at_ns), account=note.account, address=note.address, what=note.what, camera=note.camera,
            details=note.details,
        )  # fmt: skip


@router.get("/audit", response_class=HTMLResponse, include_in_schema=False)
def audit_page(
    request: Request, asking: Administrator, account: Text = None, what: Text = None, camera: Text = None, before: Id = None
) -> HTMLResponse:
    """A page of lines, the newest first."""
    wanted = {"account": account or None, "what": what or None, "camera": camera or None}
    notes = service(request).audit.notes(**wanted, before=before, limit=_PAGE)
    older = urlencode({key: value for key, value in wanted.items() if value} | {"before": notes[-1].id if notes else 0})
    answers = [NoteAnswer.of(note) for note in notes]
    return render(request, "audit.html", notes=answers, wanted=wanted, older=older, more=len(notes) == _PAGE)


@router.get("/api/audit")
def audit(
    request: Request,
    asking: Administrator,
    account: Text = None,
    what: Text = None,
    camera: Text = None,
    before: Id = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[NoteAnswer]:
    """Lines that fit, the newest first; for the next page ``before`` is the last ``id``."""
    notes = service(request).audit.notes(account=account, what=what, camera=camera, before=before, limit=limit)
    return [NoteAnswer.of(note) for note in notes]
