"""The RTSP server of rtsp_server.py, as a process that can be handled."""

import signal
import subprocess
from functools import cache
from pathlib import Path

from raycctv.config import StreamUrl

PASSWORD = "hunter2"
SYSTEM_PYTHON = "/usr/bin/python3"  # which has Debian's python3-gi
SERVER = Path(__file__).resolve().parent / "rtsp_server.py"
ELEMENTS = "qtdemux h264parse h265parse rtph264pay rtph265pay mulawenc rtppcmupay audiotestsrc"
LOOK = f"""
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [name for name in "{ELEMENTS}".split() if not Gst.ElementFactory.find(name)]
sys.exit(f"GStreamer has no {{', '.join(missing)}}" if missing else 0)
"""


@cache
def missing_for_rtsp() -> str:
    """Why there can be no RTSP server here; empty where there can."""
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", LOOK], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"no {SYSTEM_PYTHON}"
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


class RtspCamera:
    """An RTSP server over a clip, that can be killed, frozen and started again on its port."""

    def __init__(self, clip: Path, *options: str) -> None:
        self._command = [SYSTEM_PYTHON, str(SERVER), str(clip), *options]
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        command = [*self._command, "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def url(self, password: str = PASSWORD) -> StreamUrl:
        return StreamUrl.parse(f"rtsp://admin:{password}@127.0.0.1:{self.port}/stream")
