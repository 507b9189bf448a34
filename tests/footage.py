"""Segments as recorders write them, and what ffmpeg finds in a file."""

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import psutil
from support import NS, T0_NS

from raycctv.recording.command import FRAGMENT_S
from raycctv.recording.filing import described
from raycctv.recording.layout import filed_path
from raycctv.types import CameraName, Segment

GATE = CameraName("gate")
FRAGMENTS = [
    "-f", "mp4", "-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-frag_duration", str(FRAGMENT_S * 1_000_000),
]  # fmt: skip


def filed(root: Path, clip: Path, start_s: float, camera: CameraName = GATE, options: tuple[str, ...] = ()) -> Segment:
    """The clip as a segment that begins so long after T0_NS; copied, unless the options say otherwise."""
    path = filed_path(root, camera, T0_NS + round(start_s * NS))
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["ffmpeg", "-v", "error", "-i", str(clip), *(options or ("-c", "copy")), *FRAGMENTS, str(path)]
    subprocess.run(command, check=True)
    return described(root, camera, path)


def probed(path: Path) -> dict[str, Any]:
    """Its streams by type, with the frames that decode; fails where ffmpeg has anything to complain about."""
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_streams", "-show_format", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    return {stream["codec_type"]: stream for stream in found["streams"]} | {"format": found["format"]}


def frame_times_s(path: Path) -> list[float]:
    """When each picture is shown."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time", "-of", "csv=p=0", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(line.rstrip(",")) for line in done.stdout.split()]


def remuxes() -> set[int]:
    """Pids of the ffmpegs that this process has started to show something live."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            if "-frag_duration" in child.cmdline():
                found.add(child.pid)
    return found
