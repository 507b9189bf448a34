"""The boxes that an MP4 is made of. Source: ISO/IEC 14496-12, 4.2; its section numbers stand with the kinds."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

Kind = bytes
HEADER_BYTES = 8
LARGE_HEADER_BYTES = 16


class Box(NamedTuple):
    """Bytes [begin, end) of a box's payload in what it was found in."""

    kind: Kind
    begin: int
    end: int


def boxes(data: bytes, begin: int = 0, end: int | None = None) -> Iterator[Box]:
    """Those that lie side by side in ``data[begin:end]``, as far as they are whole."""
    end = len(data) if end is None else end
    while begin + HEADER_BYTES <= end:
        size_bytes, kind = struct.unpack_from(">I4s", data, begin)
        header_bytes = HEADER_BYTES
        if size_bytes == 1 and begin + LARGE_HEADER_BYTES <= end:
            (size_bytes,) = struct.unpack_from(">Q", data, begin + HEADER_BYTES)
            header_bytes = LARGE_HEADER_BYTES
        if size_bytes < header_bytes or begin + size_bytes > end:
            return
        yield Box(kind, begin + header_bytes, begin + size_bytes)
        begin += size_bytes


def children(data: bytes, parent: Box, kind: Kind) -> Iterator[Box]:
    """The boxes of that kind right inside ``parent``."""
    return (box for box in boxes(data, parent.begin, parent.end) if box.kind == kind)


def child(data: bytes, parent: Box, kind: Kind) -> Box:
    """The first box of that kind right inside ``parent``.

    Raises:
        ValueError: there is none.
    """
    first = next(children(data, parent, kind), None)
    if first is None:
        raise ValueError(f"{kind.decode('latin-1')} is missing in {parent.kind.decode('latin-1')}")
    return first


def found(data: bytes, path: str, within: Box | None = None) -> Box | None:
    """The first box at a path such as ``mdia/mdhd``."""
    for kind in path.split("/"):
        begin, end = (0, len(data)) if within is None else (within.begin, within.end)
        within = next((box for box in boxes(data, begin, end) if box.kind == kind.encode()), None)
        if within is None:
            return None
    return within


def box(kind: Kind, *payload: bytes) -> bytes:
    """A box of that kind with these bytes in it."""
    size_bytes = HEADER_BYTES + sum(map(len, payload))
    return b"".join([struct.pack(">I4s", size_bytes, kind), *payload])


def full_box(kind: Kind, version: int, flags: int, *payload: bytes) -> bytes:
    """A box that has a version and flags (4.2)."""
    return box(kind, struct.pack(">I", version << 24 | flags), *payload)


def version_and_flags(data: bytes, full: Box) -> tuple[int, int]:
    """Of a box that has them."""
    (word,) = struct.unpack_from(">I", data, full.begin)
    return word >> 24, word & 0xFFFFFF
