"""Instants and spans in the addresses of the API: ISO 8601 there, nanoseconds here."""

from typing import Annotated

from fastapi import HTTPException, Query
from pydantic import BeforeValidator, WithJsonSchema

from raycctv.clock import NS_PER_S, parse_iso
from raycctv.types import CameraName, Span

_LAST_NS = 7_258_118_400 * NS_PER_S
"""The year 2200: as far as anybody asks, and less than SQLite's integers hold."""


def _instant_ns(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        at_ns = parse_iso(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text[:40]!r} is no ISO 8601 time such as 2026-11-28T21:00:00Z") from None
    if not 0 <= at_ns <= _LAST_NS:
        raise ValueError("it lies before 1970 or after 2200")
    return at_ns


InstantNs = Annotated[int, BeforeValidator(_instant_ns), WithJsonSchema({"type": "string", "format": "date-time"})]
From = Annotated[InstantNs, Query(alias="from", description="ISO 8601")]
To = Annotated[InstantNs, Query(alias="to", description="ISO 8601")]


def span_of(camera: CameraName, from_ns: int, to_ns: int, longest_s: float) -> Span:
    """The span, if it is one and not too long.

    Raises:
        HTTPException: 422, and says why.
    """
    if to_ns <= from_ns:
        raise HTTPException(422, "to: must be later than from")
    if to_ns - from_ns > longest_s * NS_PER_S:
        raise HTTPException(422, f"to: at most {longest_s / 3600:g} hours after from; ask in parts")
    return Span(camera, from_ns, to_ns)
