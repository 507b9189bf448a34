"""Searching events: a small language, parsed once and rendered by whoever answers.

    person AND zone:gate              words and fields; two terms that only stand side by side are joined by AND
    (car OR truck) NOT camera:yard    OR, NOT and brackets
    "left the picture"                words in this order; "left the pic"* where the last may go on
    camera:gate* score>=0.8           a beginning; and numbers
    kind:health                       a kind, or all kinds of a category: object, motion, health

A word is looked for in the event's camera, kind, zones, labels and ``why``, whatever its case. A field's value is compared as
it is written. ``catalog.sqlite3`` and Elasticsearch hold the same words (:func:`words`), so that both give the same answer.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from raycctv.types import HEALTH_KINDS, Event

NAMES = ("camera", "kind", "zone", "label", "model", "id")
"""Fields that hold names. An event has several zones and labels; one that fits is enough."""

NUMBERS = ("score",)

Comparison = Literal["<", "<=", ">", ">="]

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"""\s*(?:(?P<bracket>[()])|(?P<phrase>"[^"]*"\*?)|(?P<word>(?:[^\s()":]|:(?!"))+(?::"[^"]*")?|:))""")
_FIELD = re.compile(r"(?P<name>[a-z_]+)(?P<operator>:|>=|<=|>|<)(?P<value>.*)", re.DOTALL)


class QueryError(ValueError):
    """A query that cannot be understood. The message says where, and what would be right."""


@dataclass(frozen=True)
class Words:
    """These words, one after another; ``prefix``: the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True)
class Is:
    """The field ``name`` is ``value``, or begins with it."""

    name: str
    value: str
    prefix: bool = False


@dataclass(frozen=True)
class Compare:
    """The number ``name`` compared with ``value``."""

    name: str
    operator: Comparison
    value: float


@dataclass(frozen=True)
class Not:
    """What does not fit ``inner``."""

    inner: "Query"


@dataclass(frozen=True)
class And:
    """What fits all."""

    parts: "tuple[Query, ...]"


@dataclass(frozen=True)
class Or:
    """What fits one at least."""

    parts: "tuple[Query, ...]"


Query = Words | Is | Compare | Not | And | Or


def of_kind(kind: str) -> Query:
    """Events of a kind, or of all kinds of a category. See :func:`raycctv.types.category_of`."""
    health = Or(tuple(Is("kind", known) for known in sorted(HEALTH_KINDS)))
    match kind:
        case "health":
            return health
        case "object":
            return Not(Or((*health.parts, Is("kind", "motion"))))
        case _:
            return Is("kind", kind)


def words(event: Event) -> str:
    """The words by which an event is found, with one space between."""
    return joined_words([event.camera, event.kind, *event.zones, *event.labels, event.why])


def joined_words(texts: list[str]) -> str:
    """The words of ``texts`` as they are compared: no case, no punctuation, one space between.

    >>> joined_words(["Gate-2", "left the Picture; 3 views"])
    'gate 2 left the picture 3 views'
    """
    return " ".join(_words(" ".join(texts)))


def parse(text: str) -> Query:
    """The query that ``text`` writes.

    Raises:
        QueryError: it is none.

    >>> parse("person AND zone:gate")
    And(parts=(Words(words=('person',), prefix=False), Is(name='zone', value='gate', prefix=False)))
    """
    parser = _Parser(list(_tokens(text)))
    query = parser.either()
    if parser.next is not None:
        raise QueryError(f"{parser.next!r} stands where the query should end")
    return query


def _tokens(text: str) -> Iterator[str]:
    end = len(text.rstrip())
    at = 0
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError(f"the quotation that begins at {text[at:].strip()!r} has no end")
        yield match[0].strip()
        at = match.end()


class _Parser:
    """One method for each rule, from what binds least to what binds most."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def either(self) -> Query:
        parts = [self._all()]
        while self.next == "OR":
            self._at += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self) -> Query:
        parts = [self._one()]
        while self.next not in (None, "OR", ")"):
            if self.next == "AND":
                self._at += 1
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _one(self) -> Query:
        token = self.next
        if token is None or token in ("AND", "OR", ")"):
            raise QueryError(f"a word or field:value is missing {'at the end' if token is None else f'before {token!r}'}")
        self._at += 1
        if token == "NOT":  # noqa: S105 - no password
            return Not(self._one())
        if token == "(":  # noqa: S105
            inner = self.either()
            if self.next != ")":
                raise QueryError("a bracket is not closed")
            self._at += 1
            return inner
        return _term(token)


def _term(token: str) -> Query:
    field = None if token.startswith('"') else _FIELD.fullmatch(token)
    if field is None:
        return _said(token)
    name, operator, value = field["name"], field["operator"], field["value"]
    if value.startswith('"') and value.endswith('"'):
        value, prefix = value[1:-1], False
    else:
        value, prefix = value.removesuffix("*"), value.endswith("*")
    if name in NUMBERS:
        return _compared(name, operator, value)
    if name not in NAMES or operator != ":":
        raise QueryError(f"{token!r}: fields are {', '.join(f'{known}:' for known in NAMES)} and score with <, <=, > or >=")
    if not value or (prefix and name == "label"):
        raise QueryError(f"{token!r}: write a value after {name}:{', and a whole one' if name == 'label' else ''}")
    return of_kind(value) if name == "kind" and not prefix else Is(name, value, prefix)


def _compared(name: str, operator: str, value: str) -> Query:
    try:
        number = float(value)
    except ValueError:
        raise QueryError(f"{name}{operator}{value}: {value!r} is no number") from None
    if operator == ":":
        return And((Compare(name, ">=", number), Compare(name, "<=", number)))
    chosen: dict[str, Comparison] = {"<": "<", "<=": "<=", ">": ">", ">=": ">="}
    return Compare(name, chosen[operator], number)


def _said(token: str) -> Query:
    found = _words(token)
    if not found:
        raise QueryError(f"{token!r} holds no word")
    return Words(tuple(found), prefix=token.endswith("*"))


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
