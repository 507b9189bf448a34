"""What a camera shows now, as a JPEG."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from raycctv.clock import iso
from raycctv.console.access import Seen, audit
from raycctv.console.service import Service, Shared, service
from raycctv.types import CameraName, Picture

router = APIRouter(tags=["cameras"])

FRESH_S = 0.5
"""Age up to which a picture is given to others who look, too."""

_WIDTHS_PX = (320, 640, 960, 1280, 1920, 3840)
"""Pictures are made in few widths, so that many who look share them."""


class Pictures:
    """The last picture of each camera in each width that somebody looks at."""

    def __init__(self, parts: Service) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._shared: dict[tuple[CameraName, int], Shared[Picture | None]] = {}

    def get(self, camera: CameraName, width_px: int) -> Picture | None:
        """The camera's picture, at least so wide where the camera's is; None where it shows nothing."""
        wide_px = next((known for known in _WIDTHS_PX if known >= width_px), _WIDTHS_PX[-1])
        with self._lock:
            ask = partial(self._parts.cluster.picture, camera, wide_px)
            shared = self._shared.setdefault((camera, wide_px), Shared(ask, self._parts.clock, FRESH_S))
        return shared.get()


@contextmanager
def running(parts: Service) -> Iterator[None]:
    """While the console runs."""
    parts.parts[Pictures] = Pictures(parts)
    yield


@router.get(
    "/api/cameras/{camera}/picture",
    response_class=Response,
    responses={
        200: {"content": {"image/jpeg": {}}},
        204: {"description": "It shows nothing."},
        304: {"description": "The same."},
    },
)
def picture(request: Request, camera: Seen, width: Annotated[int, Query(ge=16, le=3840, description="px")] = 640) -> Response:
    """The last frame that was decoded of the camera, not much wider than ``width``. ``X-Captured-At`` says when it was taken.
    Of a quiet camera only keyframes are decoded."""
    audit(request, "saw live", camera, ongoing=True)
    shown = service(request).part(Pictures).get(camera, width)
    if shown is None:
        return Response(status_code=204)
    tag = f'"{shown.captured_at_ns}-{shown.width_px}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "X-Captured-At": iso(shown.captured_at_ns)}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(shown.jpeg, media_type="image/jpeg", headers=headers)
