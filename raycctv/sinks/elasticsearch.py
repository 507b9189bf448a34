"""Elasticsearch: what its documents are, sending them so that none is there twice, and searching them.

A data stream takes documents and changes none, so each state of an event is a document of its own: ``begun``, and ``ended``
once it has. An event is what its last state says.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from elastic_transport import ConnectionError as NoConnection
from elastic_transport import TransportError
from elasticsearch import ApiError
from elasticsearch import Elasticsearch as Client

from raycctv.clock import Clock
from raycctv.config import Elasticsearch
from raycctv.errors import SinkError
from raycctv.redact import redact
from raycctv.search import And, Compare, Is, Not, Or, Query, Words
from raycctv.sinks.delivery import Sent
from raycctv.sinks.elasticsearch_setup import DEAD_LETTERS, EVENTS, install_pipelines, install_templates
from raycctv.sinks.outbox import Letter
from raycctv.types import CameraName

_TIMEOUT_S = 30.0
_PAGE = 1000
_BUSY = (429, 500, 502, 503, 504)
_CONFLICT = 409
_COMPARISONS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_FIELDS = {"zone": "zones"}
"""Names of the query language that are others in a document."""


def connect(settings: Elasticsearch) -> Client:
    """A client that tries once; whoever calls it tries again."""
    tls = {} if settings.ca is None else {"ca_certs": str(settings.ca)}
    return Client(settings.url.reveal(), request_timeout=_TIMEOUT_S, max_retries=0, **tls)  # type: ignore[arg-type]


def installed(settings: Elasticsearch) -> dict[str, list[str]]:
    """Install pipelines and index templates, the pipelines first, since templates name them; returns their names.

    Raises:
        SinkError: Elasticsearch does not answer, or takes one not.
    """
    with _translated(str(settings.url)), connect(settings) as client:
        pipelines = install_pipelines(client)
        return {"pipelines": pipelines, "data_streams": install_templates(client, settings.keep)}


class Sender:
    """Sends letters whose keys are fingerprints. One that is there already counts as delivered."""

    def __init__(self, settings: Elasticsearch, clock: Clock) -> None:
        self._client = connect(settings)
        self._where = str(settings.url)
        self._clock = clock
        self._ready = False

    def __call__(self, letters: Sequence[Letter]) -> Sent:
        """Send a batch.

        Raises:
            SinkError: Elasticsearch does not answer, is not set up, or refuses the batch as a whole.
        """
        with _translated(self._where):
            self._make_sure()
            statuses = self._create(EVENTS, [(letter.key, letter.body) for letter in letters])
            sent = Sent()
            bad: list[tuple[Letter, str]] = []
            for letter, (status, why) in zip(letters, statuses, strict=True):
                if status < 300 or status == _CONFLICT:
                    sent.delivered.append(letter)
                elif status in _BUSY:
                    sent.later = why
                else:
                    bad.append((letter, why))
            self._bury(bad, sent)
            return sent

    def close(self) -> None:
        self._client.close()

    def _make_sure(self) -> None:
        """Without its template the first document would make an ordinary index of whatever fields it has."""
        if not self._ready:
            pipelines = self._client.options(ignore_status=404).ingest.get_pipeline(id=EVENTS)
            if EVENTS not in pipelines or not self._client.indices.exists_index_template(name=EVENTS):
                raise SinkError(f"{self._where} is not set up for raycctv; `raycctv elasticsearch setup` does it")
            self._ready = True

    def _create(self, stream: str, documents: Sequence[tuple[str, str]]) -> list[tuple[int, str]]:
        """Status and error of each (id, JSON)."""
        operations: list[Any] = [line for key, body in documents for line in (f'{{"create":{{"_id":"{key}"}}}}', body)]
        answer = self._client.bulk(index=stream, operations=operations, filter_path="items.*.status,items.*.error")
        return [_status(item["create"]) for item in answer["items"]]

    def _bury(self, bad: Sequence[tuple[Letter, str]], sent: Sent) -> None:
        """What the stream of events does not take goes to the dead letters, as text, with the reason."""
        if not bad:
            return
        documents = [
            (
                letter.key,
                json.dumps({"@timestamp": "1970-01-01T00:00:00Z", "error": why, "stream": EVENTS, "text": letter.body}),
            )
            for letter, why in bad
        ]
        for (letter, why), (status, _) in zip(bad, self._create(DEAD_LETTERS, documents), strict=True):
            if status < 300 or status == _CONFLICT:
                sent.delivered.append(letter)
            elif status in _BUSY:
                sent.later = why
            else:
                sent.refused[letter.seq] = why


def _status(item: dict[str, Any]) -> tuple[int, str]:
    error = item.get("error", {})
    return item["status"], f"{error.get('type', '')}: {error.get('reason', '')}"


class Searcher:
    """Finds events, newest first.

    Raises (every method):
        SinkError: Elasticsearch does not answer, or not with events.
    """

    def __init__(self, settings: Elasticsearch) -> None:
        self._client = connect(settings)
        self._where = str(settings.url)

    def events(
        self,
        query: Query,
        camera: CameraName | None = None,
        from_ns: int | None = None,
        to_ns: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Documents of the last states of events that fit, as :meth:`raycctv.recording.catalog.Catalog.events` has them."""
        wanted = {"bool": {"filter": [_query(query), *_bounds(camera, from_ns, to_ns)]}}
        with _translated(self._where):
            found: list[dict[str, Any]] = []
            for page in self._pages(wanted):
                stale = self._ended({one["id"] for one in page if one["state"] == "begun"})
                found += [one for one in page if one["state"] == "ended" or one["id"] not in stale]
                if len(found) >= limit:
                    break
            return found[:limit]

    def close(self) -> None:
        self._client.close()

    def _pages(self, wanted: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
        order = [{"started_at_ns": "desc"}, {"id": "desc"}, {"state": "desc"}]
        after: list[Any] | None = None
        while True:
            answer = self._client.search(index=EVENTS, query=wanted, sort=order, size=_PAGE, search_after=after)
            hits = answer["hits"]["hits"]
            yield [hit["_source"] for hit in hits]
            if len(hits) < _PAGE:
                return
            after = hits[-1]["sort"]

    def _ended(self, ids: set[str]) -> set[str]:
        """Which of these have ended, whatever they were when they ended."""
        if not ids:
            return set()
        terms = {"bool": {"filter": [{"terms": {"id": sorted(ids)}}, {"term": {"state": "ended"}}]}}
        answer = self._client.search(index=EVENTS, query=terms, size=len(ids), source_includes=["id"])
        return {hit["_source"]["id"] for hit in answer["hits"]["hits"]}


def _bounds(camera: CameraName | None, from_ns: int | None, to_ns: int | None) -> list[dict[str, Any]]:
    bounds: list[dict[str, Any]] = []
    bounds += [{"term": {"camera": camera}}] if camera is not None else []
    bounds += [{"range": {"started_at_ns": {"lt": to_ns}}}] if to_ns is not None else []
    if from_ns is not None:
        goes_on = {"bool": {"must_not": {"exists": {"field": "ended_at_ns"}}}}
        bounds.append({"bool": {"should": [goes_on, {"range": {"ended_at_ns": {"gte": from_ns}}}]}})
    return bounds


def _query(query: Query) -> dict[str, Any]:
    match query:
        case Words(words, prefix):
            kind = "match_phrase_prefix" if prefix else "match_phrase"
            expansions = {"max_expansions": 10_000} if prefix else {}
            return {kind: {"words": {"query": " ".join(words), **expansions}}}
        case Is("label", value):
            return {"exists": {"field": f"labels.{value}"}}
        case Is(name, value, prefix):
            return {"prefix" if prefix else "term": {_FIELDS.get(name, name): value}}
        case Compare(name, operator, value):
            return {"range": {name: {_COMPARISONS[operator]: value}}}
        case Not(inner):
            return {"bool": {"must_not": _query(inner)}}
        case And(parts):
            return {"bool": {"filter": [_query(part) for part in parts]}}
        case Or(parts):
            return {"bool": {"should": [_query(part) for part in parts], "minimum_should_match": 1}}


class _translated:  # noqa: N801 - used as a function
    """What the client raises, as ours."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if isinstance(error, NoConnection):
            raise SinkError(f"Elasticsearch at {self._where} does not answer") from error
        if isinstance(error, ApiError | TransportError):
            raise SinkError(redact(f"Elasticsearch at {self._where}: {error}".splitlines()[0])) from error
