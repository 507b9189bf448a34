"""A fragmented MP4 as it is made: its header, then fragments, each with its own clock. Source: ISO/IEC 14496-12, 8.8."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from raycctv.console.media.boxes import HEADER_BYTES, boxes, child, version_and_flags
from raycctv.console.media.header import codec_name, playable_entry
from raycctv.console.media.samples import Defaults, TrackHeader, headers, runs

_BOX_MAX_BYTES = 64_000_000
"""More than a fragment of a few seconds at 100 Mbit/s."""


@dataclass(frozen=True)
class Init:
    """What comes first, and every player must have.

    Attributes:
        codec: as browsers name it.
    """

    data: bytes = field(repr=False)
    codec: str


@dataclass(frozen=True)
class _Time:
    """Where in a fragment a track's clock stands (``tfdt``)."""

    at: int
    form: str
    timescale: int


@dataclass(frozen=True)
class Fragment:
    """A ``moof`` and its ``mdat``.

    Attributes:
        keyframe: whether a player can begin with it.
        begins_s: the stream's time of its first picture.
    """

    data: bytes = field(repr=False)
    keyframe: bool
    begins_s: float
    times: tuple[_Time, ...] = field(repr=False)

    def since(self, zero_s: float) -> bytes:
        """The fragment on a clock that began at ``zero_s``: a player's own begins with 0."""
        moved = bytearray(self.data)
        for time in self.times:
            (ticks,) = struct.unpack_from(time.form, moved, time.at)
            struct.pack_into(time.form, moved, time.at, max(0, ticks - round(zero_s * time.timescale)))
        return bytes(moved)


class FragmentedStream:
    """Makes a header and fragments of bytes that come as they come."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._moof = b""
        self._ftyp = b""
        self._tracks: dict[int, TrackHeader] = {}
        self._defaults: dict[int, Defaults] = {}

    def feed(self, data: bytes) -> Iterator[Init | Fragment]:
        """What these bytes complete.

        Raises:
            ValueError: they are no fragmented MP4.
        """
        self._pending += data
        while len(self._pending) >= HEADER_BYTES:
            size_bytes, kind = struct.unpack_from(">I4s", self._pending)
            if not HEADER_BYTES <= size_bytes <= _BOX_MAX_BYTES:
                raise ValueError(f"a box of {size_bytes} bytes")
            if len(self._pending) < size_bytes:
                return
            whole = bytes(self._pending[:size_bytes])
            del self._pending[:size_bytes]
            yield from self._box(kind, whole)

    def _box(self, kind: bytes, whole: bytes) -> Iterator[Init | Fragment]:
        match kind:
            case b"ftyp":
                self._ftyp = whole
            case b"moov":
                yield self._init(whole)
            case b"moof":
                self._moof = whole
            case b"mdat" if self._moof:
                yield self._fragment(whole)
                self._moof = b""

    def _init(self, moov: bytes) -> Init:
        tracks, self._defaults = headers(moov[HEADER_BYTES:])
        self._tracks = {track.track_id: track for track in tracks}
        if not any(track.kind == "vide" for track in tracks):
            raise ValueError("no video")
        for track in tracks:
            moov = moov.replace(track.entry, playable_entry(track).entry)
        return Init(self._ftyp + moov, ",".join(codec_name(playable_entry(track).entry) for track in tracks))

    def _fragment(self, mdat: bytes) -> Fragment:
        payload = self._moof[HEADER_BYTES:]
        of_video = [run for run in runs(payload, self._defaults) if self._tracks[run.track_id].kind == "vide"]
        first = of_video[0] if of_video else None
        begins_s = first.dts / self._tracks[first.track_id].timescale if first else 0.0
        keyframe = first is not None and bool(len(first.sync)) and bool(first.sync[0])
        return Fragment(self._moof + mdat, keyframe, begins_s, tuple(self._times(payload)))

    def _times(self, moof: bytes) -> Iterator[_Time]:
        for traf in boxes(moof):
            if traf.kind == b"traf":
                tfhd, tfdt = child(moof, traf, b"tfhd"), child(moof, traf, b"tfdt")
                (track_id,) = struct.unpack_from(">I", moof, tfhd.begin + 4)
                form = ">Q" if version_and_flags(moof, tfdt)[0] else ">I"
                yield _Time(HEADER_BYTES + tfdt.begin + 4, form, self._tracks[track_id].timescale)
