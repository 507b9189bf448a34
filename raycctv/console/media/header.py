"""The header of an MP4: which tracks it has, and when each of their samples is shown. Source: ISO/IEC 14496-12, 8.2 to 8.7."""

import struct
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from raycctv.clock import NS_PER_S
from raycctv.console.media.boxes import box, boxes, full_box
from raycctv.console.media.samples import Ticks, Track, TrackHeader

_TIMESCALE = 1000
"""Of the film as a whole; tracks keep their own."""

_UNIX_IN_1904_S = 2_082_844_800
"""From 1904, when MP4's seconds begin, to 1970."""

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_VIDEO_ENTRY_BYTES = 86
"""Before the boxes in the sample entry of a video (8.5.2, 12.1.3)."""

_AAC = "mp4a.40.2"


@dataclass
class MovieTrack:
    """A track of a film, which grows by pieces. Times are ticks of its header's timescale.

    Attributes:
        begin: when its first sample is decoded.
        end: when its last piece ends.
    """

    header: TrackHeader
    begin: int = 0
    end: int = 0
    _starts: list[Ticks] = field(default_factory=list)
    _shifts: list[Ticks] = field(default_factory=list)
    _offsets: list[Ticks] = field(default_factory=list)
    _sizes: list[Ticks] = field(default_factory=list)
    _sync: list[Ticks] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self._starts))

    @property
    def end_s(self) -> float:
        return self.end / self.header.timescale

    def add(self, track: Track, chosen: Ticks, offsets: Ticks, begin_s: float, end_s: float) -> None:
        """Append samples of a segment's track as a piece that begins and ends then.

        Args:
            chosen: their numbers, at least one.
            offsets: where each lies, counted from the first byte of all media.
        """
        begin = max(self._ticks(begin_s), int(self._starts[-1][-1]) + 1 if self._starts else 0)
        if not self._starts:
            self.begin = begin
        dts = track.dts[chosen]
        self._starts.append(dts - dts[0] + begin)
        self._shifts.append(track.shift[chosen])
        self._offsets.append(offsets)
        self._sizes.append(track.size_bytes[chosen])
        self._sync.append(track.sync[chosen].astype(np.int64))
        self.end = max(self._ticks(end_s), int(self._starts[-1][-1]) + 1)

    def trak(self, track_id: int, media_at: int) -> bytes:
        """Its box; ``media_at`` is where in the file the first byte of all media lies."""
        video = self.header.kind == "vide"
        volume = 0 if video else 0x0100
        length = self._movie_ticks(self.end - self.begin)
        sizes = struct.pack(">II", self.header.width_px << 16, self.header.height_px << 16)
        tkhd = struct.pack(">QQIIQ8xHHHH", 0, 0, track_id, 0, self._movie_ticks(self.end), 0, 0, volume, 0)
        mdhd = struct.pack(">QQIQHH", 0, 0, self.header.timescale, self.end - self.begin, 0x55C4, 0)
        name = b"vide" if video else b"soun"
        media_header = full_box(b"vmhd", 0, 1, bytes(8)) if video else full_box(b"smhd", 0, 0, bytes(4))
        dinf = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
        mdia = box(
            b"mdia",
            full_box(b"mdhd", 1, 0, mdhd),
            full_box(b"hdlr", 0, 0, bytes(4), name, bytes(12), b"raycctv\0"),
            box(b"minf", media_header, dinf, self._stbl(media_at)),
        )
        return box(b"trak", full_box(b"tkhd", 1, 3, tkhd, _MATRIX, sizes), self._edts(length), mdia)

    def _edts(self, length: int) -> bytes:
        """The film begins with its first picture, though that is decoded before it is shown; sound may begin later."""
        edits = [(length, int(self._shifts[0][0]))]
        if self.begin:
            edits.insert(0, (self._movie_ticks(self.begin), -1))
        rows = b"".join(struct.pack(">QqHH", duration, media_at, 1, 0) for duration, media_at in edits)
        return box(b"edts", full_box(b"elst", 1, 0, struct.pack(">I", len(edits)), rows))

    def _stbl(self, media_at: int) -> bytes:
        starts = np.concatenate([*self._starts, [self.end]])
        shifts, sizes, sync = (np.concatenate(parts) for parts in (self._shifts, self._sizes, self._sync))
        offsets = np.concatenate(self._offsets)
        tables = [
            full_box(b"stsd", 0, 0, struct.pack(">I", 1), self.header.entry),
            full_box(b"stts", 0, 0, _run_lengths(np.diff(starts))),
        ]
        if shifts.any():
            tables.append(full_box(b"ctts", 1, 0, _run_lengths(shifts)))
        if not sync.all():
            numbers = np.flatnonzero(sync) + 1
            tables.append(full_box(b"stss", 0, 0, struct.pack(">I", len(numbers)), _words(numbers)))
        chunks = np.flatnonzero(np.concatenate([[True], offsets[1:] != offsets[:-1] + sizes[:-1]]))
        tables += [
            full_box(b"stsc", 0, 0, _chunk_lengths(np.diff(np.append(chunks, len(offsets))))),
            full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(sizes)), _words(sizes)),
            full_box(b"co64", 0, 0, struct.pack(">I", len(chunks)), (offsets[chunks] + media_at).astype(">u8").tobytes()),
        ]
        return box(b"stbl", *tables)

    def _ticks(self, seconds: float) -> int:
        return round(seconds * self.header.timescale)

    def _movie_ticks(self, ticks: int) -> int:
        return round(Fraction(ticks * _TIMESCALE, self.header.timescale))


def movie_header(tracks: list[MovieTrack], created_ns: int, before_media_bytes: int) -> bytes:
    """What stands before the media.

    Args:
        created_ns: when the first picture was taken.
        before_media_bytes: what follows before the first byte of the media.
    """
    ftyp = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
    size_bytes = len(_moov(tracks, created_ns, 0))
    moov = _moov(tracks, created_ns, len(ftyp) + size_bytes + before_media_bytes)
    return ftyp + moov


def playable_entry(header: TrackHeader) -> TrackHeader:
    """H.265 under the name under which Safari plays it, too: its parameter sets are in the header."""
    entry = header.entry
    return replace(header, entry=entry[:4] + b"hvc1" + entry[8:]) if entry[4:8] == b"hev1" else header


def codec_name(entry: bytes) -> str:
    """What browsers call the coding of a sample entry. Source: RFC 6381, 3.3; ISO/IEC 14496-15, annex E."""
    kind = entry[4:8].decode("latin-1")
    if kind == "mp4a":
        return _AAC
    inside = {found.kind: entry[found.begin : found.end] for found in boxes(entry, _VIDEO_ENTRY_BYTES)}
    if b"avcC" in inside:
        return f"avc1.{inside[b'avcC'][1:4].hex()}"
    if b"hvcC" in inside:
        return _hevc_name(inside[b"hvcC"])
    return kind


def _hevc_name(record: bytes) -> str:
    profile, compatible, constraints, level = struct.unpack_from(">xBI6sB", record)
    space, tier = ("", "A", "B", "C")[profile >> 6], "H" if profile & 0x20 else "L"
    reversed_bits = int(f"{compatible:032b}"[::-1], 2)
    flags = "".join(f".{byte:X}" for byte in constraints.rstrip(b"\0"))
    return f"hvc1.{space}{profile & 0x1F}.{reversed_bits:X}.{tier}{level}{flags}"


def _moov(tracks: list[MovieTrack], created_ns: int, media_at: int) -> bytes:
    created = created_ns // NS_PER_S + _UNIX_IN_1904_S
    length = max(round(track.end_s * _TIMESCALE) for track in tracks)
    mvhd = struct.pack(">QQIQIH10x", created, created, _TIMESCALE, length, 0x10000, 0x0100)
    mvhd += _MATRIX + bytes(24) + struct.pack(">I", len(tracks) + 1)
    return box(
        b"moov", full_box(b"mvhd", 1, 0, mvhd), *(track.trak(number, media_at) for number, track in enumerate(tracks, 1))
    )


def _run_lengths(values: Ticks) -> bytes:
    """The table of stts and ctts: how often each value follows itself."""
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    counts = np.diff(np.append(begins, len(values)))
    return struct.pack(">I", len(begins)) + _words(np.stack([counts, values[begins]], axis=1))


def _chunk_lengths(counts: Ticks) -> bytes:
    """The table of stsc: from which chunk on chunks have so many samples."""
    begins = np.flatnonzero(np.concatenate([[True], counts[1:] != counts[:-1]]))
    rows = np.stack([begins + 1, counts[begins], np.ones_like(begins)], axis=1)
    return struct.pack(">I", len(begins)) + _words(rows)


def _words(values: Ticks) -> bytes:
    """As 32 bits each; those below 0 as two's complement."""
    return (values & 0xFFFFFFFF).astype(">u4").tobytes()
