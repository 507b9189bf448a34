"""One camera's recorder, kept running, and what it has finished."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from raycctv.clock import NS_PER_S, Clock
from raycctv.config import Recording, StreamUrl
from raycctv.errors import RecordingError
from raycctv.process import DetachedProcess, KeptProcess
from raycctv.recording.changes import KeyframeList, take_off
from raycctv.recording.command import AUDIO_REFUSED, SILENCE_S, keyframes_path, record_command
from raycctv.recording.filing import HEADER_BYTES, described, file_closed, open_files, set_aside
from raycctv.recording.layout import BROKEN, RUN_DIR, incoming_dir, make_writable
from raycctv.types import Arrival, CameraName, Segment

__all__ = ["RUN_DIR", "Recorder", "make_writable"]

log = logging.getLogger(__name__)

_FLOWING_S = 5.0
"""Time since the file last grew within which footage counts as arriving; a fragment is written about once a second."""

_STALLED_S = SILENCE_S + 5.0
"""Time without a byte after which a recorder that had been writing is ended: it should have given up by itself before."""

_FROZEN_S = 3.0
"""Time for which a recorder may be stopped from outside."""


class Recorder:
    """An ffmpeg that writes one camera's stream to disk. It outlives this object; the next one adopts it.

    Call :meth:`check` and :meth:`watch` again and again. Not thread-safe.

    Raises:
        RecordingError: the camera's folder cannot be written.
    """

    def __init__(self, camera: CameraName, source: StreamUrl, recording: Recording, clock: Clock) -> None:
        self.camera = camera
        self._root = recording.root
        self._clock = clock
        self._incoming = incoming_dir(recording.root, camera)
        self._copying = record_command(camera, source, recording)
        self._keyframes = KeyframeList(keyframes_path(recording.root, camera))
        self._transcoding = record_command(camera, source, recording, transcode_audio=True)
        self._written: tuple[Path, int] | None = None
        self._grew_s: float | None = None
        self._footage: Arrival | None = None
        self._frozen_since_s: float | None = None
        self._earlier_starts = 0
        make_writable(self._incoming)
        self._kept = self._keeper(self._command_running() or self._copying)

    @property
    def pid(self) -> int | None:
        """The recorder's process, if it runs."""
        process = self._kept.process
        return None if process is None else process.pid

    @property
    def starts(self) -> int:
        """Processes that were started here; an adopted one does not count."""
        return self._earlier_starts + self._kept.starts

    @property
    def last_error(self) -> str:
        """What the last process that ended said, without passwords."""
        return self._kept.last_error

    @property
    def recording(self) -> bool:
        """Whether footage was arriving at the last :meth:`watch`; a recorder also waits for cameras that are away."""
        return self.pid is not None and self._grew_s is not None and self._clock.monotonic_s() - self._grew_s < _FLOWING_S

    @property
    def footage(self) -> Arrival | None:
        """When footage last came, as far as :meth:`watch` has seen; a file that holds only a header is none."""
        return self._footage

    @property
    def writing_since_ns(self) -> int | None:
        """When the first frame came of the file that was being written at the last :meth:`watch`. Reads the file."""
        if self._written is not None:
            with contextlib.suppress(RecordingError, FileNotFoundError):  # no frame yet, or filed meanwhile
                return described(self._root, self.camera, self._written[0]).started_at_ns
        return None

    def check(self) -> bool:
        """Start the recorder if it should be started now. Returns whether it ran before this call. Cheap: four times a second.

        Raises:
            RecordingError: it cannot be started, or its folder cannot be written.
        """
        self._end_if_camera_changed()
        if self._kept.process is not None:
            return True
        self._written = self._grew_s = self._frozen_since_s = None
        make_writable(self._incoming)
        set_aside(self._incoming)
        self._keyframes.forget()
        ran = self._kept.check()
        if not ran and AUDIO_REFUSED in self.last_error and self._kept.argv == tuple(self._copying):
            self._transcode_audio()
        return ran

    def watch(self) -> None:
        """Notice whether footage arrives, and end a recorder that hangs; :meth:`check` starts the next. About once a second.

        Raises:
            RecordingError: it cannot be ended.
        """
        self._notice_growth()
        self._end_if_stuck()

    def collect(self) -> Iterator[Segment]:
        """File what is closed, one segment at each step; insert its row before the next step.

        Raises:
            RecordingError: the disk refuses; the file stays for the next call.
        """
        self._end_if_camera_changed()
        return file_closed(self._root, self.camera, self.pid)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the recorder, which finishes its file. Idempotent."""
        self._kept.stop(timeout_s)

    def _keeper(self, argv: list[str]) -> KeptProcess:
        return KeptProcess(self._process_name, argv, self._root / RUN_DIR, self._clock)

    @property
    def _process_name(self) -> str:
        return f"recorder-{self.camera}"

    def _command_running(self) -> list[str] | None:
        process = DetachedProcess.adopt(self._process_name, self._root / RUN_DIR)
        commands = (self._copying, self._transcoding)
        return next((argv for argv in commands if process is not None and process.runs(argv)), None)

    def _end_if_stuck(self) -> None:
        """A recorder that hangs keeps its pid, and would never be missed otherwise."""
        now_s = self._clock.monotonic_s()
        process = self._kept.process
        frozen = process is not None and process.frozen()
        self._frozen_since_s = (self._frozen_since_s or now_s) if frozen else None
        silent_s = 0.0 if self._grew_s is None else now_s - self._grew_s
        if frozen and self._frozen_since_s is not None and now_s - self._frozen_since_s >= _FROZEN_S:
            log.warning("%s: its recorder was stopped from outside, and is replaced", self.camera)
        elif process is not None and silent_s > _STALLED_S and not process.waits_for_disk():
            log.warning("%s: its recorder has written nothing for %.0f s, and is replaced", self.camera, silent_s)
        else:
            return
        self._kept.stop(timeout_s=2.0)

    def _end_if_camera_changed(self) -> None:
        """What it writes from the change on does not play: :mod:`.changes`. The next one begins as the stream is then."""
        changed = self._keyframes.changed()
        if changed is not None:
            log.info("%s: its camera changed how it codes; its recorder starts anew", self.camera)
            self._kept.stop(timeout_s=2.0)
            take_off(self._incoming, changed, self._root / self.camera / BROKEN)
            self._keyframes.forget()

    def _transcode_audio(self) -> None:
        log.warning("%s: its sound does not fit into MP4 and is recorded as AAC from now on", self.camera)
        self._kept.stop()
        self._earlier_starts += self._kept.starts
        self._kept = self._keeper(self._transcoding)
        self._kept.check()

    def _notice_growth(self) -> None:
        """Notice whether the file that is being written has grown."""
        with contextlib.suppress(FileNotFoundError):  # somebody has deleted it under the recorder
            written = next(((path, path.stat()) for path in open_files(self.pid, self._incoming)), None)
            before, self._written = self._written, None if written is None else (written[0], written[1].st_size)
            if written is not None and self._written != before:
                self._grew_s = self._clock.monotonic_s()
                if written[1].st_size > HEADER_BYTES:
                    # of an adopted recorder it is not known when it last wrote, but to its file
                    age_s = 0.0 if before else max(self._clock.now_ns() - written[1].st_mtime_ns, 0) / NS_PER_S
                    self._footage = Arrival(written[1].st_mtime_ns, self._grew_s - age_s)
