"""What do recorders cost the disk and the CPU, and what does a crash cost them?

The same simulated streams are recorded in three ways, one after the other: by plain ffmpegs that write ordinary MP4, and by our
recorders, first without and then with what spreads their work: starts in batches, cuts staggered over the segment. Writes are
the recorders' own, from /proc/PID/io: calls and bytes that they hand to the kernel, which decides when the disk gets them. At
the end every recorder is killed with SIGKILL, and every frame that plays is counted.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import mean

import av
import av.error
import numpy as np
import numpy.typing as npt
import psutil

from raycctv.config import Recording, StreamUrl
from raycctv.process import die_with_parent
from raycctv.recording.command import record_command
from raycctv.recording.layout import RUN_DIR, incoming_dir
from raycctv.rtmp.server import RtmpServer
from raycctv.simulate.camera import SimulatedCamera
from raycctv.simulate.scenes import FPS, GOP, PEOPLE, prepare
from raycctv.types import CameraName

TICK_S = 0.25
"""Time between two batches of starts, as in ``actors/storage.py``."""

START_UP_S = 10
ONLINE_S = 60.0

Command = Callable[[CameraName, StreamUrl, Recording], list[str]]
Samples = npt.NDArray[np.float64]
"""(N, 4), one row a second: time in seconds, then of all recorders until then write calls, bytes and CPU seconds."""


def plain(camera: CameraName, source: StreamUrl, recording: Recording) -> list[str]:
    """What one would type: ordinary MP4, whose index is written when the file is closed."""
    pattern = str(incoming_dir(recording.root, camera) / "x%04d.mp4")
    cut = ["-f", "segment", "-segment_time", str(recording.segment_s), "-reset_timestamps", "1"]
    return ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", source.reveal(), "-c", "copy", *cut, pattern]


def unstaggered(camera: CameraName, source: StreamUrl, recording: Recording) -> list[str]:
    """Our recorder, but all cameras cut at the same instant."""
    argv = record_command(camera, source, recording)
    argv[argv.index("-segment_clocktime_offset") + 1] = "0"
    return argv


@dataclass(frozen=True)
class Way:
    """How to record, and how many recorders to start together."""

    name: str
    command: Command
    start_batch: int


@dataclass(frozen=True)
class Cost:
    """Of all recorders of one way together; ``*_at_risk_s`` of one recorder."""

    write_calls_per_s: float
    write_calls_peak: float
    write_bytes_per_s: float
    write_bytes_peak: float
    bytes_per_call: float
    cpu_cores: float
    cpu_cores_start_up: float
    at_risk_s: float
    worst_at_risk_s: float
    recorded_share: float


MEASURES: dict[str, Callable[[Cost], str]] = {
    "write calls a second": lambda cost: f"{cost.write_calls_per_s:.0f}",
    "write calls in the busiest second": lambda cost: f"{cost.write_calls_peak:.0f}",
    "MB written a second": lambda cost: f"{cost.write_bytes_per_s / 1e6:.2f}",
    "MB written in the busiest second": lambda cost: f"{cost.write_bytes_peak / 1e6:.2f}",
    "kB a write call": lambda cost: f"{cost.bytes_per_call / 1e3:.0f}",
    "CPU cores": lambda cost: f"{cost.cpu_cores:.2f}",
    f"CPU cores in the busiest of the first {START_UP_S} s": lambda cost: f"{cost.cpu_cores_start_up:.2f}",
    "lost by kill -9, s a camera": lambda cost: f"{cost.at_risk_s:.1f}",
    "lost by kill -9, worst camera, s": lambda cost: f"{cost.worst_at_risk_s:.1f}",
    "recorded of what was streamed": lambda cost: f"{100 * cost.recorded_share:.1f} %",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cameras", type=int, default=32)
    parser.add_argument("--seconds", type=int, default=150, help="of each way")
    parser.add_argument("--segment", type=int, default=60, help="length of a segment in seconds")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    options = parser.parse_args()
    all_at_once, batch = options.cameras, Recording.model_fields["start_batch"].default
    ways = [
        Way("plain MP4, all at once", plain, all_at_once),
        Way("ours, all at once", unstaggered, all_at_once),
        Way("ours", record_command, batch),
    ]
    costs: dict[str, Cost] = {}
    for way in ways:
        with tempfile.TemporaryDirectory() as folder, RtmpServer(Path(folder, "rtmp")) as server:
            costs[way.name] = measure(way, server, Path(folder, "footage"), options)
    if options.json:
        asked = {"cameras": options.cameras, "seconds": options.seconds, "segment_s": options.segment}
        print(json.dumps({**asked, "ways": {name: asdict(cost) for name, cost in costs.items()}}))
        return
    print(f"| {options.cameras} cameras | {' | '.join(costs)} |\n|---|{'---|' * len(costs)}")
    for words, shown in MEASURES.items():
        print(f"| {words} | {' | '.join(shown(cost) for cost in costs.values())} |")


def measure(way: Way, server: RtmpServer, root: Path, options: argparse.Namespace) -> Cost:
    """Record the streams of fresh cameras for so long, kill the recorders, and look at what is left."""
    recording = Recording(root=root, segment_s=options.segment)
    cameras = [camera_of(number, server) for number in range(options.cameras)]
    recorders: list[subprocess.Popen[bytes]] = []
    try:
        for camera in cameras:
            camera.start()
            time.sleep(GOP / FPS / len(cameras))  # cameras do not have their keyframes at the same instant
        await_online(cameras)
        before_s = [camera.online_s for camera in cameras]
        commands = [command_of(way, camera, server, recording) for camera in cameras]
        spent = record(way, commands, recorders, options.seconds)
        for recorder, camera in zip(recorders, cameras, strict=True):
            recorder.kill()
            camera.stop()  # at once, so that its account is what it had sent by then
    finally:
        for process in recorders:
            process.kill()
            process.wait()
        for camera in cameras:
            camera.stop()
    return cost(
        spent, [Kept.of(camera, camera_before_s, root) for camera, camera_before_s in zip(cameras, before_s, strict=True)]
    )


def camera_of(number: int, server: RtmpServer) -> SimulatedCamera:
    name = f"camera{number:02}"
    return SimulatedCamera(name, clip_of(name), server.url(name))


@cache
def clip_of(camera: str) -> Path:
    """The real scenes, in turn."""
    scenes = sorted(PEOPLE)
    return prepare(scenes[int(camera.removeprefix("camera")) % len(scenes)])


def await_online(cameras: Sequence[SimulatedCamera]) -> None:
    deadline_s = time.monotonic() + ONLINE_S
    while any(camera.online_s == 0 for camera in cameras):
        if time.monotonic() > deadline_s:
            raise SystemExit("not every camera could connect to its server")
        time.sleep(0.1)


def command_of(way: Way, camera: SimulatedCamera, server: RtmpServer, recording: Recording) -> list[str]:
    """The recorder of one camera; its folders are made."""
    name = CameraName(camera.name)
    incoming_dir(recording.root, name).mkdir(parents=True)
    (recording.root / RUN_DIR).mkdir(exist_ok=True)
    return way.command(name, StreamUrl.parse(server.url(name)), recording)


def record(way: Way, commands: Sequence[list[str]], recorders: list[subprocess.Popen[bytes]], seconds: int) -> Samples:
    """Run a recorder for each command, adding it to ``recorders``, for so long."""
    began_s = time.monotonic()
    samples = [(0.0, 0.0, 0.0, 0.0)]
    while len(samples) <= seconds:
        for command in commands[len(recorders) : len(recorders) + way.start_batch]:
            recorders.append(subprocess.Popen(command, env={**os.environ, "TZ": "UTC"}, preexec_fn=die_with_parent))
        time.sleep(TICK_S)
        at_s = time.monotonic() - began_s
        if at_s >= len(samples):
            samples.append((at_s, *(sum(values) for values in zip(*map(spent_by, recorders), strict=True))))
            sys.stderr.write(f"\r{way.name}: {at_s:.0f} s of {seconds} s ")
            sys.stderr.flush()
    sys.stderr.write("\n")
    return np.array(samples)


def spent_by(recorder: subprocess.Popen[bytes]) -> tuple[int, int, float]:
    """Write calls, bytes and CPU seconds until now. Source: proc(5), /proc/pid/io."""
    if recorder.poll() is not None:
        raise SystemExit(f"a recorder has ended with {recorder.returncode}")
    fields = dict(line.split(": ") for line in Path(f"/proc/{recorder.pid}/io").read_text().splitlines())
    times = psutil.Process(recorder.pid).cpu_times()
    return int(fields["syscw"]), int(fields["wchar"]), times.user + times.system


@dataclass(frozen=True)
class Kept:
    """What is left of one camera after kill -9.

    Attributes:
        streamed_s: from the start of its recorder to its end.
        recorded_s: that plays.
        at_risk_s: from the first frame that was recorded to its end, and does not play.
    """

    streamed_s: float
    recorded_s: float
    at_risk_s: float

    @classmethod
    def of(cls, camera: SimulatedCamera, before_s: float, root: Path) -> "Kept":
        """Frames are known by their bytes, which copying does not change; the first is of the clip's first round."""
        clip = {digest: number for number, digest in enumerate(frames(clip_of(camera.name)))}
        files = sorted(incoming_dir(root, CameraName(camera.name)).glob("*.mp4"))
        kept = [clip[digest] for file in files for digest in frames(file) if digest in clip]
        first_s = kept[0] / FPS if kept else before_s
        return cls(camera.online_s - before_s, len(kept) / FPS, camera.online_s - first_s - len(kept) / FPS)


def frames(path: Path) -> list[bytes]:
    """A digest of each coded frame of a file; none where it does not play."""
    try:
        with av.open(str(path)) as container:
            return [hashlib.md5(bytes(packet)).digest() for packet in container.demux(video=0) if packet.size]  # noqa: S324
    except av.error.FFmpegError:
        return []


def cost(samples: Samples, kept: Sequence[Kept]) -> Cost:
    rates = np.diff(samples[:, 1:], axis=0) / np.diff(samples[:, :1], axis=0)
    calls_per_s, bytes_per_s, cpu_cores = samples[-1, 1:] / samples[-1, 0]
    calls_peak, bytes_peak, _ = rates.max(axis=0)
    return Cost(
        write_calls_per_s=calls_per_s,
        write_calls_peak=calls_peak,
        write_bytes_per_s=bytes_per_s,
        write_bytes_peak=bytes_peak,
        bytes_per_call=bytes_per_s / max(calls_per_s, 1e-9),
        cpu_cores=cpu_cores,
        cpu_cores_start_up=rates[:START_UP_S, 2].max(),
        at_risk_s=mean(one.at_risk_s for one in kept),
        worst_at_risk_s=max(one.at_risk_s for one in kept),
        recorded_share=sum(one.recorded_s for one in kept) / sum(one.streamed_s for one in kept),
    )


if __name__ == "__main__":
    main()
