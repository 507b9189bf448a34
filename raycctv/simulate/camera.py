"""A camera that sends a clip over and over, by RTMP, in real time, without coding anything."""

import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import IO

import ffmpeg

from raycctv.errors import StreamError
from raycctv.process import die_with_parent

_STOP_S = 5.0


class SimulatedCamera:
    """Publishes ``clip``, a video file or an ffconcat list of some, to ``url`` with ffmpeg while started. Ends with its owner.

    Attributes:
        online_s: seconds of video sent in all, over all starts: what a recorder could have recorded.
        account: those of the last report, of which there are two a second, and when that came, UTC nanoseconds.
    """

    def __init__(self, name: str, clip: Path, url: str) -> None:
        self.name = name
        self._command = _command(clip, url)
        self._process: subprocess.Popen[str] | None = None
        self._watcher: threading.Thread | None = None
        self._sent_before_s = 0.0
        self._report = (0.0, 0)

    @property
    def online_s(self) -> float:
        return self.account[0]

    @property
    def account(self) -> tuple[float, int]:
        sent_s, at_ns = self._report
        return self._sent_before_s + sent_s, at_ns

    @property
    def pid(self) -> int | None:
        """None while it does not send."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Begin to send, from the start of the clip. Does nothing where it sends already."""
        if self.pid is not None:
            return
        self.stop()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent,
        )  # fmt: skip
        assert self._process.stdout is not None
        self._watcher = threading.Thread(target=self._follow, args=(self._process.stdout,), daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Send no more: ffmpeg takes its leave of the server, as a camera that is shut down does. Idempotent."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._watcher is not None:
            self._watcher.join()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._sent_before_s, self._report = self.online_s, (0.0, self._report[1])
        self._process = self._watcher = None

    def freeze(self) -> None:
        """Hang, with the connection open, as a camera with bad firmware does.

        Raises:
            StreamError: it does not send.
        """
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after :meth:`freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self.pid is None:
            raise StreamError(f"{self.name} does not send")
        self._process.send_signal(number)

    def _follow(self, progress: IO[str]) -> None:
        """ffmpeg's own account of what it has sent, about twice a second and once at its end."""
        for line in progress:
            key, _, value = line.strip().partition("=")
            if key == "out_time_us" and value.isdigit():
                self._report = (int(value) / 1e6, time.time_ns())


def _command(clip: Path, url: str) -> list[str]:
    sent = ffmpeg.input(str(clip), re=None, stream_loop=-1).output(
        url, c="copy", format="flv", flvflags="no_duration_filesize", rtmp_live="live", progress="pipe:1", stats_period=0.5
    )
    command: list[str] = ffmpeg.compile(sent.global_args("-nostdin", "-hide_banner", "-loglevel", "error"))
    return command
