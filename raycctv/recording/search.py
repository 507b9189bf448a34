"""A search query as SQL over the tables of the catalog."""

from typing import Any

from raycctv.search import And, Compare, Is, Not, Or, Query, Words

_COLUMNS = {"camera": "camera", "kind": "kind", "model": "model", "id": "id"}
_LISTS = {"zone": "SELECT 1 FROM json_each(zones) WHERE value", "label": "SELECT 1 FROM json_each(labels) WHERE key"}


def condition(query: Query) -> tuple[str, list[Any]]:
    """What stands behind WHERE in a query of ``events``, and its values."""
    match query:
        case Words():
            return "id IN (SELECT id FROM event_words WHERE event_words MATCH ?)", [_phrase(query)]
        case Is(name, value, prefix):
            return _is(name, value, prefix)
        case Compare(name, operator, value):
            return f"{name} {operator} ?", [value]
        case Not(inner):
            text, values = condition(inner)
            return f"NOT ({text})", values
        case And(parts):
            return _joined(" AND ", parts)
        case Or(parts):
            return _joined(" OR ", parts)


def _joined(word: str, parts: tuple[Query, ...]) -> tuple[str, list[Any]]:
    rendered = [condition(part) for part in parts]
    return word.join(f"({text})" for text, _ in rendered), [value for _, values in rendered for value in values]


def _is(name: str, value: str, prefix: bool) -> tuple[str, list[Any]]:
    comparison = "BETWEEN ? AND ? || char(1114111)" if prefix else "= ?"
    values = [value, value] if prefix else [value]
    if name in _LISTS:
        return f"EXISTS ({_LISTS[name]} {comparison})", values
    return f"coalesce({_COLUMNS[name]}, '') {comparison}", values


def _phrase(query: Words) -> str:
    """Words hold no quotation marks, so they need no escape. Source: sqlite.org/fts5.html, section 3."""
    return f'"{" ".join(query.words)}"{" *" if query.prefix else ""}'
