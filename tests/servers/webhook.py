"""A web server that takes notices, with faults."""

import json
from typing import Any

from servers.served import Quiet, Served


class Hook(Served):
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

        class Handler(Quiet):
            def do_POST(self) -> None:  # noqa: N802 - http.server's name
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status = hook.answers.pop(0) if hook.answers else 200
                hook.authorization = self.headers["Authorization"]
                if status == 200:
                    hook.got.append((self.headers["Idempotency-Key"], body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.serve(Handler, port)
        self.url = f"http://127.0.0.1:{self.port}/hook"
