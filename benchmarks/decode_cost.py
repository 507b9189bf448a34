"""What does analysing one quiet camera cost, live, beside the physical limits and the `motion` daemon?

One simulated camera of 1920 x 1080 at 15 frames a second, a keyframe every 2 s, with sensor noise and nothing that moves,
through nginx-rtmp. All read it at the same time: raycctv's reader decoding adaptively and decoding everything, ffmpeg demuxing
and ffmpeg decoding alone, and Debian's `motion` where it is installed. Each is a process of its own, whose CPU time is taken
after a warm-up. Ray is not part of it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np
import psutil
from rich.progress import Progress

from raycctv.clock import SystemClock
from raycctv.config import Camera, Config, Decode, StreamUrl
from raycctv.live import LiveReader, Verdicts
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.footage import vtest
from raycctv.simulate.scenes import PEOPLE, encode, median_frame, noisy
from raycctv.types import CameraName, Detections

WIDTH_PX, HEIGHT_PX, FPS, GOP, CLIP_S = 1920, 1080, 15, 30, 20
NAME = CameraName("quiet")

MOTION = """daemon off
setup_mode off
log_level 4
webcontrol_port 0
netcam_url {url}
width {width}
height {height}
framerate 15
picture_output off
movie_output off
target_dir {folder}
"""
"""Motion's own defaults but for what it would write and serve."""


def quiet_clip(folder: Path) -> Path:
    """The plaza of the footage without its people, through a noisy sensor."""
    empty = cv2.resize(median_frame(vtest(), PEOPLE["plaza"]), (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_CUBIC)
    path = folder / "quiet.mp4"
    encode(noisy(np.asarray(empty, np.uint8), CLIP_S * FPS), path, fps=FPS, gop=GOP)
    return path


def read(url: str, mode: str) -> None:
    """raycctv's reader in this process, until it is ended; writes what it decoded to standard output, once a second."""

    def ask(images: object) -> "Future[Verdicts]":
        future: Future[Verdicts] = Future()
        future.set_result([Detections.empty()] * len(images))  # type: ignore[arg-type]
        return future

    cv2.setNumThreads(1)
    camera = Camera(source=StreamUrl.parse(url))
    config = Config(cameras={NAME: camera}, decode=Decode.model_validate({"mode": mode, "busy": 1.0}))
    reader = LiveReader(NAME, camera, config, SystemClock(), ask, lambda _: None)
    threading.Thread(target=reader.run, daemon=True).start()
    while True:
        time.sleep(1)
        print(json.dumps({"frames": reader.stats.frames, "decoded": reader.stats.decoded_frames}), flush=True)


def commands(url: str, folder: Path) -> dict[str, list[str]]:
    """What reads the camera, by name."""
    own = [sys.executable, __file__, "--read", url]
    ffmpeg = ["ffmpeg", "-nostdin", "-loglevel", "error", "-threads", "1", "-rtmp_live", "live", "-i", url]
    found = {
        "raycctv, adaptive": [*own, "--mode", "adaptive"],
        "raycctv, decoding everything": [*own, "--mode", "all"],
        "ffmpeg, demuxing alone": [*ffmpeg, "-c", "copy", "-f", "null", "-"],
        "ffmpeg, decoding alone": [*ffmpeg, "-f", "null", "-"],
    }
    if shutil.which("motion"):
        settings = folder / "motion.conf"
        settings.write_text(MOTION.format(url=url, width=WIDTH_PX, height=HEIGHT_PX, folder=folder))
        found["motion 4"] = ["motion", "-c", str(settings)]
    return found


@contextmanager
def running(command: list[str], output: Path) -> Iterator[psutil.Process]:
    with output.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()
            process.wait()


def spent_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(warm_up_s: float, seconds: float) -> dict[str, float]:
    """Percent of a core by reader."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bar = stack.enter_context(Progress(transient=True, console=None, disable=not sys.stderr.isatty()))
        task = bar.add_task("making the stream", total=warm_up_s + seconds)
        clip = quiet_clip(folder)
        server = stack.enter_context(RtmpServer(folder / "rtmp"))
        camera = SimulatedCamera("quiet", clip, server.url("quiet"))
        stack.callback(camera.stop)
        camera.start()
        started = {
            name: stack.enter_context(running(command, folder / f"{number}.out"))
            for number, (name, command) in enumerate(commands(server.url("quiet"), folder).items())
        }
        bar.update(task, description="warming up")
        for _ in range(round(warm_up_s)):
            time.sleep(1)
            bar.advance(task)
        before = {name: spent_s(process) for name, process in started.items()}
        began_s = time.monotonic()
        bar.update(task, description="measuring")
        for _ in range(round(seconds)):
            time.sleep(1)
            bar.advance(task)
        wall_s = time.monotonic() - began_s
        return {name: 100 * (spent_s(process) - before[name]) / wall_s for name, process in started.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--warm-up", type=float, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    parser.add_argument("--mode", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(options.read, options.mode)
        return
    percent = measure(options.warm_up, options.seconds)
    if options.json:
        print(json.dumps({"percent_of_a_core": percent}))
        return
    own = percent["raycctv, adaptive"]
    print("| | % of a core | times raycctv, adaptive |\n|---|---|---|")
    for name, value in percent.items():
        print(f"| {name} | {value:.2f} | {value / own:.1f} |")


if __name__ == "__main__":
    main()
