"""A span of footage as a file of its own: the recorded packets, copied; nothing is decoded or coded again."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import ffmpeg

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.recording.coverage import missing
from raycctv.types import Segment, Span

_CRF = 18
"""Quality of an exact cut, which must be coded anew: no difference that an eye would see. Source: x264, visually lossless."""


@dataclass
class Exported:
    """One file that was written.

    Attributes:
        from_ns, to_ns: what it shows; it begins at the keyframe before the wanted start.
        recorded_s: how long it plays; gaps are not in it.
        gaps: stretches inside that were not recorded.
    """

    path: Path
    from_ns: int
    to_ns: int
    recorded_s: float = 0.0
    gaps: list[tuple[int, int]] = field(default_factory=list)


def export(
    segments: Sequence[Segment], root: Path, span: Span, output: Path, on_segment: Callable[[], None] = lambda: None
) -> list[Exported]:
    """Write the footage of ``span`` to ``output`` (MP4), from the keyframe before its start to its end.

    Gaps are left out, and told. Where codec or picture size change, what follows is a file of its own: ``clip-2.mp4``.

    Args:
        segments: those that share time with the span, oldest first.

    Raises:
        RecordingError: there is nothing, a segment cannot be read, or the file cannot be written; no half file stays.
    """
    written: list[Exported] = []
    with ExitStack() as drafts:
        writer: _Writer | None = None
        for segment in segments:
            piece = _Piece.of(segment, root, span)
            if piece is not None:
                if writer is None or not writer.fits(piece):
                    if writer is not None:
                        written.append(writer.finish())
                    writer = drafts.enter_context(_Writer(_numbered(output, len(written)), piece))
                writer.add(piece)
            on_segment()
        if writer is None:
            raise RecordingError(f"{span.camera}: there is no frame in that span")
        written.append(writer.finish())
    return written


def cut_exactly(source: Exported, span: Span, output: Path, on_coded: Callable[[float], None] = lambda _: None) -> Exported:
    """Code ``source`` anew so that it begins and ends at the frame.

    Args:
        on_coded: is told again and again how many seconds are done.

    Raises:
        RecordingError: ffmpeg fails.
    """
    from_ns, to_ns = max(source.from_ns, span.from_ns), min(source.to_ns, span.to_ns)
    lead_s, tail_s = (from_ns - source.from_ns) / NS_PER_S, (source.to_ns - to_ns) / NS_PER_S
    recorded_s = source.recorded_s - lead_s - tail_s
    coded = ffmpeg.input(str(source.path)).output(
        str(output), ss=f"{lead_s:.6f}", t=f"{recorded_s:.6f}", vcodec="libx264", crf=_CRF, preset="veryfast",
        pix_fmt="yuv420p", acodec="copy", movflags="+faststart", progress="pipe:1",
    )  # fmt: skip
    command = ffmpeg.compile(coded.global_args("-nostdin", "-loglevel", "error"), overwrite_output=True)
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    key, _, value = line.strip().partition("=")
                    if key == "out_time_us" and value.isdigit():
                        on_coded(int(value) / 1e6)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            output.unlink(missing_ok=True)
            errors.seek(0)
            raise RecordingError(f"{output}: ffmpeg could not cut it: {errors.read().decode(errors='replace').strip()}")
    return Exported(output, from_ns, to_ns, recorded_s, source.gaps)


@dataclass
class _Piece:
    """The part of one segment that is wanted."""

    segment: Segment
    path: Path
    first_s: float
    last_s: float

    @classmethod
    def of(cls, segment: Segment, root: Path, span: Span) -> "_Piece | None":
        """None where no frame of the segment lies in the span."""
        path = root / segment.path
        wanted_from_s = (span.from_ns - segment.started_at_ns) / NS_PER_S
        wanted_to_s = (span.to_ns - segment.started_at_ns) / NS_PER_S
        keyframes = [time_s for time_s, keyframe in _video_times(path) if keyframe]
        if not keyframes:
            return None
        origin_s = keyframes[0]
        first_s = max([time_s for time_s in keyframes if time_s - origin_s <= wanted_from_s], default=origin_s)
        return cls(segment, path, first_s, origin_s + wanted_to_s) if first_s < origin_s + wanted_to_s else None


def _video_times(path: Path) -> Iterator[tuple[float, bool]]:
    with _opened(path) as container:
        for packet in container.demux(video=0):
            if packet.size and packet.pts is not None:
                yield float(packet.pts * packet.time_base), packet.is_keyframe


class _Writer:
    """One output file, written beside itself and renamed when it is whole."""

    def __init__(self, output: Path, first: _Piece) -> None:
        self._result = Exported(output, 0, 0)
        self._draft = output.with_name(f".{output.name}.part")
        self._segments: list[Segment] = []
        self._cursor_s = 0.0
        try:
            self._container = av.open(str(self._draft), "w", format="mp4", options={"movflags": "+faststart"})
        except (av.error.FFmpegError, OSError) as error:
            raise RecordingError(f"{output}: cannot be written: {error.strerror}") from error
        with _opened(first.path) as source:
            self._format = _format(source)
            self._streams: dict[str, Any] = {
                stream.type: self._container.add_stream_from_template(stream) for stream in _wanted_streams(source)
            }

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()
        self._draft.unlink(missing_ok=True)

    def fits(self, piece: _Piece) -> bool:
        """Whether a piece is coded as what the file holds already."""
        with _opened(piece.path) as source:
            return _format(source) == self._format

    def add(self, piece: _Piece) -> None:
        """Append a piece at the end of what is there."""
        origin_s = next(_video_times(piece.path))[0]
        shift_s: float | None = None
        first_s = end_s = last_pts_s = piece.first_s
        try:
            with _opened(piece.path) as source:
                for packet in source.demux(*_wanted_streams(source)):
                    if not packet.size or packet.pts is None or packet.dts is None:
                        continue
                    pts_s, dts_s = float(packet.pts * packet.time_base), float(packet.dts * packet.time_base)
                    if pts_s < piece.first_s - 1e-6 or dts_s >= piece.last_s:
                        continue
                    if shift_s is None:
                        if packet.stream.type != "video":
                            continue
                        shift_s = self._cursor_s - dts_s
                    length_s = float((packet.duration or 0) * packet.time_base)
                    if packet.stream.type == "video":
                        last_pts_s = max(last_pts_s, pts_s)
                        end_s = max(end_s, pts_s + length_s)
                    self._mux(packet, shift_s)
        except (av.error.FFmpegError, OSError) as error:
            raise RecordingError(f"{self._result.path}: cannot be written from {piece.path}: {error.strerror}") from error
        self._cursor_s += end_s - first_s
        self._note(piece.segment, first_s - origin_s, end_s - origin_s)

    def finish(self) -> Exported:
        """Close it and give it its name."""
        try:
            self._container.close()
            self._draft.replace(self._result.path)
        except (av.error.FFmpegError, OSError) as error:
            raise RecordingError(f"{self._result.path}: cannot be written: {error.strerror}") from error
        self._result.recorded_s = self._cursor_s
        recorded = [(segment.started_at_ns, segment.ended_at_ns) for segment in self._segments]
        self._result.gaps = list(missing(recorded, recorded[0][0], recorded[-1][1]))
        return self._result

    def _mux(self, packet: Any, shift_s: float) -> None:
        stream = self._streams.get(packet.stream.type)
        if stream is None:
            return
        ticks = round(Fraction(shift_s) / packet.time_base)
        packet.pts += ticks
        packet.dts += ticks
        packet.stream = stream
        self._container.mux(packet)

    def _note(self, segment: Segment, first_s: float, end_s: float) -> None:
        if not self._segments:
            self._result.from_ns = segment.started_at_ns + round(first_s * NS_PER_S)
        self._result.to_ns = segment.started_at_ns + round(end_s * NS_PER_S)
        self._segments.append(segment)


def _opened(path: Path) -> Any:
    try:
        return av.open(str(path))
    except (av.error.FFmpegError, OSError) as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from error


def _wanted_streams(container: Any) -> list[Any]:
    return [*container.streams.video[:1], *container.streams.audio[:1]]


def _format(container: Any) -> tuple[object, ...]:
    """What must be equal for packets to stand in one stream."""
    return tuple(
        (
            stream.codec_context.name,
            getattr(stream.codec_context, "width", 0),
            getattr(stream.codec_context, "height", 0),
            stream.codec_context.extradata,
        )
        for stream in _wanted_streams(container)
    )


def _numbered(output: Path, number: int) -> Path:
    return output if number == 0 else output.with_stem(f"{output.stem}-{number + 1}")
