"""What does it cost to decode a picture: on one thread or more, without the loop filter, on a device?

The same clips of 1920 x 1080 (real pedestrians, enlarged, through a noisy sensor; a keyframe every 2 s) in H.264 and H.265 are
decoded in each way, and the luma of each picture is taken to main memory, as frame differencing needs it. CPU is that of all
threads of the process. What a way leaves out is told by how far its pictures are from those decoded whole: in grey levels on
average, in the last picture of a GOP, where it has added up.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from raycctv.capture.hardware import HardwareError, choose, opened, present
from raycctv.simulate.footage import vtest
from raycctv.simulate.scenes import PEOPLE, encode, pictures

Picture = npt.NDArray[np.uint8]
Open = Callable[[str, bytes | None], av.VideoCodecContext]

WIDTH_PX, HEIGHT_PX, FPS, GOP = 1920, 1080, 15, 30
NOISE_LEVELS = 3.0
ENCODERS = {"h264": "libx264", "hevc": "libx265"}
WHOLE = "1 thread"


@dataclass(frozen=True)
class Cost:
    """Of one picture, by codec and way of decoding.

    Attributes:
        cpu_ms, wall_ms: None where it cannot be decoded so.
        drift_levels: mean difference from the picture decoded whole, at the end of a GOP.
        why: what hindered it.
    """

    codec: str
    way: str
    cpu_ms: float | None = None
    wall_ms: float | None = None
    drift_levels: float | None = None
    why: str = ""


def software(threads: int, kind: str = "AUTO", **options: str) -> Open:
    """A decoder in software; ``threads`` 0 lets ffmpeg choose."""

    def open_it(codec: str, extradata: bytes | None) -> av.VideoCodecContext:
        context = opened(codec, None, extradata)
        context.thread_count, context.thread_type = threads, kind
        context.options = options
        return context

    return open_it


def ways() -> dict[str, Open]:
    """Every way of decoding, and each device that this machine shows."""
    found = {
        WHOLE: software(1),
        "2 threads, a slice each": software(2, "SLICE"),
        "2 threads, a picture each": software(2, "FRAME"),
        "as many threads as ffmpeg likes": software(0),
        "1 thread, no loop filter": software(1, skip_loop_filter="all"),
    }
    for device in present():
        found[str(device)] = lambda codec, extradata, device=device: opened(codec, device, extradata)  # type: ignore[misc]
    return found


def clip(codec: str, count: int, folder: Path) -> Path:
    """So many pictures as a camera would code them."""
    path = folder / f"{codec}.mp4"
    encode(shown(count), path, fps=FPS, gop=GOP, codec=ENCODERS[codec])
    return path


def shown(count: int) -> Iterator[Picture]:
    random = np.random.default_rng(1)
    for picture in islice(pictures(vtest(), PEOPLE["plaza"]), count):
        large = cv2.resize(picture, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
        noise = random.standard_normal((HEIGHT_PX, WIDTH_PX, 1), np.float32) * NOISE_LEVELS
        yield np.clip(large + noise, 0, 255).astype(np.uint8)


def packets(path: Path) -> tuple[list[bytes], bytes | None]:
    """The coded pictures, and the headers that stand apart from them."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        coded = [bytes(packet) for packet in container.demux(video) if packet.size]
        return coded, video.codec_context.extradata


def decoded(context: av.VideoCodecContext, coded: list[bytes]) -> Iterator[Picture]:
    for data in (*coded, None):
        for picture in context.decode(None if data is None else av.Packet(data)):
            assert isinstance(picture, av.VideoFrame)
            plane = picture.planes[0]
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            yield rows[:, : plane.width]


def measured(
    codec: str, way: str, open_it: Open, path: Path, rounds: int, whole: Picture | None
) -> tuple[Cost, Picture | None]:
    """The cost, and the last picture of the first GOP."""
    coded, extradata = packets(path)
    last: Picture | None = None
    cpu_s = wall_s = 0.0
    try:
        for number in range(rounds + 1):  # the first opens the decoder, and tells the drift
            context = open_it(codec, extradata)
            began_cpu_s, began_s, count = time.process_time(), time.perf_counter(), 0
            for count, luma in enumerate(decoded(context, coded), start=1):
                if number == 0 and count == GOP:
                    last = luma.copy()
            if number:
                cpu_s += (time.process_time() - began_cpu_s) / count
                wall_s += (time.perf_counter() - began_s) / count
    except (HardwareError, av.error.FFmpegError) as error:
        return Cost(codec, way, why=str(error)), None
    drift = None if whole is None or last is None else float(np.abs(last.astype(int) - whole).mean())
    return Cost(codec, way, 1000 * cpu_s / rounds, 1000 * wall_s / rounds, drift), last


def measure(codecs: list[str], count: int, rounds: int) -> list[Cost]:
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory() as folder:
        for codec in codecs:
            path = clip(codec, count, Path(folder))
            whole: Picture | None = None
            for way, open_it in ways().items():
                print(f"{codec}: {way}", file=sys.stderr, flush=True)
                cost, last = measured(codec, way, open_it, path, rounds, whole)
                whole = last if way == WHOLE else whole
                costs.append(cost)
    return costs


def chosen(codecs: list[str]) -> dict[str, dict[str, Any]]:
    """What readers decode each codec with, where ``decode.hardware`` is ``auto``; and what looking costs."""
    said = {}
    for codec in codecs:
        began_s = time.perf_counter()
        choice = choose("auto", codec)
        spent_ms = 1000 * (time.perf_counter() - began_s)
        said[codec] = {"device": str(choice.device or "software"), "reason": choice.reason, "ms": spent_ms}
    return said


def print_costs(costs: list[Cost]) -> None:
    columns = ["codec", "decoded by", "CPU ms a picture", f"of {WHOLE}", "ms a picture", "drift, grey levels"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    whole = {cost.codec: cost.cpu_ms for cost in costs if cost.way == WHOLE}
    for cost in costs:
        base = whole[cost.codec]
        if cost.cpu_ms is None or cost.wall_ms is None or base is None:
            print(f"| {cost.codec} | {cost.way} | {cost.why} | | | |")
            continue
        drift = "" if cost.drift_levels is None else f"{cost.drift_levels:.2f}"
        print(f"| {cost.codec} | {cost.way} | {cost.cpu_ms:.2f} | {cost.cpu_ms / base:.2f} | {cost.wall_ms:.2f} | {drift} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--codec", choices=list(ENCODERS), action="append", help="only this one; may be given more than once")
    parser.add_argument("--pictures", type=int, default=90, help="of each clip; at least one GOP of 30")
    parser.add_argument("--rounds", type=int, default=3, help="through each clip")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    codecs = options.codec or list(ENCODERS)
    found, costs = chosen(codecs), measure(codecs, options.pictures, options.rounds)
    if options.json:
        print(json.dumps({"chosen": found, "costs": [asdict(cost) for cost in costs]}))
        return
    print_costs(costs)
    for codec, choice in found.items():
        print(f"\n`decode.hardware: auto` decodes {codec} by {choice['device']}: {choice['reason']} ({choice['ms']:.1f} ms)")


if __name__ == "__main__":
    main()
