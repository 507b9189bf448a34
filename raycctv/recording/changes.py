"""Cameras that change how they code (another size, another profile) without leaving.

By RTSP the frames say so themselves: the file plays, and is split where :func:`.probe.probe` finds it. By RTMP the server says
so beside the frames, and MP4 has no place for that: what the recorder writes from then on does not play. So a recorder of RTMP
also lists keyframes, with what was told with them (ffmpeg's framehash). The storage actor ends it when the list tells of a
change, takes what it wrote since off its files, and starts the next.
"""

import contextlib
import logging
from pathlib import Path

from raycctv.errors import RecordingError
from raycctv.recording.fragments import cut_before
from raycctv.recording.layout import free_path, recorded_number
from raycctv.recording.probe import Keyframe, position

log = logging.getLogger(__name__)

_HEADER = b"#extradata "
_SIZE, _HASH, _TOLD = 4, 5, 6
"""Fields of a line: stream, dts, pts, duration, size, hash, and where something was told with the keyframe ``S=1``, the size
and hash of that. Source: ffmpeg 5.1, libavformat/hashenc.c."""


class KeyframeList:
    """What a recorder lists at ``path``: two files, of which it begins one anew when the other is full. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._files = [path.with_name(f"{path.name}{number}") for number in (0, 1)]
        self._read_bytes = [0, 0]
        self._first: tuple[bytes, ...] | None = None
        self._changed: Keyframe | None = None

    def changed(self) -> Keyframe | None:
        """The first keyframe that is coded otherwise than what the recorder began with. Cheap: reads what is new.

        Raises:
            RecordingError: the list cannot be read.
        """
        for number, file in enumerate(self._files):
            for line in self._news(number, file):
                self._look_at(line)
        return self._changed

    def forget(self) -> None:
        """The recorder has ended, and what it said is of no more use.

        Raises:
            RecordingError: the disk does not let it go.
        """
        try:
            for file in self._files:
                file.unlink(missing_ok=True)
        except OSError as error:
            raise RecordingError(f"{error.filename}: cannot be deleted: {error.strerror}") from error
        self._read_bytes, self._first, self._changed = [0, 0], None, None

    def _news(self, number: int, file: Path) -> list[bytes]:
        """Whole lines that were written since the last call."""
        try:
            size_bytes = file.stat().st_size
            if size_bytes == self._read_bytes[number]:
                return []
            with file.open("rb") as opened:
                opened.seek(self._read_bytes[number] if size_bytes > self._read_bytes[number] else 0)
                lines = opened.read().splitlines(keepends=True)
                torn_bytes = len(lines.pop()) if lines and not lines[-1].endswith(b"\n") else 0
                self._read_bytes[number] = opened.tell() - torn_bytes
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RecordingError(f"{file}: cannot be read: {error.strerror}") from error
        return lines

    def _look_at(self, line: bytes) -> None:
        """What a header says of coding is what the recorder began with; it may be told again and again."""
        fields = tuple(field.strip() for field in line.split(b","))
        if line.startswith(_HEADER):
            self._first = fields[1:]
        elif (
            self._changed is None and fields[_TOLD : _TOLD + 1] == (b"S=1",) and self._first not in (None, fields[_TOLD + 1 :])
        ):
            self._changed = Keyframe(int(fields[_SIZE]), int(fields[_HASH], 16))


def take_off(incoming: Path, changed: Keyframe, broken: Path) -> None:
    """Take what does not play, from the keyframe ``changed`` on, off what an ended recorder has left in ``incoming``.

    Whole files of that are kept in ``broken``. Idempotent, also after a crash at any point.

    Raises:
        RecordingError: the disk refuses.
    """
    numbered = {path: recorded_number(path.name) for path in incoming.glob("*.mp4")}
    files = sorted((path for path, number in numbered.items() if number is not None), key=lambda path: numbered[path] or 0)
    found = next(((path, at) for path in files if (at := position(path, changed)) is not None), None)
    if found is None:
        return
    first, at = found
    try:
        for path in reversed(files[files.index(first) + 1 :]):  # that of the keyframe last, since it tells of the others
            _move(path, broken)
        if not cut_before(first, at):
            _move(first, broken)
    except OSError as error:
        raise RecordingError(f"{error.filename}: cannot be cut where its camera changed: {error.strerror}") from error


def _move(path: Path, broken: Path) -> None:
    with contextlib.suppress(FileExistsError):
        broken.mkdir()
    target = free_path(broken / path.name)
    path.rename(target)
    log.warning("%s: moved to %s: its camera had changed how it codes", path.name, target)
