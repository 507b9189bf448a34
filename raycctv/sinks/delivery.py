"""Sending what the outbox owes to one server, for as long as it takes."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from raycctv.backoff import Backoff
from raycctv.errors import RaycctvError
from raycctv.sinks.outbox import Letter, Outbox

log = logging.getLogger(__name__)

_BATCH = 1000
_LONGEST_WAIT_S = 60.0
_CLOSE_S = 3.0
_LOOK_S = 1.0
"""Time after which the outbox is looked into even if nobody says that something was put."""


@dataclass
class Sent:
    """What became of a batch.

    Attributes:
        delivered: the server has them, now or from an earlier try.
        refused: ``seq``: why it will never take them.
        later: why it did not take others now; empty where it took all.
    """

    delivered: list[Letter] = field(default_factory=list)
    refused: dict[int, str] = field(default_factory=dict)
    later: str = ""


Send = Callable[[Sequence[Letter]], Sent]
"""Sends a batch. Raises SinkError where nothing is known to have arrived; the batch is then sent again."""


class Delivery:
    """Sends in a thread of its own, in order, until closed. Whatever the server does delays nobody else.

    A crash after the server took a batch and before the outbox forgot it sends it again: ``send`` must be such that this does
    not double anything.
    """

    def __init__(self, outbox: Outbox, target: str, send: Send, batch: int = _BATCH) -> None:
        self.error = ""
        self.delivered = 0
        self._outbox = outbox
        self._target = target
        self._send = send
        self._batch = batch
        self._backoff = Backoff(first_s=0.25, longest_s=_LONGEST_WAIT_S)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"deliver to {target}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._wake.set()

    def stop(self) -> None:
        """Send no more after what is under way."""
        self._stop.set()
        self._wake.set()

    def close(self) -> None:
        """Send no more; waits a little for what is under way. What is owed stays owed. Idempotent."""
        self.stop()
        self._thread.join(_CLOSE_S)

    def status(self) -> dict[str, Any]:
        """Owed, delivered since the start, refused, and what hinders."""
        counts = {
            "owed": self._outbox.depth(self._target), "delivered": self.delivered, "refused": self._outbox.refused(self._target)
        }  # fmt: skip
        return {**counts, "last_error": self.error} if self.error else counts

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                more = self._deliver()
            except Exception as error:  # a fault of ours must not end the sending for ever
                self._failed(error)
                continue
            if not more:
                self._wake.wait(_LOOK_S)

    def _deliver(self) -> bool:
        """One batch; whether there may be more."""
        batch = self._outbox.waiting(self._target, self._batch)
        if not batch:
            return False
        sent = self._send(batch)
        self._outbox.delivered(sent.delivered)
        self.delivered += len(sent.delivered)
        if sent.refused:
            log.error("%s refuses %d for good: %s", self._target, len(sent.refused), next(iter(sent.refused.values())))
            self._outbox.refuse(sent.refused)
        if sent.later:
            self._pause(sent.later)
        else:
            self.error = ""
            self._backoff = Backoff(first_s=0.25, longest_s=_LONGEST_WAIT_S)
        return True

    def _failed(self, error: Exception) -> None:
        if not isinstance(error, RaycctvError):
            log.exception("%s: sending failed; going on", self._target)
        self._pause(str(error))

    def _pause(self, why: str) -> None:
        wait_s = self._backoff.after(0.0)
        if why != self.error:
            log.warning("%s: %s; again in %.2g s, and what is owed waits", self._target, why, wait_s)
        self.error = why
        self._stop.wait(wait_s)
