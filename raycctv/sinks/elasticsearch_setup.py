"""What Elasticsearch must know before the first document: data streams with their mappings and lifecycle, and pipelines.

A document that a pipeline cannot read goes to the stream of dead letters, with the reason and all that it held.
"""

from typing import Any, Protocol

EVENTS = "raycctv-events"
LOGS = "raycctv-logs"
ACCESS = "raycctv-rtmp-access"
DEAD_LETTERS = "raycctv-dead-letters"

_KEYWORD = {"type": "keyword", "ignore_above": 1024}
_DATE = {"type": "date"}
_LONG = {"type": "long"}
_FLOAT = {"type": "double"}
_TEXT = {"type": "text"}

_EVENT_FIELDS: dict[str, Any] = {
    "id": _KEYWORD, "camera": _KEYWORD, "kind": _KEYWORD, "category": _KEYWORD, "state": _KEYWORD, "zones": _KEYWORD,
    "model": _KEYWORD,
    "labels": {"type": "flattened"}, "score": _FLOAT, "why": _TEXT, "snapshot": {**_KEYWORD, "index": False},
    "started_at": _DATE, "ended_at": _DATE, "started_at_ns": _LONG, "ended_at_ns": _LONG, "duration_s": _FLOAT,
    "words": {"type": "text", "analyzer": "whitespace"},
}  # fmt: skip
_LOG_FIELDS: dict[str, Any] = {
    "level": _KEYWORD, "component": _KEYWORD, "camera": _KEYWORD, "logger": _KEYWORD, "message": _TEXT, "pid": _LONG,
}  # fmt: skip
_ACCESS_FIELDS: dict[str, Any] = {
    "clientip": _KEYWORD, "auth": _KEYWORD, "verb": _KEYWORD, "request": _KEYWORD, "httpversion": _KEYWORD,
    "response": {"type": "short"}, "bytes": _LONG, "message": _TEXT,
}  # fmt: skip
_DEAD_FIELDS: dict[str, Any] = {"error": _TEXT, "stream": _KEYWORD, "text": {"type": "text", "index": False}}

FIELDS = {EVENTS: _EVENT_FIELDS, LOGS: _LOG_FIELDS, ACCESS: _ACCESS_FIELDS, DEAD_LETTERS: _DEAD_FIELDS}
"""Fields of each stream that can be asked for; others are kept as they come."""

_COMPONENT_LINE = r"%{TIMESTAMP_ISO8601:time} %{LOGLEVEL:level} %{NOTSPACE:logger}: %{GREEDYDATA:message}"
"""As an actor writes it to its standard error: ``2026-11-24 20:15:03,120 WARNING raycctv.live: gate: ...``."""

_ON_FAILURE: list[dict[str, Any]] = [
    {"set": {"field": "error", "value": "{{_ingest.on_failure_processor_type}}: {{_ingest.on_failure_message}}"}},
    {"set": {"field": "stream", "value": "{{_index}}"}},
    {"set": {"field": "@timestamp", "value": "{{_ingest.timestamp}}"}},
    {"set": {"field": "_index", "value": DEAD_LETTERS}},
]

_EVENT_PROCESSORS: list[dict[str, Any]] = [
    {"date": {"field": "started_at", "formats": ["ISO8601"], "target_field": "@timestamp"}},
    {"date": {"field": "ended_at", "formats": ["ISO8601"], "target_field": "ended_at", "if": "ctx.ended_at != null"}},
    {
        "script": {
            "description": "how long it lasted",
            "if": "ctx.ended_at != null",
            "source": "ctx.duration_s = ChronoUnit.MILLIS.between("
            "ZonedDateTime.parse(ctx.started_at), ZonedDateTime.parse(ctx.ended_at)) / 1000.0",
        }
    },
    {
        "script": {
            "description": "the fingerprint of an event's state, for whoever sends a line of events.jsonl without one",
            "if": "ctx._id == null",
            "source": "ctx._id = (ctx.id + '/' + (ctx.ended_at == null ? 'begun' : 'ended')).sha256().substring(0, 40)",
        }
    },
]

_LOG_PROCESSORS: list[dict[str, Any]] = [
    {
        "json": {
            "description": "a line of a component's JSON log",
            "field": "message",
            "add_to_root": True,
            "if": "ctx.message != null && ctx.message.startsWith('{')",
        }
    },
    {"grok": {"field": "message", "patterns": [_COMPONENT_LINE], "if": "ctx.time == null"}},
    {"date": {"field": "time", "formats": ["ISO8601", "yyyy-MM-dd HH:mm:ss,SSS"], "target_field": "@timestamp"}},
    {"lowercase": {"field": "level"}},
    {"remove": {"field": "time"}},
]

_ACCESS_PROCESSORS: list[dict[str, Any]] = [
    {"grok": {"field": "message", "patterns": ["%{COMMONAPACHELOG}"]}},
    {"date": {"field": "timestamp", "formats": ["dd/MMM/yyyy:HH:mm:ss Z"], "target_field": "@timestamp"}},
    {"convert": {"field": "response", "type": "integer"}},
    {"convert": {"field": "bytes", "type": "long", "ignore_missing": True}},
    {"remove": {"field": "timestamp"}},
]

PIPELINES: dict[str, dict[str, Any]] = {
    EVENTS: {
        "description": "raycctv: states of events, as in events.jsonl",
        "processors": _EVENT_PROCESSORS,
        "on_failure": _ON_FAILURE,
    },
    LOGS: {
        "description": "raycctv: lines of the components' logs, JSON or text, in the field message",
        "processors": _LOG_PROCESSORS,
        "on_failure": _ON_FAILURE,
    },
    ACCESS: {
        "description": "raycctv: the RTMP server's HTTP access log, a line in the field message",
        "processors": _ACCESS_PROCESSORS,
        "on_failure": _ON_FAILURE,
    },
}


def template(stream: str, keep_s: float) -> dict[str, Any]:
    """The index template of a data stream whose documents are deleted at that age."""
    pipeline = {"default_pipeline": stream} if stream in PIPELINES else {}
    return {
        "index_patterns": [stream],
        "data_stream": {},
        "priority": 500,  # above Elasticsearch's own templates. Source: its guide, "Index templates"
        "template": {
            "lifecycle": {"data_retention": f"{round(keep_s / 3600)}h"},
            "settings": {"index": {"number_of_shards": 1, "auto_expand_replicas": "0-1", **pipeline}},
            "mappings": {"dynamic": False, "properties": {"@timestamp": _DATE, **FIELDS[stream]}},
        },
        "_meta": {"description": "installed by raycctv elasticsearch setup"},
    }


class Ingest(Protocol):
    """What is needed of the client."""

    @property
    def ingest(self) -> Any: ...

    @property
    def indices(self) -> Any: ...


def install_pipelines(client: Ingest) -> list[str]:
    """Install or replace the pipelines; returns their names."""
    for name, pipeline in PIPELINES.items():
        client.ingest.put_pipeline(id=name, **pipeline)
    return list(PIPELINES)


def install_templates(client: Ingest, keep_s: float) -> list[str]:
    """Install or replace the index templates; returns their names. They hold for what is written from then on."""
    for name in FIELDS:
        body = template(name, keep_s)
        client.indices.put_index_template(
            name=name, index_patterns=body["index_patterns"], data_stream=body["data_stream"], priority=body["priority"],
            template=body["template"], meta=body["_meta"],
        )  # fmt: skip
    return list(FIELDS)
