"""Streams that no encoder makes in one go."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

PART_S = 6
"""Of each picture size."""

_FILE_HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
_TAG_HEADER_BYTES = 11


def encoded(folder: Path, width: int, codec: str = "libx264", ending: str = "mp4") -> Path:
    """PART_S of 16 : 9 with sound, a keyframe a second."""
    path = folder / f"{codec}-{width}.{ending}"
    source = ["-f", "lavfi", "-i", f"testsrc2=size={width}x{width * 9 // 16}:rate=15", "-f", "lavfi", "-i", "sine"]
    coding = ["-c:v", codec, "-preset", "ultrafast", "-g", "15", "-pix_fmt", "yuv420p", "-c:a", "aac", "-t", str(PART_S)]
    own = {"libx264": ["-bf", "0"], "libx265": ["-x265-params", "log-level=0:bframes=0:keyint=15", "-tag:v", "hvc1"]}[codec]
    subprocess.run(["ffmpeg", "-v", "error", *source, *coding, *own, path], check=True)
    return path


def join(parts: Sequence[Path], joined: Path) -> None:
    """FLV files behind one another with their sequence headers, times running on: a camera that changes how it codes in
    mid-stream, without leaving. Source: Adobe, Video File Format Specification 10.1, annex E."""
    written, base_ms = [_FILE_HEADER], 0
    for part in parts:
        last_ms = 0
        for kind, at_ms, body in _tags(part.read_bytes()):
            last_ms, shown_ms = max(last_ms, at_ms), base_ms + at_ms
            times = (shown_ms & 0xFFFFFF).to_bytes(3, "big") + (shown_ms >> 24).to_bytes(1, "big")
            tag = bytes([kind]) + len(body).to_bytes(3, "big") + times + bytes(3) + body
            written.append(tag + len(tag).to_bytes(4, "big"))
        base_ms += last_ms + 66
    joined.write_bytes(b"".join(written))


def _tags(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(kind, time in ms, body) of each tag."""
    offset = len(_FILE_HEADER)
    while offset + _TAG_HEADER_BYTES < len(data):
        body = offset + _TAG_HEADER_BYTES
        end = body + int.from_bytes(data[offset + 1 : offset + 4], "big")
        yield data[offset], int.from_bytes(data[offset + 4 : offset + 7], "big") | data[offset + 7] << 24, data[body:end]
        offset = end + 4
