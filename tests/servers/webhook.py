"""A web server that takes notices, with faults."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Hook:
    """Listens on loopback while used as a context manager.

    Attributes:
        answers: statuses of the next requests; 200 when there is none left.
        got: (Idempotency-Key, JSON) of every request that was answered with 200.
    """

    def __init__(self, port: int = 0) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.authorization: str | None = None
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.answers.pop(0) if hook.answers else 200
                hook.authorization = self.headers["Authorization"]
                if status == 200:
                    hook.got.append((self.headers["Idempotency-Key"], body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
