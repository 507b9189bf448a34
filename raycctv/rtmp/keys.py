"""Who may publish and play: nginx-rtmp asks here before it lets anybody in.

A stream's key stands in its camera's ``source``: ``rtmp://host/live/gate?key=SECRET``. Cameras publish to that URL, readers and
recorders play it. A stream without a key, or of no camera, is refused. Only who connects is asked about: streams that run go on
when this has gone, but no new one comes.
"""

import hmac
import logging
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, urlsplit

from raycctv.config import Config, StreamUrl
from raycctv.errors import ServerError
from raycctv.rtmp.config import APPLICATION

log = logging.getLogger(__name__)

_CALLS = ("publish", "play")
_FORM_BYTES = 10_000


def keys_of(config: Config) -> dict[str, str]:
    """Stream: key, of every camera's RTMP streams that have one."""
    urls = [url for camera in config.cameras.values() for url in (camera.source, camera.analysis_source) if url is not None]
    return dict(found for url in urls if (found := _key_of(url)) is not None)


def _key_of(url: StreamUrl) -> tuple[str, str] | None:
    parts = urlsplit(url.reveal())
    key = parse_qs(parts.query).get("key", [""])[0]
    return (parts.path.rpartition("/")[2], key) if url.scheme in ("rtmp", "rtmps") and key else None


def refusal(keys: Mapping[str, str], form: Mapping[str, str]) -> str:
    """Why not, in words without a key; empty where the call is right.

    Args:
        form: what nginx-rtmp sends: ``call``, ``app``, ``name``, ``addr``, and the parameters of the URL. Source: its wiki,
            "Directives", Notify.
    """
    name = form.get("name", "")
    if form.get("call") not in _CALLS or form.get("app") != APPLICATION:
        return f"{form.get('call')!r} in {form.get('app')!r} is nothing that we serve"
    if name not in keys:
        return f"no camera's source is the stream {name!r} with a key"
    if not hmac.compare_digest(form.get("key", "").encode(), keys[name].encode()):
        return f"the key for the stream {name!r} is wrong" if form.get("key") else f"the stream {name!r} needs its key"
    return ""


class KeyServer:
    """Answers nginx-rtmp's ``on_publish`` and ``on_play``: 204, or 403. Runs while used as a context manager.

    Raises:
        ServerError: the address cannot be listened on.
    """

    def __init__(self, keys: Mapping[str, str], address: str = "127.0.0.1", port: int = 0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), _FORM_BYTES)
                form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode(errors="replace")).items()}
                why = refusal(keys, form)
                if why:
                    log.warning("%s of %s is refused: %s", form.get("call"), form.get("addr"), why)
                self.send_response(403 if why else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                """For health checks."""
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Its own lines hold nothing that ours do not."""

        try:
            self._server = ThreadingHTTPServer((address, port), Handler)
        except OSError as error:
            raise ServerError(f"{address}:{port} cannot be listened on: {error.strerror}") from error
        self._server.daemon_threads = True
        self.port = int(self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="keys", daemon=True)

    @property
    def url(self) -> str:
        """Where nginx asks, on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Until somebody interrupts."""
        self._thread.join()
