"""How the cluster is: machines, actors, detectors, disk, servers, what is not well."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from raycctv.console.access import Viewer
from raycctv.console.page import render
from raycctv.console.service import service
from raycctv.console.system import System, system_of

router = APIRouter(tags=["system"])


@router.get("/system", response_class=HTMLResponse, include_in_schema=False)
def system_page(request: Request, account: Viewer) -> HTMLResponse:
    """All of it on a page."""
    parts = service(request)
    return render(request, "system.html", system=system_of(parts, account), settings=parts.settings)


@router.get("/api/system")
def system(request: Request, account: Viewer) -> System:
    """How the cluster is. Of cameras and their events, those that the account sees."""
    return system_of(service(request), account)
