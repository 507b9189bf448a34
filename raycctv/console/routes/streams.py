"""A camera at full rate, as a fragmented MP4 that does not end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from raycctv.config import StreamUrl
from raycctv.console.access import Seen, audit, still
from raycctv.console.media.fragmented import Init
from raycctv.console.media.remux import Streams, Viewer
from raycctv.console.service import Service, service
from raycctv.errors import StreamError
from raycctv.types import CameraName

router = APIRouter(tags=["cameras"])

_STILL_S = 2.0
"""Time between two looks whether who looks may still do so, and whether the console goes on."""


@asynccontextmanager
async def running(parts: Service) -> AsyncIterator[None]:
    """While the console runs."""

    def source_of(camera: CameraName) -> StreamUrl:
        return parts.config.cameras[camera].source

    streams = parts.parts[Streams] = Streams(source_of)
    try:
        yield
    finally:
        await streams.close()


@router.get(
    "/api/cameras/{camera}/live.mp4",
    response_class=Response,
    responses={
        200: {"content": {"video/mp4": {}}},
        409: {"description": "The camera is a file."},
        503: {"description": "The camera shows nothing now."},
    },
)
async def live(request: Request, camera: Seen) -> Response:
    """The camera's stream as it comes, for a ``<video>`` element. It begins with a keyframe, has no end and no byte ranges,
    which Safari wants of it. Who does not read is cut; so is everybody when the camera goes."""
    await run_in_threadpool(audit, request, "saw live", camera, ongoing=True)
    parts = service(request)
    if parts.config.cameras[camera].source.is_file:
        raise HTTPException(409, "this camera is a file: it has no live stream")
    watching = parts.part(Streams).watch(camera)
    try:
        init, viewer = await watching.__aenter__()
    except StreamError as error:
        raise HTTPException(503, str(error), {"Retry-After": "5"}) from error
    return _Relayed(watching, init, viewer, request)


class _Relayed(Response):
    """Sends what comes until the viewer leaves, is cut, or may look no more."""

    def __init__(
        self, watching: AbstractAsyncContextManager[tuple[Init, Viewer]], init: Init, viewer: Viewer, request: Request
    ) -> None:
        super().__init__(media_type=f'video/mp4; codecs="{init.codec}"', headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._watching, self._viewer, self._request = watching, viewer, request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        tasks = [
            asyncio.create_task(work)
            for work in (self._send(send), _left(receive), self._viewer.over.wait(), self._forbidden())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._watching.__aexit__(None, None, None)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):  # who does not read does not take the end either
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for part in self._viewer.parts():
            await send({"type": "http.response.body", "body": part, "more_body": True})

    async def _forbidden(self) -> None:
        while await run_in_threadpool(still, self._request):
            await asyncio.sleep(_STILL_S)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
