"""The fragments of a segment file, and files cut between two of them. Source: ISO/IEC 14496-12, 4.2, 8.8, 8.16.5.

A recorder writes a header (``ftyp``, ``moov``), then again and again a ``prft`` with the time at which it does so, a ``moof``
and an ``mdat``. Header and any run of fragments play.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from raycctv.clock import NS_PER_S

_BOX_HEADER_BYTES = 8
_LARGE_HEADER_BYTES = 16
_NTP_UNIX_S = 2_208_988_800
"""From 1900, when NTP's seconds begin, to 1970."""

_PRFT_NTP = slice(8, 16)
"""Where ``prft`` has the time, behind version, flags and track."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """Bytes [offset, end) of a file.

    Attributes:
        written_at_ns: by the recorder's clock; None in files that do not tell.
    """

    offset: int
    end: int
    written_at_ns: int | None


def fragments(path: Path) -> Iterator[Fragment]:
    """Those that are whole, in their order; none of an ordinary MP4."""
    with path.open("rb") as file:
        written_at_ns: int | None = None
        began: int | None = None
        for kind, offset, end in _boxes(file, path.stat().st_size):
            if kind == b"prft":
                began, written_at_ns = offset, _ntp_ns(file, offset)
            elif kind == b"moof":
                began = offset if began is None else began
            elif kind == b"mdat" and began is not None:
                yield Fragment(began, end, written_at_ns)
                began = written_at_ns = None


def whole_bytes(path: Path) -> int:
    """Where the last whole box ends; what announces a fragment counts once that is whole."""
    size_bytes = path.stat().st_size
    with path.open("rb") as file:
        ends = [end for kind, _, end in _boxes(file, size_bytes) if kind not in (b"prft", b"moof")]
    return max(ends, default=0)


def cut_torn_end(path: Path) -> int:
    """Take a fragment off the end that a crash left half written, so that every byte that stays plays.

    The file keeps its time of last change. Returns the number of bytes cut.
    """
    before, end = path.stat(), whole_bytes(path)
    if end < before.st_size:
        os.truncate(path, end)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return before.st_size - end


def cut_before(path: Path, position: int) -> bool:
    """Take the fragment with the byte at ``position``, and all that follow it, off the file.

    Its time of last change becomes that at which the last one that stays was written, where the file tells. Returns whether
    one stays; where none would, the file is left as it is.
    """
    kept, before = _before(path, position), path.stat()
    if kept:
        os.truncate(path, kept[-1].end)
        os.utime(path, ns=(before.st_atime_ns, kept[-1].written_at_ns or before.st_mtime_ns))
    return bool(kept)


def split_before(path: Path, position: int, rest: Path) -> bool:
    """As :func:`cut_before`, and write what is cut off to ``rest``, with the same header.

    A crash meanwhile may leave fragments in both files, never in none.
    """
    kept = _before(path, position)
    if not kept:
        return False
    all_of_it, changed = list(fragments(path)), path.stat()
    draft = rest.with_suffix(".part")
    with path.open("rb") as source, draft.open("wb") as target:
        target.write(source.read(all_of_it[0].offset))
        source.seek(kept[-1].end)
        target.write(source.read(all_of_it[-1].end - kept[-1].end))
        target.flush()
        os.fsync(target.fileno())
    os.utime(draft, ns=(changed.st_atime_ns, changed.st_mtime_ns))
    draft.rename(rest)
    return cut_before(path, position)


def _before(path: Path, position: int) -> list[Fragment]:
    return [fragment for fragment in fragments(path) if fragment.end <= position]


def _boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, offset, end) of each top-level box that is whole."""
    offset = 0
    while True:
        file.seek(offset)
        header = file.read(_LARGE_HEADER_BYTES)
        box_bytes = _box_bytes(header)
        if box_bytes is None or offset + box_bytes > size_bytes:
            return
        yield header[4:8], offset, offset + box_bytes
        offset += box_bytes


def _box_bytes(header: bytes) -> int | None:
    """Size of the box that begins so, or None where that is no box."""
    if len(header) < _BOX_HEADER_BYTES:
        return None
    size_bytes, least_bytes = int.from_bytes(header[:4], "big"), _BOX_HEADER_BYTES
    if size_bytes == 1 and len(header) == _LARGE_HEADER_BYTES:
        size_bytes, least_bytes = int.from_bytes(header[8:], "big"), _LARGE_HEADER_BYTES
    return size_bytes if size_bytes >= least_bytes else None


def _ntp_ns(file: BinaryIO, offset: int) -> int:
    """The time in the ``prft`` at ``offset``. NTP's seconds begin anew in 2036. Source: RFC 5905, 6."""
    file.seek(offset + _BOX_HEADER_BYTES)
    seconds, fraction = divmod(int.from_bytes(file.read(_PRFT_NTP.stop)[_PRFT_NTP], "big"), 1 << 32)
    if seconds < _NTP_UNIX_S:
        seconds += 1 << 32
    return (seconds - _NTP_UNIX_S) * NS_PER_S + (fraction * NS_PER_S >> 32)
