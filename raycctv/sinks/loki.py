"""Pushing to Grafana Loki what stands in the local files already.

python-logging-loki knows the protocol, but sends one blocking request for each record and dates it when it is sent. Here a
queue that never blocks stands before it, and a thread that sends many records in one request, with their own times.
"""

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from logging_loki.emitter import LokiEmitterV1
from requests import RequestException

from raycctv.backoff import Backoff
from raycctv.clock import NS_PER_S
from raycctv.config import Loki
from raycctv.redact import redact
from raycctv.types import CameraName

log = logging.getLogger(__name__)

PUSH = "/loki/api/v1/push"
_TIMEOUT_S = 10.0
_BATCH = 500
_LONGEST_WAIT_S = 30.0
_TAKEN = 204
_AGAIN = (429, 500, 502, 503, 504)

_NOT_PUSHED = ("urllib3", "requests", __name__)
"""What sending itself says; pushed, it would cause more of itself."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line and its labels, sorted."""

    labels: tuple[tuple[str, str], ...]
    at_ns: int
    line: str


class _Emitter(LokiEmitterV1):  # type: ignore[misc]  # logging_loki has no types
    """Sends many lines in one request, and says what Loki answered."""

    def push(self, entries: Sequence[_Entry]) -> tuple[int, str]:
        """Status and text of the answer.

        Raises:
            RequestException: there is none.
        """
        streams: dict[tuple[tuple[str, str], ...], list[_Entry]] = {}
        for entry in entries:
            streams.setdefault(entry.labels, []).append(entry)
        body = [
            {
                "stream": {**self.tags, **dict(labels)},
                "values": [[str(entry.at_ns), entry.line] for entry in sorted(own, key=lambda entry: entry.at_ns)],
            }
            for labels, own in streams.items()
        ]
        answer = self.session.post(self.url, json={"streams": body}, timeout=_TIMEOUT_S)
        return answer.status_code, answer.text


class LokiHandler(logging.Handler):
    """Gives every record to Loki, sooner or later or not at all, and keeps nobody waiting.

    Of more than ``loki.queue`` lines the oldest is dropped and counted; it stands in the file. So is a line that Loki will
    not take (status 400: too old, say).

    Attributes:
        component: whose lines these are.
        sent, dropped, refused: lines since the start.
        error: why it does not go on now; empty where it does.
    """

    def __init__(self, settings: Loki, component: str, camera: CameraName | None) -> None:
        super().__init__()
        self.component = component
        self.sent = self.dropped = self.refused = 0
        self.error = ""
        self._labels = {"component": component, **({} if camera is None else {"camera": camera})}
        self._limit = settings.queue
        self._where = str(settings.url)
        self._emitter = _Emitter(settings.url.reveal().rstrip("/") + PUSH, tags={"job": "raycctv"})
        self._entries: deque[_Entry] = deque()
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="push to Loki", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one record."""
        if record.name.startswith(_NOT_PUSHED):
            return
        labels = {**self._labels, "level": record.levelname.lower(), "kind": "log"}
        self.push(self.format(record), round(record.created * NS_PER_S), labels)

    def push(self, line: str, at_ns: int, labels: dict[str, str]) -> None:
        """Queue one line. Returns at once."""
        with self._guard:
            self._entries.append(_Entry(tuple(sorted(labels.items())), at_ns, line))
            if len(self._entries) > self._limit:
                self._entries.popleft()
                self.dropped += 1
        self._wake.set()

    def status(self) -> dict[str, Any]:
        """Queued, sent, dropped, refused, and what hinders."""
        counts = {"queued": len(self._entries), "sent": self.sent, "dropped": self.dropped, "refused": self.refused}
        return {**counts, "last_error": self.error} if self.error else counts

    def close(self) -> None:
        """Send no more. Idempotent."""
        self._stop.set()
        self._wake.set()
        self._thread.join(1.0)
        super().close()

    def _run(self) -> None:
        backoff = Backoff(first_s=0.25, longest_s=_LONGEST_WAIT_S)
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            while (batch := self._take()) and not self._stop.is_set():
                why = self._send(batch)
                if not why:
                    self.error = ""
                    backoff = Backoff(first_s=0.25, longest_s=_LONGEST_WAIT_S)
                    continue
                self._put_back(batch)
                wait_s = backoff.after(0.0)
                if why != self.error:
                    log.warning("Loki at %s: %s; again in %.2g s", self._where, why, wait_s)
                self.error = why
                self._stop.wait(wait_s)

    def _take(self) -> list[_Entry]:
        with self._guard:
            return [self._entries.popleft() for _ in range(min(_BATCH, len(self._entries)))]

    def _put_back(self, batch: list[_Entry]) -> None:
        """Before what came meanwhile; of too many the oldest go."""
        with self._guard:
            self._entries.extendleft(reversed(batch))
            while len(self._entries) > self._limit:
                self._entries.popleft()
                self.dropped += 1

    def _send(self, batch: list[_Entry]) -> str:
        """Empty where Loki has answered for good, else why not."""
        try:
            status, text = self._emitter.push(batch)
        except RequestException as error:
            self._emitter.close()
            return redact(f"does not answer ({type(error).__name__})")
        if status in _AGAIN:
            return f"{status} {text.strip()[:200]}"
        if status == _TAKEN:
            self.sent += len(batch)
        else:
            self.refused += len(batch)
            log.warning("Loki at %s refuses %d lines: %d %s", self._where, len(batch), status, text.strip()[:200])
        return ""
