"""Where each frame of a segment file lies. Source: ISO/IEC 14496-12, 8.8 (movie fragments).

A segment file is written once, in fragments of about a second. Only what describes them is read, never a frame.
"""

import os
import struct
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from raycctv.console.media.boxes import HEADER_BYTES, LARGE_HEADER_BYTES, Box, boxes, child, children, found, version_and_flags
from raycctv.errors import RecordingError

_READ_BYTES = 8192
"""Read at once at the beginning of a fragment: more than what describes a second of footage."""

_HEADER_MAX_BYTES = 1 << 20
"""More than any ``moov`` or ``moof`` of ours; a larger one is damage."""

_INDEXED = 256
"""Segments whose frames are remembered: about 100 kB each, and so four hours of a camera."""

_NOT_SYNC = 0x10000
"""In the flags of a sample: it needs others to be decoded (8.8.3.1)."""

Ticks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TrackHeader:
    """What holds for all samples of a track.

    Attributes:
        entry: the sample entry, with everything that a decoder must know (8.5.2).
        width_px, height_px: 0 of sound.
    """

    kind: str
    track_id: int
    timescale: int
    entry: bytes = field(repr=False)
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Track:
    """The samples of one track, in the order in which they are decoded; arrays of one length.

    Attributes:
        dts: ticks of the header's timescale.
        duration: of each sample, in ticks.
        shift: from decoding to showing, in ticks.
        offset, size_bytes: where it lies in the file.
        sync: whether it can be decoded alone.
    """

    header: TrackHeader
    dts: Ticks
    duration: Ticks
    shift: Ticks
    offset: Ticks
    size_bytes: Ticks
    sync: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.dts)

    def seconds(self, ticks: int | np.int64) -> float:
        return float(ticks) / self.header.timescale


@dataclass(frozen=True)
class Indexed:
    """The tracks of a file."""

    video: Track
    audio: Track | None


def index(path: Path) -> Indexed:
    """Where the frames of a file lie that is written no more; remembered as long as the file stays the same.

    Raises:
        RecordingError: the file is gone, or is no fragmented MP4 with a frame in it.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    return _remembered(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=_INDEXED)
def _remembered(path: Path, _changed_ns: int, size_bytes: int) -> Indexed:
    return read_index(path, size_bytes)


def read_index(path: Path, size_bytes: int) -> Indexed:
    """As :func:`index`, of the first ``size_bytes`` of a file, which may still be written; what is torn at their end is left.

    Raises:
        RecordingError: as for :func:`index`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        tracks = _tracks(descriptor, size_bytes)
    except (OSError, struct.error, ValueError, IndexError) as error:
        raise RecordingError(f"{path}: cannot be read: it is damaged ({error})") from error
    finally:
        os.close(descriptor)
    video = next((track for track in tracks if track.header.kind == "vide"), None)
    if video is None or not video.sync.any():
        raise RecordingError(f"{path}: holds no keyframe in fragments")
    return Indexed(video, next((track for track in tracks if track.header.kind == "soun"), None))


def headers(moov: bytes) -> tuple[list[TrackHeader], dict[int, "Defaults"]]:
    """The tracks that the payload of a ``moov`` describes, and what holds for samples that say nothing else."""
    told = (_header(moov, trak) for trak in boxes(moov) if trak.kind == b"trak")
    defaults = {}
    mvex = found(moov, "mvex")
    for trex in children(moov, mvex, b"trex") if mvex else ():
        track_id, _, *values = struct.unpack_from(">5I", moov, trex.begin + 4)
        defaults[track_id] = Defaults(*values)
    return [header for header in told if header is not None], defaults


@dataclass(frozen=True)
class Defaults:
    """What a sample lasts, measures and is where it does not say so itself (8.8.3)."""

    duration: int
    size_bytes: int
    flags: int


@dataclass(frozen=True)
class Run:
    """Samples that lie one behind the other (8.8.8); ``offset`` counts from the beginning of their ``moof``."""

    track_id: int
    dts: int
    offset: int
    duration: Ticks
    size_bytes: Ticks
    flags: Ticks
    shift: Ticks

    @property
    def sync(self) -> npt.NDArray[np.bool_]:
        return np.asarray((self.flags & _NOT_SYNC) == 0, np.bool_)


def runs(moof: bytes, defaults: dict[int, Defaults]) -> list[Run]:
    """Those that the payload of a ``moof`` describes."""
    return [run for traf in boxes(moof) if traf.kind == b"traf" for run in _of_fragment(moof, traf, defaults)]


def _tracks(descriptor: int, size_bytes: int) -> list[Track]:
    told: list[TrackHeader] = []
    defaults: dict[int, Defaults] = {}
    parts: dict[int, list[tuple[int, Run]]] = {}
    pending: list[tuple[int, Run]] = []
    offset = 0
    while offset + HEADER_BYTES <= size_bytes:
        head = os.pread(descriptor, _READ_BYTES, offset)
        kind, header_bytes, box_bytes = _measured(head)
        if box_bytes < header_bytes or offset + box_bytes > size_bytes:
            break
        if kind in (b"moov", b"moof"):
            whole = _whole(descriptor, head, offset, box_bytes)[header_bytes:]
            if kind == b"moov":
                told, defaults = headers(whole)
            else:
                pending = [(offset, run) for run in runs(whole, defaults)]
        elif kind == b"mdat":
            for at, run in pending:
                parts.setdefault(run.track_id, []).append((at, run))
            pending = []
        offset += box_bytes
    return [_joined(header, parts[header.track_id]) for header in told if header.track_id in parts]


def _measured(head: bytes) -> tuple[bytes, int, int]:
    """Kind of the box that begins so, bytes of its header and of all of it; 0 where it is none."""
    if len(head) < HEADER_BYTES:
        return b"", HEADER_BYTES, 0
    box_bytes, kind = struct.unpack_from(">I4s", head)
    if box_bytes == 1 and len(head) >= LARGE_HEADER_BYTES:
        return kind, LARGE_HEADER_BYTES, struct.unpack_from(">Q", head, HEADER_BYTES)[0]
    return kind, HEADER_BYTES, box_bytes


def _whole(descriptor: int, head: bytes, offset: int, box_bytes: int) -> bytes:
    if box_bytes <= len(head):
        return head[:box_bytes]
    if box_bytes > _HEADER_MAX_BYTES:
        raise ValueError(f"a box of {box_bytes} bytes")
    return os.pread(descriptor, box_bytes, offset)


def _header(moov: bytes, trak: Box) -> TrackHeader | None:
    """None of a track that is neither video nor sound, or says nothing of how it is coded."""
    tkhd, mdhd, hdlr = (found(moov, path, trak) for path in ("tkhd", "mdia/mdhd", "mdia/hdlr"))
    stsd = found(moov, "mdia/minf/stbl/stsd", trak)
    if tkhd is None or mdhd is None or hdlr is None or stsd is None:
        return None
    kind = moov[hdlr.begin + 8 : hdlr.begin + 12].decode("latin-1")
    entry = next(boxes(moov, stsd.begin + 8, stsd.end), None)
    if kind not in ("vide", "soun") or entry is None:
        return None
    (track_id,) = struct.unpack_from(">I", moov, tkhd.begin + (20 if version_and_flags(moov, tkhd)[0] else 12))
    (timescale,) = struct.unpack_from(">I", moov, mdhd.begin + (20 if version_and_flags(moov, mdhd)[0] else 12))
    width, height = struct.unpack_from(">II", moov, tkhd.end - 8)
    return TrackHeader(kind, track_id, timescale, moov[entry.begin - HEADER_BYTES : entry.end], width >> 16, height >> 16)


def _of_fragment(moof: bytes, traf: Box, defaults: dict[int, Defaults]) -> list[Run]:
    """The runs of a track in one fragment. An offset that counts from elsewhere than the ``moof`` is refused."""
    tfhd = child(moof, traf, b"tfhd")
    _, flags = version_and_flags(moof, tfhd)
    (track_id,) = struct.unpack_from(">I", moof, tfhd.begin + 4)
    if flags & 0x1 or not flags & 0x20000:
        raise ValueError("offsets do not count from the fragment")
    at = tfhd.begin + 8 + (4 if flags & 0x2 else 0)
    holding = defaults.get(track_id, Defaults(0, 0, 0))
    chosen = [holding.duration, holding.size_bytes, holding.flags]
    for place, bit in enumerate((0x8, 0x10, 0x20)):
        if flags & bit:
            (chosen[place],) = struct.unpack_from(">I", moof, at)
            at += 4
    dts = _decode_time(moof, traf)
    made = []
    for trun in children(moof, traf, b"trun"):
        made.append(_run(moof, trun, track_id, dts, Defaults(*chosen)))
        dts += int(made[-1].duration.sum())
    return made


def _decode_time(moof: bytes, traf: Box) -> int:
    tfdt = child(moof, traf, b"tfdt")
    wide = version_and_flags(moof, tfdt)[0]
    return int(struct.unpack_from(">Q" if wide else ">I", moof, tfdt.begin + 4)[0])


def _run(moof: bytes, trun: Box, track_id: int, dts: int, defaults: Defaults) -> Run:
    version, flags = version_and_flags(moof, trun)
    (count,) = struct.unpack_from(">I", moof, trun.begin + 4)
    at, offset, first_flags = trun.begin + 8, 0, None
    if flags & 0x1:
        (offset,) = struct.unpack_from(">i", moof, at)
        at += 4
    if flags & 0x4:
        (first_flags,) = struct.unpack_from(">I", moof, at)
        at += 4
    told = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    if at + 4 * len(told) * count > trun.end:
        raise ValueError("a run of samples is longer than its box")
    table = np.frombuffer(moof, ">u4", len(told) * count, at).reshape(count, len(told)).astype(np.int64)

    def column(bit: int, default: int) -> Ticks:
        return table[:, told.index(bit)] if bit in told else np.full(count, default, np.int64)

    shift = column(0x800, 0)
    of_flags = column(0x400, defaults.flags)
    if first_flags is not None and count:
        of_flags[0] = first_flags
    if version:
        shift = shift.astype(np.uint32).astype(np.int32).astype(np.int64)
    return Run(
        track_id, dts, offset, column(0x100, defaults.duration), column(0x200, defaults.size_bytes), of_flags, shift
    )  # fmt: skip


def _joined(header: TrackHeader, parts: list[tuple[int, Run]]) -> Track:
    duration = np.concatenate([run.duration for _, run in parts])
    dts = np.concatenate([run.dts + _before(run.duration) for _, run in parts])
    return Track(
        header,
        dts,
        duration,
        np.concatenate([run.shift for _, run in parts]),
        np.concatenate([at + run.offset + _before(run.size_bytes) for at, run in parts]),
        np.concatenate([run.size_bytes for _, run in parts]),
        np.concatenate([run.sync for _, run in parts]),
    )


def _before(values: Ticks) -> Ticks:
    """The sum of all values before each."""
    summed: Ticks = np.cumsum(values) - values
    return summed
