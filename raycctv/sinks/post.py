"""The servers that events go to: everything into the outbox first, and from there by a thread for each."""

import json
from typing import Any

from raycctv.clock import Clock
from raycctv.config import Config
from raycctv.sinks.delivery import Delivery
from raycctv.sinks.outbox import Outbox
from raycctv.types import Event

ELASTICSEARCH = "elasticsearch"


class Post:
    """Nothing where the configuration names no server.

    Raises:
        RecordingError: the outbox cannot be written.
    """

    def __init__(self, config: Config, clock: Clock) -> None:
        self._clock = clock
        self._deliveries: dict[str, Delivery] = {}
        self._outbox: Outbox | None = None
        if config.elasticsearch is not None:
            from raycctv.sinks.elasticsearch import Sender

            self._outbox = Outbox(config.logs.dir)
            self._deliveries[ELASTICSEARCH] = Delivery(self._outbox, ELASTICSEARCH, Sender(config.elasticsearch, clock))

    def put(self, event: Event, line: dict[str, Any]) -> None:
        """Owe a state of an event to every server that wants it; on disk when this returns.

        Args:
            line: the event as it stands in the event log.
        """
        if self._outbox is None:
            return
        from raycctv.sinks.elasticsearch import document, fingerprint

        body = json.dumps(document(event, line), ensure_ascii=False)
        self._outbox.put([(ELASTICSEARCH, fingerprint(event), body)], self._clock.now_ns())
        for delivery in self._deliveries.values():
            delivery.wake()

    def status(self) -> dict[str, Any]:
        """By server; see :meth:`raycctv.sinks.delivery.Delivery.status`."""
        return {name: delivery.status() for name, delivery in self._deliveries.items()}

    def close(self) -> None:
        """Idempotent."""
        for delivery in self._deliveries.values():
            delivery.close()
        if self._outbox is not None:
            self._outbox.close()
