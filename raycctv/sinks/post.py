"""The servers that events go to: into the outbox first, and from there by a thread for each; to Loki by its queue."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raycctv.clock import NS_PER_S, Clock
from raycctv.config import Config
from raycctv.sinks.delivery import Delivery, Send
from raycctv.sinks.documents import document, fingerprint, state_of
from raycctv.sinks.notices import asked_for, told_now, worth_telling
from raycctv.sinks.outbox import Outbox
from raycctv.types import Event

if TYPE_CHECKING:
    from raycctv.sinks.loki import LokiHandler

ELASTICSEARCH = "elasticsearch"
LOKI = "loki"
WEBHOOK = "webhook"
MQTT = "mqtt"
EVENTS = "events"
"""The label ``component`` of events in Loki."""


def senders_of(config: Config, clock: Clock) -> dict[str, Send]:
    """What sends to each server that the configuration names."""
    senders: dict[str, Send] = {}
    if config.elasticsearch is not None:
        from raycctv.sinks.elasticsearch import Sender

        senders[ELASTICSEARCH] = Sender(config.elasticsearch, clock)
    return senders | notifiers_of(config)


def notifiers_of(config: Config) -> dict[str, Send]:
    """What sends notices."""
    senders: dict[str, Send] = {}
    if config.notify.webhook is not None:
        from raycctv.sinks.webhook import Webhook

        senders[WEBHOOK] = Webhook(config.notify.webhook)
    if config.notify.mqtt is not None:
        from raycctv.sinks.mqtt import Mqtt

        senders[MQTT] = Mqtt(config.notify.mqtt, config.notify.topic)
    return senders


class Post:
    """Nothing where the configuration names no server.

    Args:
        loki: takes a line for each state; what it drops stands in the event log.

    Raises:
        RecordingError: the outbox cannot be written.
    """

    def __init__(self, config: Config, clock: Clock, loki: "LokiHandler | None" = None) -> None:
        self._clock = clock
        self._loki = loki
        self._kinds = frozenset(config.notify.kinds)
        self._quiet_ns = round(config.notify.quiet * NS_PER_S)
        senders = senders_of(config, clock)
        self._outbox = Outbox(config.logs.dir) if senders else None
        self._deliveries = {} if self._outbox is None else {
            name: Delivery(self._outbox, name, send) for name, send in senders.items()
        }  # fmt: skip

    def put(self, event: Event, line: dict[str, Any]) -> None:
        """Owe a state of an event to every server that wants it; on disk when this returns.

        Args:
            line: the event as it stands in the event log.
        """
        if self._loki is not None:
            labels = {"camera": event.camera, "component": EVENTS, "kind": event.kind, "level": "info"}
            self._loki.push(json.dumps(line, ensure_ascii=False), event.ended_at_ns or event.started_at_ns, labels)
        if self._outbox is None:
            return
        noticed = self._is_noticed(event, self._outbox)
        letters = [(name, fingerprint(event), body) for name, body in self._bodies(event, line, noticed)]
        self._outbox.put(letters, self._clock.now_ns(), told_now(event) if noticed else None)
        for delivery in self._deliveries.values():
            delivery.wake()

    def _is_noticed(self, event: Event, outbox: Outbox) -> bool:
        """Whether somebody is told. What was told is on disk, so that a restart tells nothing twice."""
        if not asked_for(event, self._kinds) or not {WEBHOOK, MQTT} & self._deliveries.keys():
            return False
        return worth_telling(event, outbox.told(event.camera, event.kind), self._quiet_ns)

    def _bodies(self, event: Event, line: dict[str, Any], noticed: bool) -> Iterator[tuple[str, str]]:
        for name in self._deliveries:
            if name == ELASTICSEARCH:
                yield name, json.dumps(document(event, line), ensure_ascii=False)
            elif noticed:
                yield name, json.dumps({**line, "state": state_of(event)}, ensure_ascii=False)

    def oldest_ns(self) -> dict[str, int]:
        """By server that is owed something: since when."""
        if self._outbox is None:
            return {}
        oldest = {name: self._outbox.oldest_ns(name) for name in self._deliveries}
        return {name: at_ns for name, at_ns in oldest.items() if at_ns is not None}

    def status(self) -> dict[str, Any]:
        """By server; see :meth:`raycctv.sinks.delivery.Delivery.status` and :meth:`raycctv.sinks.loki.LokiHandler.status`."""
        servers = {name: delivery.status() for name, delivery in self._deliveries.items()}
        return servers if self._loki is None else {**servers, LOKI: self._loki.status()}

    def close(self) -> None:
        """Idempotent."""
        for delivery in self._deliveries.values():
            delivery.stop()
        for delivery in self._deliveries.values():
            delivery.close()
        if self._outbox is not None:
            self._outbox.close()
