"""The OpenAPI description of the API."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from raycctv.console.access import Viewer

router = APIRouter(tags=["description"])


@router.get("/api/openapi.json", include_in_schema=False)
def description(request: Request, account: Viewer) -> JSONResponse:
    """What programs may ask, and what they are answered."""
    described: dict[str, Any] = request.app.openapi()
    return JSONResponse(described)
