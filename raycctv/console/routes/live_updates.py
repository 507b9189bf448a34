"""Changes as they come, as server-sent events. While nobody listens nothing is looked at."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from raycctv.console.access import Viewer, still
from raycctv.console.accounts import Account
from raycctv.console.routes.cameras import known
from raycctv.console.service import Service, service
from raycctv.errors import RaycctvError

router = APIRouter(tags=["live updates"])

LOOK_S = 2.0
"""Time between two looks for somebody who listens; what the cluster says is shared by all who do."""

Update = tuple[str, Any]


@router.get(
    "/api/live-updates", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}}
)  # fmt: skip
async def live_updates(request: Request, account: Viewer) -> StreamingResponse:
    """``cameras``: all cameras whose state has changed, as in ``/api/cameras``; first all of them. ``problem``: why there is no
    news. Ends when the session does."""
    return StreamingResponse(_updates(request, account), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _updates(request: Request, account: Account) -> AsyncIterator[str]:
    told: dict[str, Any] = {}
    while await run_in_threadpool(still, request):
        kind, news = await run_in_threadpool(_news, service(request), account, told)
        yield f"event: {kind}\ndata: {json.dumps(news, ensure_ascii=False)}\n\n" if news else ": nothing new\n\n"
        await asyncio.sleep(LOOK_S)


def _news(parts: Service, account: Account, told: dict[str, Any]) -> Update:
    """What has changed since it was told, which it then is."""
    try:
        states = {state.camera: state.model_dump(mode="json") for state in known(parts, parts.cameras_of(account))}
    except RaycctvError as error:
        told.clear()
        return "problem", {"detail": str(error)}
    changed = [state for name, state in states.items() if told.get(name) != state]
    told.update(states)
    return "cameras", changed
