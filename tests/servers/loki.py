"""Loki's push API for tests: as strict as its documentation, and with faults.

Source: grafana.com/docs/loki, "Ingest logs", POST /loki/api/v1/push. A current Loki comes only as a container;
one of 2021 was tried by hand (docs/deployment.md).
"""

import json
import re
import time
from collections import defaultdict
from typing import Any

from servers.served import Quiet, Served

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NANOSECONDS = re.compile(r"[1-9]\d{18}")


class Loki(Served):
    """Listens on loopback while used as a context manager.

    Attributes:
        fault: ``""``, a status (``"429"``, ``"500"``) or ``"slow"``; holds until it is changed.
        streams: labels, sorted: [(nanoseconds, line)] as they came.
        problems: what a request was refused for.
    """

    def __init__(self, port: int = 0) -> None:
        self.fault = ""
        self.requests = 0
        self.problems: list[str] = []
        self.streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = defaultdict(list)
        loki = self

        class Handler(Quiet):
            def do_POST(self) -> None:  # noqa: N802 - http.server's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = loki.answer(self.path, self.headers["Content-Type"], body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        self.serve(Handler, port)
        self.url = f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[str]:
        """All that was taken, of every stream."""
        return [line for values in self.streams.values() for _, line in values]

    def answer(self, path: str, content_type: str, body: bytes) -> tuple[int, str]:
        self.requests += 1
        if self.fault.isdigit():
            return int(self.fault), "a fault"
        if self.fault == "slow":
            time.sleep(0.5)
        problem = _problem(path, content_type, body)
        if problem:
            self.problems.append(problem)
            return 400, problem
        for stream in json.loads(body)["streams"]:
            values = [(int(at), line) for at, line in stream["values"]]
            self.streams[tuple(sorted(stream["stream"].items()))] += values
        return 204, ""


def _problem(path: str, content_type: str, body: bytes) -> str:
    if path != "/loki/api/v1/push" or content_type != "application/json":
        return f"{path} with {content_type}"
    document = json.loads(body)
    if set(document) != {"streams"} or not document["streams"]:
        return "no streams"
    return next((problem for stream in document["streams"] if (problem := _problem_of(stream))), "")


def _problem_of(stream: dict[str, Any]) -> str:
    labels, values = stream["stream"], stream["values"]
    if not labels or not all(_LABEL.fullmatch(name) and isinstance(value, str) and value for name, value in labels.items()):
        return f"bad labels: {labels}"
    for value in values:
        if len(value) != 2 or not all(isinstance(part, str) for part in value) or not _NANOSECONDS.fullmatch(value[0]):
            return f"bad value: {value}"
    if values != sorted(values, key=lambda value: int(value[0])):
        return "entries out of order"
    return ""
