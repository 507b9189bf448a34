"""Are the same events found when less is decoded?

Each clip is coded anew in five ways (constant quality, constant bit rate, a GOP of 10 s, strong sensor noise, H.265) and goes
through the pipeline twice: decoding everything, and decoding adaptively (or, with --mode lean, as on a busy machine). An event
is found again when one of its kind shares time with it; it is late when it begins more than 0.5 s apart. Costs are CPU seconds,
detector included. With --mode control everything is decoded both times, the second time with other random numbers for the
background: what differs then is chance, and no way of decoding can do better.

All clips take an hour or more. With --results FILE each result is added to that file as it comes, and what stands there is not
done again: a run that was stopped goes on, and --part 1/4 to 4/4 may run at different times, or on different machines whose
files are then joined. The table is of all that the file holds of these clips.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import ffmpeg
from rich.progress import Progress

from raycctv.clock import NS_PER_S
from raycctv.config import Camera, Config, Decode, StreamUrl
from raycctv.detection.backends import open_backend
from raycctv.motion import background
from raycctv.pipeline import analyze_file
from raycctv.types import CameraName, Event, FrameCounts

NAME = CameraName("clip")
LATE_S = 0.5
NOISE_LEVELS = 20
CONTROL = "control"
OTHER_SEED = 1
ENCODINGS = ("quality", "bit rate", "GOP 10 s", "noise", "H.265")


@dataclass(frozen=True)
class Run:
    """One way through one file. Events are (kind, start s, end s)."""

    events: list[tuple[str, float, float]]
    frames: int
    decoded: int
    cpu_s: float


@dataclass(frozen=True)
class Compared:
    """One clip in one encoding: decoding everything against decoding less."""

    clip: str
    encoding: str
    events: int
    found: int
    late: int
    extra: int
    decoded: float
    cpu: float


def encode(clip: Path, encoding: str, folder: Path) -> Path:
    """The clip as a camera would code it: H.264 or H.265 without B-frames, a keyframe every 2 s or 10 s."""
    with av.open(str(clip)) as container:
        video = container.streams.video[0]
        rate = float(video.average_rate or 25)
        bits_per_s = round(clip.stat().st_size * 8 / (float(container.duration or av.time_base) / av.time_base))
    gop = max(2, round(rate * (10 if encoding == "GOP 10 s" else 2)))
    options: dict[str, object] = {"crf": 25 if encoding == "noise" else 23}
    if encoding == "bit rate":
        options = {"b:v": bits_per_s, "minrate": bits_per_s, "maxrate": bits_per_s, "bufsize": bits_per_s}
    source = ffmpeg.input(str(clip)).video.filter("crop", "trunc(iw/2)*2", "trunc(ih/2)*2")
    if encoding == "noise":
        source = source.filter("noise", alls=NOISE_LEVELS, allf="t")
    path = folder / f"{clip.stem}-{encoding.replace(' ', '-')}.mp4"
    coding: dict[str, object] = {"vcodec": "libx264", "sc_threshold": 0, "bf": 0, "g": gop}
    if encoding == "H.265":
        coding = {"vcodec": "libx265", "tag:v": "hvc1", "x265-params": f"bframes=0:keyint={gop}:scenecut=0:open-gop=0"}
    coding |= {"preset": "veryfast", "pix_fmt": "yuv420p", "r": rate}
    ffmpeg.output(source, str(path), **coding, **options).run(quiet=True)
    return path


def through(path: Path, mode: str, seed: int = background.SEED) -> Run:
    """The events of a file. Source of the limit of one thread: what is compared is work, not its spreading."""
    cv2.setNumThreads(1)
    background.SEED = seed
    camera = Camera(source=StreamUrl.parse("file:///clip"))
    config = Config(cameras={NAME: camera}, decode=Decode.model_validate({"mode": mode}))
    events: dict[str, Event] = {}
    counts = FrameCounts()
    with open_backend(config.detection.model, "openvino", threads=1, min_score=config.detection.min_score) as detector:
        began_s = time.process_time()
        for report in analyze_file(NAME, path, camera, config, detector, counts=counts):
            events[report.event.id] = report.event
        cpu_s = time.process_time() - began_s
    spans = [(e.kind, e.started_at_ns / NS_PER_S, (e.ended_at_ns or e.started_at_ns) / NS_PER_S) for e in events.values()]
    return Run(spans, counts.frames, counts.decoded_frames, cpu_s)


def compared(clip: Path, encoding: str, mode: str) -> Compared:
    """Both ways through one clip, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        path = encode(clip, encoding, Path(folder))
        whole, less = through(path, "all"), through(path, "all", OTHER_SEED) if mode == CONTROL else through(path, mode)
    free = list(less.events)
    late = found = 0
    for kind, start_s, end_s in whole.events:
        same = [other for other in free if other[0] == kind and other[1] <= end_s + LATE_S and other[2] >= start_s - LATE_S]
        if same:
            nearest = min(same, key=lambda other: abs(other[1] - start_s))
            free.remove(nearest)
            found += 1
            late += abs(nearest[1] - start_s) > LATE_S
    share = less.decoded / max(whole.decoded, 1)
    return Compared(clip.name, encoding, len(whole.events), found, late, len(free), share, less.cpu_s / whole.cpu_s)


@dataclass(frozen=True)
class Part:
    """One of so many parts of the work."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """``2/4``.

        Raises:
            argparse.ArgumentTypeError: it is none.
        """
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise argparse.ArgumentTypeError(f"{text!r}: write 1/4 for the first of four parts")
        return cls(int(number), int(of))


def done_before(results: Path | None, mode: str) -> list[Compared]:
    """What stands in the file of results of that mode."""
    if results is None or not results.exists():
        return []
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    return [Compared(**line["result"]) for line in lines if line["mode"] == mode]


def run(jobs: list[tuple[Path, str]], mode: str, processes: int, results: Path | None) -> Iterator[Compared]:
    """Results as they come, each kept in the file before it is given."""
    with ProcessPoolExecutor(processes) as pool, Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        under_way = [pool.submit(compared, clip, encoding, mode) for clip, encoding in jobs]
        finished = as_completed(under_way)
        for number, future in enumerate(bar.track(finished, total=len(jobs), description="clips"), start=1):
            one = future.result()
            if results is not None:
                with results.open("a") as file:
                    file.write(json.dumps({"mode": mode, "result": asdict(one)}) + "\n")
            if not sys.stderr.isatty():
                said = f"{one.found} of {one.events} events, {one.late} late, {one.extra} extra"
                print(f"{number} of {len(jobs)}: {one.clip}, {one.encoding}: {said}", file=sys.stderr, flush=True)
            yield one


def print_table(compared_clips: list[Compared]) -> None:
    print("| clip | encoding | events | found | late | extra | decoded | CPU |\n|---|---|---|---|---|---|---|---|")
    for one in compared_clips:
        print(
            f"| {one.clip} | {one.encoding} | {one.events} | {one.found} | {one.late} | {one.extra} | {one.decoded:.2f} "
            f"| {one.cpu:.2f} |"
        )
    for encoding in (*ENCODINGS, "all"):
        some = [one for one in compared_clips if encoding in (one.encoding, "all")]
        events, found = sum(one.events for one in some), sum(one.found for one in some)
        late, extra = sum(one.late for one in some), sum(one.extra for one in some)
        if some:
            print(f"| all | {encoding} | {events} | {found} ({found / max(events, 1):.1%}) | {late} | {extra} | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clips", nargs="+", type=Path, help="video files with real scenes")
    parser.add_argument("--mode", choices=["adaptive", "lean", CONTROL], default="adaptive")
    parser.add_argument("--encoding", choices=ENCODINGS, action="append", help="only this one; may be given more than once")
    parser.add_argument("--part", type=Part.parse, default=Part(1, 1), metavar="K/N", help="only one of N parts of the work")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep each result here, a line each, and do none twice")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    wanted = [(clip, encoding) for clip in options.clips for encoding in options.encoding or ENCODINGS]
    named = [(clip.name, encoding) for clip, encoding in wanted]
    before = [one for one in done_before(options.results, options.mode) if (one.clip, one.encoding) in named]
    done = {(one.clip, one.encoding) for one in before}
    mine = wanted[options.part.number - 1 :: options.part.of]
    missing = [(clip, encoding) for clip, encoding in mine if (clip.name, encoding) not in done]
    found = [*before, *run(missing, options.mode, options.processes, options.results)]
    found.sort(key=lambda one: named.index((one.clip, one.encoding)))
    if options.json:
        print(json.dumps([asdict(one) for one in found]))
        return
    print_table(found)


if __name__ == "__main__":
    main()
