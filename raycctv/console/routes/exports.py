"""Footage to hand over: files, and what proves that they are unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, Response
from pydantic import BaseModel, Field, StringConstraints

from raycctv.console.access import Operator, Viewer, audit
from raycctv.console.accounts import Account
from raycctv.console.exports import Export, ExportRefused, Exports
from raycctv.console.instants import InstantNs, span_of
from raycctv.console.page import render
from raycctv.console.service import Service, service
from raycctv.types import CameraName

router = APIRouter(tags=["exports"])

LONGEST_S = 7 * 86400.0

_NONE: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such export."}}


class Wanted(BaseModel):
    """What to export.

    Attributes:
        exact: cut at the frame; the video is coded anew for that, and is no more the camera's own.
        note: for whoever reads of it later.
    """

    camera: Annotated[str, StringConstraints(max_length=64)]
    from_: InstantNs = Field(alias="from")
    to: InstantNs
    exact: bool = False
    note: Annotated[str, StringConstraints(max_length=500)] = ""

    model_config = {"extra": "forbid"}


@contextmanager
def running(parts: Service) -> Iterator[None]:
    """While the console runs."""
    exports = parts.parts[Exports] = Exports(lambda: parts.config, lambda: parts.catalog, parts.clock)
    try:
        yield
    finally:
        exports.close()


@router.get("/exports", response_class=HTMLResponse, include_in_schema=False)
def exports_page(request: Request, account: Viewer) -> HTMLResponse:
    """All exports, and a form for another one."""
    return render(request, "exports.html", may_export=account.may("operator"))


@router.get("/api/exports")
def exports(request: Request, account: Viewer) -> list[Export]:
    """Exports of the cameras that the account sees, newest first; also how far those are that are not done."""
    return [export for export in service(request).part(Exports).all() if account.sees(export.camera)]


@router.post("/api/exports", status_code=201, responses={409: {"description": "No footage there, or no room for it."}})
def create(request: Request, account: Operator, wanted: Wanted) -> Export:
    """Begin an export. It runs on by itself; ask for it to see how far it is."""
    camera = CameraName(wanted.camera)
    if camera not in service(request).cameras_of(account):
        raise HTTPException(404, "there is no such camera")
    span = span_of(camera, wanted.from_, wanted.to, LONGEST_S)
    try:
        export = service(request).part(Exports).create(span, account.name, exact=wanted.exact, note=wanted.note)
    except ExportRefused as error:
        raise HTTPException(409, str(error)) from error
    audit(request, "exported", camera, export=export.id, start=export.from_, end=export.to, exact=export.exact)
    return export


@router.get("/api/exports/{export_id}", responses=_NONE)
def export(request: Request, account: Viewer, export_id: str) -> Export:
    """One export."""
    return _found(service(request), account, export_id)


@router.delete("/api/exports/{export_id}", status_code=204, responses=_NONE)
def delete(request: Request, account: Operator, export_id: str) -> None:
    """Delete an export and its files; one that is under way ends. The footage stays."""
    found = _found(service(request), account, export_id)
    service(request).part(Exports).delete(found.id)
    audit(request, "deleted an export", found.camera, export=found.id, start=found.from_, end=found.to)


@router.get(
    "/api/exports/{export_id}/files/{name}",
    response_class=Response,
    responses={**_NONE, 200: {"content": {"video/mp4": {}, "application/octet-stream": {}}}},
)
def download(request: Request, account: Viewer, export_id: str, name: str) -> Response:
    """A file of an export: footage, what is to be known of it (``.json``), or ``.sha256``, which ``sha256sum -c`` takes."""
    found = _found(service(request), account, export_id)
    path = service(request).part(Exports).file(found.id, name)
    if path is None:
        raise HTTPException(404, "there is no such file")
    audit(request, "downloaded", found.camera, export=found.id, file=name, ongoing=True)
    return FileResponse(path, filename=path.name)


def _found(parts: Service, account: Account, export_id: str) -> Export:
    found = parts.part(Exports).get(export_id)
    if found is None or not account.sees(found.camera):
        raise HTTPException(404, "there is no such export")
    return found
