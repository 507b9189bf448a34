"""What every answer tells the browser."""

from collections.abc import Mapping
from email.utils import formatdate

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
_HSTS = "max-age=31536000"


class SecurityHeaders:
    """Adds what tells a browser to trust nothing but this server. What a route says of caching stays; else nothing is kept."""

    def __init__(self, app: ASGIApp, encrypted: bool) -> None:
        self._app = app
        self._headers = {**_HEADERS, "Strict-Transport-Security": _HSTS} if encrypted else dict(_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caching = "no-cache" if scope["path"].startswith("/static/") else "no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", caching)
                headers.update({**self._headers, "Date": formatdate(usegmt=True)})
            await send(message)

        await self._app(scope, receive, send_with_headers)
