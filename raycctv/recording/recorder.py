"""One camera's recorder: its process, and the segments that it has closed."""

import logging
import os
from dataclasses import replace
from pathlib import Path

from raycctv.clock import NS_PER_S, Clock
from raycctv.config import Recording, StreamUrl
from raycctv.errors import RecordingError
from raycctv.process import KeptProcess
from raycctv.recording.command import recorder_command
from raycctv.recording.segments import BROKEN, INCOMING, describe, fsync, segment_path, started_at_ns
from raycctv.types import CameraName, Segment

log = logging.getLogger(__name__)

RUN_DIR = ".run"
_FRESH_S = 5.0


class Recorder:
    """Adopts the camera's recorder if it still runs. Call :meth:`check` and :meth:`collect` about once a second.

    Raises:
        RecordingError: the recording folder cannot be written; names it.
    """

    def __init__(self, camera: CameraName, source: StreamUrl, recording: Recording, clock: Clock) -> None:
        self._camera = camera
        self._root = recording.root
        self._clock = clock
        self._folder = recording.root / camera
        self._incoming = self._folder / INCOMING
        make_writable(self._incoming)
        command = recorder_command(camera, source, self._incoming, recording.segment_s)
        self._kept = KeptProcess(f"recorder-{camera}", command, recording.root / RUN_DIR, clock)
        self._newest: tuple[str, int] = ("", 0)
        self._grew_s = -_FRESH_S

    @property
    def pid(self) -> int | None:
        """Of the ffmpeg that runs, if one does."""
        return self._kept.process.pid if self._kept.process is not None else None

    @property
    def starts(self) -> int:
        """How often it was started by this object."""
        return self._kept.starts

    @property
    def last_error(self) -> str:
        """ffmpeg's last words of the last time that it ended; empty where it had none."""
        return self._kept.last_error

    @property
    def recording(self) -> bool:
        """Whether footage has reached the disk in the last seconds."""
        return self._clock.monotonic_s() - self._grew_s < _FRESH_S

    def check(self) -> None:
        """See that it runs, and whether footage arrives.

        It is not started while a file of an earlier run lies in the spool: ffmpeg would write over one of the same second.
        So call :meth:`collect` first.

        Raises:
            RecordingError: it cannot be started.
        """
        if self.pid is not None or not self._spooled():
            self._kept.check()
        newest = max(self._spooled(), default=None)
        state = (newest.name, newest.stat().st_size) if newest is not None else ("", 0)
        if state != self._newest and state[1] > 0:
            self._grew_s = self._clock.monotonic_s()
        self._newest = state

    def collect(self) -> list[Segment]:
        """File the segments that are closed: all but the newest while the recorder runs, else all. Oldest first.

        A file that cannot be played is moved to ``broken/``, never deleted.

        Raises:
            RecordingError: the disk does not let a file be moved; it is tried again at the next call.
        """
        spooled = sorted(self._spooled())
        closed = spooled[:-1] if self.pid is not None else spooled
        filed = [self._filed(path) for path in closed]
        return [segment for segment in filed if segment is not None]

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the process; it finishes its file. Idempotent."""
        self._kept.stop(timeout_s)

    def _spooled(self) -> list[Path]:
        return [path for path in self._incoming.glob("*.mp4") if started_at_ns(path.name) is not None]

    def _filed(self, path: Path) -> Segment | None:
        try:
            segment = describe(self._incoming, path)
        except RecordingError as error:
            self._set_aside(path, str(error))
            return None
        try:
            place, start_ns = self._place_for(segment.started_at_ns)
            fsync(path)
            path.rename(place)
            fsync(place.parent)
            fsync(self._incoming)
        except OSError as error:
            raise RecordingError(f"{path}: cannot be filed: {error.strerror}") from error
        return replace(segment, path=place.relative_to(self._root).as_posix(), started_at_ns=start_ns)

    def _place_for(self, start_ns: int) -> tuple[Path, int]:
        """Where a segment goes: a later second where an earlier run of the same second has left one."""
        while (place := self._root / segment_path(self._camera, start_ns)).exists():
            start_ns += NS_PER_S
        place.parent.mkdir(exist_ok=True)
        return place, start_ns

    def _set_aside(self, path: Path, reason: str) -> None:
        """An empty file holds nothing to keep: a recorder that was killed before its first fragment leaves one."""
        if path.stat().st_size == 0:
            path.unlink()
            return
        broken = self._folder / BROKEN
        broken.mkdir(exist_ok=True)
        path.rename(broken / path.name)
        log.warning("%s: set aside in %s: %s", self._camera, broken, reason)


def make_writable(folder: Path) -> None:
    """See that a folder is there and can be written.

    Raises:
        RecordingError: it cannot; names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise RecordingError(f"recording.root: {folder} cannot be written: {error.strerror}") from error
