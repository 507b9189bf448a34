"""Whether the footage is what the catalog says it is, and all there."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import av.error

from raycctv.clock import NS_PER_S
from raycctv.errors import RecordingError
from raycctv.recording.catalog import Catalog
from raycctv.recording.coverage import Coverage, coverage
from raycctv.recording.layout import filed_files, named_at_ns
from raycctv.recording.probe import probe
from raycctv.types import CameraName, Segment

_DURATION_S = 0.1
"""By how much a file may last longer or shorter than its row says."""

_NAME_S = 3.0
"""By how much a segment may begin beside the second in its name. Source: ``_EARLIER_NS`` in filing.py, and a whole second."""

_OVERLAP_S = 1.0
"""By how much a segment may begin before the last has ended. Instants are as exact as the arrival of packets."""


@dataclass(frozen=True, slots=True)
class Bad:
    """Something wrong with one file or row; ``path`` is relative to the recording root."""

    path: str
    problem: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found."""

    segments: int
    bad: list[Bad]
    cameras: list[Coverage]


def verify(catalog: Catalog, root: Path, *, quick: bool = False, on_segment: Callable[[], None] = lambda: None) -> Verified:
    """Read every segment and compare it with its row; decode it, or where ``quick`` only parse it. Changes nothing."""
    segments = catalog.segments()
    bad: list[Bad] = []
    for segment in segments:
        bad += [Bad(segment.path, problem) for problem in _problems(root, segment, quick)]
        on_segment()
    rows = {segment.path for segment in segments} | set(catalog.deleting())
    files = {path.relative_to(root).as_posix() for _, path in filed_files(root)}
    bad += [Bad(path, "is not in the catalog; `raycctv recordings --rescan` takes it in") for path in sorted(files - rows)]
    by_camera: dict[CameraName, list[Segment]] = defaultdict(list)
    for segment in segments:
        by_camera[segment.camera].append(segment)
    for own in by_camera.values():
        bad += _overlaps(own)
    return Verified(len(segments), bad, [_coverage(catalog, name, own) for name, own in sorted(by_camera.items())])


def _coverage(catalog: Catalog, camera: CameraName, segments: Sequence[Segment]) -> Coverage:
    """From the camera's first frame to its last."""
    recorded = [(segment.started_at_ns, segment.ended_at_ns) for segment in segments]
    from_ns, to_ns = recorded[0][0], max(end_ns for _, end_ns in recorded)
    return coverage(camera, recorded, catalog.offline(camera, from_ns), from_ns, to_ns)


def _problems(root: Path, segment: Segment, quick: bool) -> Iterator[str]:
    path = root / segment.path
    if not path.is_file():
        yield "is in the catalog, but there is no file"
        return
    if path.stat().st_size != segment.size_bytes:
        yield f"has {path.stat().st_size} bytes, its row says {segment.size_bytes}"
    named_ns = named_at_ns(path.name)
    if named_ns is None or abs(segment.started_at_ns - named_ns) > _NAME_S * NS_PER_S:
        yield "its name and its row differ in when it began"
    if not segment.path.startswith(f"{segment.camera}/"):
        yield f"lies in another camera's folder than that of {segment.camera}"
    try:
        media = probe(path)
    except RecordingError as error:
        yield str(error).removeprefix(f"{path}: ")
        return
    if abs(media.duration_ns - segment.duration_ns) > _DURATION_S * NS_PER_S:
        yield f"lasts {media.duration_ns / NS_PER_S:.2f} s, its row says {segment.duration_ns / NS_PER_S:.2f} s"
    if not quick:
        yield from _decoding_problems(path)


def _decoding_problems(path: Path) -> Iterator[str]:
    corrupt = 0
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        packets = container.demux(video=0)
        while True:
            try:
                packet = next(packets)
                corrupt += sum(bool(frame.is_corrupt) for frame in packet.decode())
            except StopIteration:
                break
            except av.error.FFmpegError:
                corrupt += 1
    if corrupt:
        yield f"{corrupt} of its frames do not decode"


def _overlaps(segments: Sequence[Segment]) -> Iterator[Bad]:
    for earlier, later in pairwise(segments):
        if earlier.ended_at_ns - later.started_at_ns > _OVERLAP_S * NS_PER_S:
            overlap_s = (earlier.ended_at_ns - later.started_at_ns) / NS_PER_S
            yield Bad(later.path, f"begins {overlap_s:.1f} s before {Path(earlier.path).name} ends")
