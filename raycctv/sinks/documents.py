"""What servers are told of a state of an event, and by what they know that they have been told."""

import hashlib
from typing import Any

from raycctv import search
from raycctv.clock import iso
from raycctv.types import Event


def fingerprint(event: Event) -> str:
    """Of one state of an event: the same however often it is told."""
    state = f"{event.id}/{state_of(event)}"
    return hashlib.sha256(state.encode()).hexdigest()[:40]


def document(event: Event, line: dict[str, Any]) -> dict[str, Any]:
    """What Elasticsearch is told of a state of an event.

    Args:
        line: the event as it stands in the event log; see :func:`raycctv.sinks.event_log.to_json`.
    """
    return {
        "@timestamp": iso(event.started_at_ns),
        **line,
        "state": state_of(event),
        "started_at_ns": event.started_at_ns,
        "ended_at_ns": event.ended_at_ns,
        "words": search.words(event),
    }


def state_of(event: Event) -> str:
    """``begun`` or ``ended``."""
    return "begun" if event.ended_at_ns is None else "ended"
