"""Recorded footage of a camera, as one film."""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from raycctv.clock import iso, parse_iso
from raycctv.console.access import Seen, audit, still
from raycctv.console.instants import From, To, span_of
from raycctv.console.media.film import Film, film
from raycctv.console.service import Service, service
from raycctv.errors import RecordingError
from raycctv.recording.filing import growing
from raycctv.recording.layout import incoming_dir
from raycctv.types import Span

log = logging.getLogger(__name__)

router = APIRouter(tags=["footage"])

LONGEST_S = 6 * 3600.0
"""Of one film: its header has 4 bytes a frame, and somebody waits for it."""

_FILMS_KEPT = 12
_STILL_S = 2.0
"""Time between two looks whether who looks may still do so, and whether the console goes on."""

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")

Keyframes = Annotated[bool, Query(description="keyframes alone, without sound: for playing at 8 to 16 times the speed")]
_KINDS: dict[int | str, dict[str, Any]] = {404: {"description": "There is no footage in that span."}}


class FilmPiece(BaseModel):
    """A stretch that plays without a gap: ``at_s`` in the film it is ``from``."""

    at_s: float
    from_: str = Field(alias="from")
    to: str

    model_config = {"populate_by_name": True}


class FilmAnswer(BaseModel):
    """A film, and when what is seen in it was.

    Attributes:
        url: of the film; it takes byte ranges.
        codec: as browsers name it; of H.265 not every browser plays it.
        pieces: oldest first; what lies between two was not recorded, or cannot be read.
        continues_at: where to ask for the next film, because the camera changed its picture; null where it need not be.
        left_out: how many segments cannot be read.
    """

    camera: str
    url: str
    codec: str
    duration_s: float
    size_bytes: int
    pieces: list[FilmPiece]
    continues_at: str | None
    left_out: int


class Films:
    """The films that somebody looked at last: a player asks for many ranges of each, and gets them of the same."""

    def __init__(self, parts: Service) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Span, bool], Film] = OrderedDict()

    def described(self, span: Span, keyframes_only: bool) -> tuple[Film, Span]:
        """What there is of a span now, and by which span it is found again: it ends where footage does.

        Raises:
            RecordingError: there is no frame in it.
        """
        parts, root = self._parts, self._parts.config.recording.root
        segments = parts.catalog.segments(span.camera, span.from_ns, span.to_ns)
        last_ns = max((one.ended_at_ns for one in segments), default=0)
        now = growing(incoming_dir(root, span.camera)) if max(last_ns, span.from_ns) < span.to_ns else None
        made = film(segments, root, span, keyframes_only=keyframes_only, growing=now)
        to_ns = parse_iso(iso(min(span.to_ns, made.pieces[-1].to_ns)))  # as an address says it
        found = Span(span.camera, span.from_ns, max(to_ns, span.from_ns + 1_000_000))
        with self._lock:
            self._kept[found, keyframes_only] = made
            while len(self._kept) > _FILMS_KEPT:
                self._kept.popitem(last=False)
        return made, found

    def played(self, span: Span, keyframes_only: bool) -> Film:
        """The film that was described, if it is remembered; otherwise what there is of the span now.

        Raises:
            RecordingError: there is no frame in it.
        """
        with self._lock:
            kept = self._kept.get((span, keyframes_only))
            if kept is not None:
                self._kept.move_to_end((span, keyframes_only))
                return kept
        made, _ = self.described(span, keyframes_only)
        with self._lock:
            self._kept[span, keyframes_only] = made
        return made

    def forget(self, gone: Film) -> None:
        """A segment of it is no more what it was."""
        with self._lock:
            for key in [key for key, kept in self._kept.items() if kept is gone]:
                del self._kept[key]


@contextmanager
def running(parts: Service) -> Iterator[None]:
    """While the console runs."""
    parts.parts[Films] = Films(parts)
    yield


@router.get("/api/cameras/{camera}/film", responses=_KINDS)
def described(request: Request, camera: Seen, from_ns: From, to_ns: To, keyframes: Keyframes = False) -> FilmAnswer:
    """What there is of a span, from the keyframe before ``from``, and where it is as one MP4. Gaps are left out."""
    span = span_of(camera, from_ns, to_ns, LONGEST_S)
    with _nothing_is_404():
        made, found = service(request).part(Films).described(span, keyframes)
    query = f"from={iso(found.from_ns)}&to={iso(found.to_ns)}{'&keyframes=true' if keyframes else ''}"
    pieces = [FilmPiece(at_s=round(one.at_s, 6), from_=iso(one.from_ns), to=iso(one.to_ns)) for one in made.pieces]
    return FilmAnswer(
        camera=camera, url=f"/api/cameras/{camera}/film.mp4?{query}", codec=made.codec, duration_s=round(made.duration_s, 6),
        size_bytes=made.size_bytes, pieces=pieces, left_out=len(made.left_out),
        continues_at=None if made.continues_ns is None else iso(made.continues_ns),
    )  # fmt: skip


@router.head("/api/cameras/{camera}/film.mp4", include_in_schema=False)
@router.get(
    "/api/cameras/{camera}/film.mp4",
    response_class=Response,
    responses={
        **_KINDS,
        200: {"content": {"video/mp4": {}}},
        206: {"content": {"video/mp4": {}}},
        416: {"description": "No such range."},
    },
)
def played(request: Request, camera: Seen, from_ns: From, to_ns: To, keyframes: Keyframes = False) -> Response:
    """The footage of a span as one MP4, of which any range of bytes may be asked for. Nothing is coded again: these are the
    recorded packets."""
    span = span_of(camera, from_ns, to_ns, LONGEST_S)
    with _nothing_is_404():
        made = service(request).part(Films).played(span, keyframes)
    audit(request, "saw footage", camera, ongoing=True, start=iso(from_ns), end=iso(to_ns))
    headers = {"ETag": f'"{made.tag}"', "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    wanted = _wanted(request, made, headers["ETag"])
    begin, end = wanted or (0, made.size_bytes)
    status = 206 if wanted else 200
    if wanted:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{made.size_bytes}"
    headers["Content-Length"] = str(end - begin)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type="video/mp4")
    return StreamingResponse(_sent(request, made, begin, end), status, headers, media_type="video/mp4")


@contextmanager
def _nothing_is_404() -> Iterator[None]:
    try:
        yield
    except RecordingError as error:
        raise HTTPException(404, str(error)) from error


def _wanted(request: Request, made: Film, tag: str) -> tuple[int, int] | None:
    """[begin, end) of the bytes that are asked for; None where all are.

    Raises:
        HTTPException: 416: there are none such.
    """
    told = request.headers.get("range")
    match = _RANGE.fullmatch(told.strip()) if told else None
    if match is None or not any(match.groups()) or request.headers.get("if-range", tag) != tag:
        return None
    first, last = match.groups()
    if not first:
        begin, end = max(0, made.size_bytes - int(last)), made.size_bytes
    else:
        begin, end = int(first), min(int(last) + 1, made.size_bytes) if last else made.size_bytes
    if begin >= end:
        raise HTTPException(416, "there are no such bytes", {"Content-Range": f"bytes */{made.size_bytes}"})
    return begin, end


def _sent(request: Request, made: Film, begin: int, end: int) -> Iterator[bytes]:
    """The bytes, until the last one or until who asked may look no more."""
    clock = service(request).clock
    looked_s = clock.monotonic_s()
    try:
        for block in made.read(begin, end):
            yield block
            if clock.monotonic_s() - looked_s >= _STILL_S:
                looked_s = clock.monotonic_s()
                if not still(request):
                    return
    except RecordingError as error:
        log.warning("a film breaks off: %s", error)
        service(request).part(Films).forget(made)
        raise
