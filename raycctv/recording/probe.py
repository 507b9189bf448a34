"""What is in a segment file: how long it lasts, how it is coded, and where that changes."""

import itertools
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import av.error

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.recording.command import SILENCE_S

_SEQUENCE_SET = {"h264": (0x1F, 0, 7), "hevc": (0x3F, 1, 33)}
"""By codec, where a NAL unit has its type (mask, after a shift), and the type that says how pictures are coded. Source: ITU-T
H.264, 7.3.1, and H.265, 7.3.1.2."""

_AS_WRITTEN = {"fpsprobesize": "0"}
"""For ffmpeg: pictures need not be decoded to guess the frame rate, which is three fifths of the work. Source: ffmpeg 8,
libavformat/demux.c, avformat_find_stream_info."""

_NAL_LENGTH_BYTES = 4
"""As ffmpeg writes it into MP4, whatever came."""


class Unplayable(RecordingError):
    """A file without a single frame that a player could show."""


@dataclass(frozen=True, slots=True)
class Media:
    """The video of a segment file.

    Attributes:
        duration_ns: from the first frame to the end of the last.
        codec: as ffmpeg names it.
        changed_at: byte of the first keyframe that says in itself that it is coded otherwise than those before (another
            size, another profile); None where there is none.
    """

    duration_ns: int
    codec: str
    width_px: int
    height_px: int
    changed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Keyframe:
    """The coded bytes of one, by what tells them from others."""

    size_bytes: int
    adler32: int


def probe(path: Path) -> Media:
    """Read every packet of the file; decodes none but the first keyframe, where keyframes say how they are coded.

    Raises:
        Unplayable: no video, or no keyframe in it.
        RecordingError: the file cannot be read at all.
    """
    try:
        with av.open(str(path), options=_AS_WRITTEN) as container:
            video = next(iter(container.streams.video), None)
            if video is None:
                raise Unplayable(f"{path}: holds no video")
            context = video.codec_context
            width_px, height_px = context.width, context.height
            packets: list[tuple[int, int, bool]] = []
            keyframes: list[tuple[frozenset[bytes], int]] = []
            for packet in container.demux(video):
                if packet.size and packet.pts is not None:
                    packets.append((packet.pts, packet.duration or 0, packet.is_keyframe))
                    if packet.is_keyframe:
                        sets = _sequence_sets(context.name, packet)
                        if not keyframes and not all(one in (context.extradata or b"") for one in sets):
                            width_px, height_px = _shown_size(context, packet)
                        keyframes.append((sets, packet.pos or 0))
            tick_ns = (video.time_base or 0) * NS_PER_S
    except (av.error.FileNotFoundError, av.error.PermissionError) as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except av.error.FFmpegError as error:
        raise Unplayable(f"{path}: {error.strerror}") from error
    if not any(keyframe for _, _, keyframe in packets):
        raise Unplayable(f"{path}: no keyframe among its {len(packets)} video packets")
    duration_ns = round(
        _shown_ticks([(pts, ticks) for pts, ticks, _ in packets], round(SILENCE_S * NS_PER_S / tick_ns)) * tick_ns
    )
    changed_at = _changed_at(context.extradata or b"", keyframes)
    return Media(duration_ns, context.name, width_px, height_px, changed_at)


def position(path: Path, keyframe: Keyframe) -> int | None:
    """At which byte of the file that keyframe lies; None where it does not, or the file does not play.

    Raises:
        RecordingError: the file cannot be read at all.
    """
    try:
        with av.open(str(path), options=_AS_WRITTEN) as container:
            for packet in container.demux(container.streams.video[:1]):
                if packet.is_keyframe and packet.size == keyframe.size_bytes and zlib.adler32(packet) == keyframe.adler32:
                    return packet.pos
    except (av.error.FileNotFoundError, av.error.PermissionError) as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error
    except av.error.FFmpegError:
        return None
    return None


def _changed_at(header: bytes, keyframes: list[tuple[frozenset[bytes], int]]) -> int | None:
    """Where the first of the keyframes lies whose parameter sets are others than those that hold until then.

    Those of the first keyframe hold, or else those in the header of the file, which has them byte for byte.
    """
    holding: frozenset[bytes] | None = None
    for index, (sets, at) in enumerate(keyframes):
        if sets:
            known = sets == holding if holding else index == 0 or all(one in header for one in sets)
            if not known:
                return at
            holding = sets
    return None


def _sequence_sets(codec: str, keyframe: Any) -> frozenset[bytes]:
    """The sequence parameter sets in a keyframe; empty where it has none, as most streams by RTMP."""
    if codec not in _SEQUENCE_SET:
        return frozenset()
    mask, shift, wanted = _SEQUENCE_SET[codec]
    data = bytes(keyframe)
    found, offset = set(), 0
    while offset + _NAL_LENGTH_BYTES < len(data):
        begin = offset + _NAL_LENGTH_BYTES
        offset = begin + int.from_bytes(data[offset:begin], "big")
        if data[begin] >> shift & mask == wanted:
            found.add(data[begin:offset])
    return frozenset(found)


def _shown_size(context: Any, keyframe: Any) -> tuple[int, int]:
    """Width and height of the picture: the file's header may tell of what came before its recorder's camera changed."""
    try:
        for frame in [*context.decode(keyframe), *context.decode(None)]:
            return frame.width, frame.height
    except av.error.FFmpegError:
        pass
    return context.width, context.height


def _shown_ticks(packets: list[tuple[int, int]], longest_gap: int) -> int:
    """Ticks that (pts, duration) pairs cover. A jump of the camera's clock, longer than any silence that a recorder would
    sit through, counts as one frame."""
    ordered = sorted(packets)
    starts = [pts for pts, _ in ordered]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    usual = sorted(gaps)[len(gaps) // 2] if gaps else 0
    return sum(gap if gap <= longest_gap else usual for gap in gaps) + (ordered[-1][1] or usual)
