"""One MP4 of many segments, which is written nowhere: a header made here, and the bytes of the segment files as they lie.

It has a size, an entity tag and any range of bytes at any time, as a file has, so that every browser plays it, seeks in it and
saves it. Gaps are left out; :attr:`Film.pieces` says what is seen when. What cannot be read is left out like a gap.
"""

import bisect
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import numpy as np

from raycctv.clock import NS_PER_S
from raycctv.console.media.header import MovieTrack, codec_name, movie_header, playable_entry
from raycctv.console.media.samples import Indexed, Ticks, Track, index, read_index
from raycctv.errors import RecordingError
from raycctv.types import Segment, Span

log = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 18
_MDAT_HEADER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch that plays without a gap.

    Attributes:
        at_s: when it begins, in the film.
        from_ns, to_ns: when it was.
    """

    at_s: float
    from_ns: int
    to_ns: int


class Held:
    """A file that is kept open, since it will soon be called otherwise."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes [begin, end) of a file."""

    path: Path
    begin: int
    end: int
    held: Held | None = None


@dataclass(frozen=True)
class Film:
    """What a span of footage looks like as one MP4.

    Attributes:
        pieces: in the order of time; the first one begins at the keyframe before the span.
        duration_s: how long it plays.
        codec: as browsers name it: ``avc1.64001f``.
        continues_ns: where another film must begin, because the camera has changed its picture there; None where none must.
        left_out: segments that could not be read, and why.
        tag: another one where anything differs.
    """

    pieces: list[Piece]
    duration_s: float
    codec: str
    continues_ns: int | None
    left_out: list[str]
    size_bytes: int
    tag: str
    _header: bytes = field(repr=False)
    _slices: list[Slice] = field(repr=False)
    _begins: list[int] = field(repr=False)

    def read(self, begin: int, end: int) -> Iterator[bytes]:
        """Bytes [begin, end), in blocks.

        Raises:
            RecordingError: a segment is gone since.
        """
        if begin < len(self._header):
            yield self._header[begin:end]
            begin = len(self._header)
        number = max(bisect.bisect_right(self._begins, begin) - 1, 0)
        while begin < end:
            one, at = self._slices[number], self._begins[number]
            stop = min(end, at + one.end - one.begin)
            yield from _file_bytes(one, one.begin + begin - at, one.begin + stop - at)
            begin, number = stop, number + 1


def film(
    segments: Sequence[Segment], root: Path, span: Span, *, keyframes_only: bool = False, growing: Path | None = None
) -> Film:
    """The footage of ``span``, from the keyframe before its start to its end.

    Args:
        segments: those that share time with the span, oldest first.
        growing: what the camera's recorder writes now, as far as it is written.
        keyframes_only: nothing between keyframes, and no sound, for playing at many times the speed.

    Raises:
        RecordingError: not a frame of it can be read.
    """
    cutter = _Cutter(span, keyframes_only)
    left_out: list[str] = []
    for segment in segments:
        try:
            indexed = index(root / segment.path)
        except RecordingError as error:
            log.warning("left out of a film: %s", error)
            left_out.append(str(error))
            continue
        if not cutter.fits(indexed):
            return cutter.film(segment.started_at_ns, left_out)
        cutter.add(segment.started_at_ns, root / segment.path, indexed)
    if growing is not None:
        _add_growing(cutter, growing)
    if not cutter.pieces:
        raise RecordingError(f"{span.camera}: there is no frame in that span{': ' if left_out else ''}{'; '.join(left_out)}")
    return cutter.film(None, left_out)


def _add_growing(cutter: "_Cutter", path: Path) -> None:
    """It is filed within a minute; until then its last fragment says when it began. It may be filed meanwhile."""
    try:
        held, status = Held(path), path.stat()
        indexed = read_index(path, status.st_size)
    except (OSError, RecordingError):
        return
    video = indexed.video
    length_s = video.seconds(video.dts[-1] + video.duration[-1] - video.dts[0])
    if cutter.fits(indexed):
        cutter.add(status.st_mtime_ns - round(length_s * NS_PER_S), path, indexed, held)


class _Cutter:
    """Takes what is wanted of one segment after the other."""

    def __init__(self, span: Span, keyframes_only: bool) -> None:
        self.pieces: list[Piece] = []
        self._span = span
        self._keyframes_only = keyframes_only
        self._video: MovieTrack | None = None
        self._audio: MovieTrack | None = None
        self._format: tuple[object, ...] | None = None
        self._slices: list[Slice] = []
        self._bytes = 0

    def fits(self, indexed: Indexed) -> bool:
        """Whether its frames can follow those taken so far in one track."""
        return self._format is None or self._format == self._format_of(indexed)

    def add(self, started_ns: int, path: Path, indexed: Indexed, held: Held | None = None) -> None:
        """Take the part of a file that lies in the span, if any does."""
        video = indexed.video
        shown_s = (video.dts + video.shift - video.dts[0] - video.shift[0]) / video.header.timescale
        from_s, to_s = ((at_ns - started_ns) / NS_PER_S for at_ns in (self._span.from_ns, self._span.to_ns))
        first, last = _wanted(video, shown_s, from_s, to_s)
        if first >= last:
            return
        self._format = self._format or self._format_of(indexed)
        self._begin(indexed)
        assert self._video is not None
        at_s = self._video.end_s
        length_s = video.seconds(video.dts[last - 1] + video.duration[last - 1] - video.dts[first])
        chosen = np.arange(first, last)
        sound = np.zeros(0, np.int64)
        if self._keyframes_only:
            chosen = chosen[video.sync[first:last]]
        elif self._audio is not None and indexed.audio is not None:
            begin_s = video.seconds(video.dts[first] + video.shift[first])
            heard_s = indexed.audio.dts / indexed.audio.header.timescale
            sound = np.flatnonzero((heard_s >= begin_s) & (heard_s < begin_s + length_s))
        offsets, sound_offsets = self._place(path, held, video, chosen, indexed.audio, sound)
        self._video.add(video, chosen, offsets, at_s, at_s + length_s)
        if self._audio is not None and indexed.audio is not None and len(sound):
            self._audio.add(indexed.audio, sound, sound_offsets, at_s + float(heard_s[sound[0]]) - begin_s, at_s + length_s)
        from_ns = started_ns + round(float(shown_s[first]) * NS_PER_S)
        self.pieces.append(Piece(at_s, from_ns, from_ns + round(length_s * NS_PER_S)))

    def film(self, continues_ns: int | None, left_out: list[str]) -> Film:
        assert self._video is not None
        tracks = [self._video, *([self._audio] if self._audio is not None and len(self._audio) else [])]
        media = (_MDAT_HEADER_BYTES + self._bytes).to_bytes(8)
        mdat = b"\0\0\0\1mdat" + media
        header = movie_header(tracks, self.pieces[0].from_ns, _MDAT_HEADER_BYTES) + mdat
        begins = list(accumulate((one.end - one.begin for one in self._slices), initial=len(header)))
        told = hashlib.sha256(header)
        for one in self._slices:
            told.update(f"{one.path} {one.begin} {one.end}\n".encode())
        codecs = ",".join(codec_name(track.header.entry) for track in tracks)
        return Film(
            self.pieces, self._video.end_s, codecs, continues_ns, left_out, begins[-1], told.hexdigest()[:32],
            header, self._slices, begins[:-1],
        )  # fmt: skip

    def _format_of(self, indexed: Indexed) -> tuple[object, ...]:
        tracks = [indexed.video] if indexed.audio is None or self._keyframes_only else [indexed.video, indexed.audio]
        return tuple((track.header.entry, track.header.timescale) for track in tracks)

    def _begin(self, indexed: Indexed) -> None:
        if self._video is None:
            self._video = MovieTrack(playable_entry(indexed.video.header))
            if indexed.audio is not None and not self._keyframes_only:
                self._audio = MovieTrack(indexed.audio.header)

    def _place(
        self, path: Path, held: Held | None, video: Track, chosen: Ticks, audio: Track | None, sound: Ticks
    ) -> tuple[Ticks, Ticks]:  # fmt: skip
        """Take the bytes of these samples; returns where each lies then, counted from the first byte of all media."""
        if self._keyframes_only:
            sizes = video.size_bytes[chosen]
            self._slices += [
                Slice(path, begin, begin + size, held)
                for begin, size in zip(video.offset[chosen].tolist(), sizes.tolist(), strict=True)
            ]
            offsets = self._bytes + np.cumsum(sizes) - sizes
            self._bytes += int(sizes.sum())
            return offsets, sound
        ranges = [(video.offset[chosen], video.size_bytes[chosen])]
        if audio is not None and len(sound):
            ranges.append((audio.offset[sound], audio.size_bytes[sound]))
        begin = min(int(offset.min()) for offset, _ in ranges)
        end = max(int((offset + size).max()) for offset, size in ranges)
        moved = self._bytes - begin
        self._slices.append(Slice(path, begin, end, held))
        self._bytes += end - begin
        return ranges[0][0] + moved, (ranges[-1][0] + moved if len(sound) else sound)


def _wanted(
    video: Track, shown_s: "np.ndarray[tuple[int], np.dtype[np.float64]]", from_s: float, to_s: float
) -> tuple[int, int]:
    """[first, last) of the samples from the keyframe before ``from_s`` to ``to_s``; empty where there is none."""
    keyframes = np.flatnonzero(video.sync)
    before = keyframes[shown_s[keyframes] <= from_s + 1e-6]
    first = int(before[-1]) if len(before) else int(keyframes[0])
    decoded_s = (video.dts - video.dts[0]) / video.header.timescale
    last = int(np.searchsorted(decoded_s, to_s))
    ends_s = float(decoded_s[-1]) + video.seconds(video.duration[-1])
    return (first, last) if from_s < ends_s else (0, 0)


def _file_bytes(one: Slice, begin: int, end: int) -> Iterator[bytes]:
    try:
        held = one.held or Held(one.path)
        while begin < end:
            block = os.pread(held.descriptor, min(_BLOCK_BYTES, end - begin), begin)
            if not block:
                raise RecordingError(f"{one.path}: is shorter than it was")
            yield block
            begin += len(block)
    except FileNotFoundError as error:
        raise RecordingError(f"{one.path}: is gone") from error
    except OSError as error:
        raise RecordingError(f"{one.path}: cannot be read: {error.strerror}") from error
