"""Processes that outlive whoever started them, and processes that must not.

A recorder must go on when the actor that started it is killed, and when all of Ray is. Measured: a child in the
actor's own session dies with it, and Ray also ends an actor's direct children that have a session of their own. So
a process is started detached (own session, and not our child), and known by its pid file::

    <run folder>/<name>.pid   JSON, mode 0600: pid, start time in clock ticks since boot, boot id, command digest

A pid alone proves nothing, since the kernel uses pids again; pid, start time and boot together do.
"""

import contextlib
import ctypes
import hashlib
import json
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from raycctv.backoff import Backoff
from raycctv.clock import Clock
from raycctv.errors import RecordingError
from raycctv.redact import redact

log = logging.getLogger(__name__)

_LAST_LINES = 4
_KILLED_S = 5.0
"""Time in which the kernel ends what was killed, unless it holds it in a call that never returns."""

_ADDRESS = re.compile(r"\[(\w+) @ 0x[0-9a-f]+\] ")
"""Where in memory a part of ffmpeg lives: nothing that anybody wants to read, and different each time."""

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# A shell puts the command into its own session and exits, so that init adopts it; `exec` keeps the pid it printed.
_DETACH = 'errors="$1"; shift; setsid "$@" </dev/null >/dev/null 2>"$errors" & echo $!'


@dataclass(frozen=True)
class _Identity:
    """What tells one process from every other that ever had its pid."""

    pid: int
    start_ticks: int
    boot_id: str
    command_digest: str
    command: str

    @classmethod
    def of(cls, pid: int, argv: Sequence[str]) -> "_Identity":
        return cls(pid, _start_ticks(pid) or 0, _boot_id(), _digest(argv), redact(" ".join(argv)))

    def alive(self) -> bool:
        return self.boot_id == _boot_id() and _start_ticks(self.pid) == self.start_ticks


def die_with_parent() -> None:
    """For ``preexec_fn``: the kernel ends the new process when the thread that started it is gone. Source: prctl(2)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class DetachedProcess:
    """A process with a pid file. It may have been started by somebody who is long gone."""

    def __init__(self, identity: _Identity, pid_file: Path) -> None:
        self._identity = identity
        self._pid_file = pid_file

    @classmethod
    def start(cls, name: str, argv: Sequence[str], run_dir: Path) -> "DetachedProcess":
        """Start ``argv`` detached, its standard error in ``<run_dir>/<name>.stderr``, its clock zone UTC.

        Raises:
            RecordingError: the run folder cannot be written, or there is no such program.
        """
        try:
            run_dir.mkdir(parents=True, exist_ok=True)
            errors = _stderr_file(run_dir, name)
            errors.unlink(missing_ok=True)
            os.close(os.open(errors, os.O_CREAT | os.O_WRONLY, 0o600))
            shell = subprocess.run(
                ["/bin/sh", "-c", _DETACH, "sh", str(errors), *argv],
                stdout=subprocess.PIPE, check=True, text=True, env={**os.environ, "TZ": "UTC"},
            )  # fmt: skip
            identity = _Identity.of(int(shell.stdout), argv)
            pid_file = _pid_file(run_dir, name)
            try:
                _write_pid_file(pid_file, identity)
            except OSError:
                os.kill(identity.pid, signal.SIGKILL)  # nobody would know of it, and a second would be started beside it
                raise
        except (OSError, subprocess.CalledProcessError) as error:
            raise RecordingError(f"{name}: cannot be started in {run_dir}: {error}") from error
        return cls(identity, pid_file)

    @classmethod
    def adopt(cls, name: str, run_dir: Path) -> "DetachedProcess | None":
        """The process of that name if it still runs, whoever started it; otherwise None."""
        pid_file = _pid_file(run_dir, name)
        try:
            identity = _Identity(**json.loads(pid_file.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s: unreadable pid file, taken as not running: %s", pid_file, error)
            return None
        return cls(identity, pid_file) if identity.alive() else None

    @property
    def pid(self) -> int:
        return self._identity.pid

    def alive(self) -> bool:
        """Whether it runs; a zombie does not."""
        return self._identity.alive()

    def frozen(self) -> bool:
        """Whether it is stopped from outside (SIGSTOP, a debugger): alive, but doing nothing."""
        return self.alive() and _state(self.pid) in ("T", "t")

    def waits_for_disk(self) -> bool:
        """Whether the kernel holds it in a call to a disk; it cannot be ended then."""
        return self.alive() and _state(self.pid) == "D"

    def runs(self, argv: Sequence[str]) -> bool:
        """Whether it was started with exactly this command."""
        return self._identity.command_digest == _digest(argv)

    def last_words(self) -> str:
        """The last lines of its standard error, without passwords; also takes the passwords out of the file."""
        errors = self._pid_file.with_suffix(".stderr")
        try:
            text = redact(errors.read_text(errors="replace"))
            errors.write_text(text)
        except OSError:
            return ""
        lines = [_ADDRESS.sub("", line).strip() for line in text.splitlines() if line.strip()]
        return " | ".join(lines[-_LAST_LINES:])

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it is gone; a stranger with its pid is never hit."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it: politely (SIGTERM, on which ffmpeg finishes its file), and after ``timeout_s`` not. Idempotent."""
        stop_all([self], timeout_s)


def stop_all(processes: Sequence[DetachedProcess], timeout_s: float = 10.0) -> None:
    """End several processes at once, waiting for all of them together.

    Raises:
        RecordingError: one cannot be killed, since the kernel holds it.
    """
    for process in processes:
        process.signal(signal.SIGTERM)
        process.signal(signal.SIGCONT)  # a frozen process cannot hear that it should end
    deadline = time.monotonic() + timeout_s
    while any(process.alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in processes:
        if process.alive():
            log.warning("pid %d did not end in %g s and is killed", process.pid, timeout_s)
            process.signal(signal.SIGKILL)
    deadline = time.monotonic() + _KILLED_S
    while any(process.alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.01)
    for process in processes:
        if process.alive():
            raise RecordingError(f"pid {process.pid} cannot be killed: it waits for a disk or a network share that hangs")
        process.last_words()
        process._pid_file.unlink(missing_ok=True)


class KeptProcess:
    """A detached process that is looked after: adopted if it runs, started if not, started again with backoff.

    Call :meth:`check` about once a second. It does no waiting of its own.
    """

    def __init__(self, name: str, argv: Sequence[str], run_dir: Path, clock: Clock, backoff: Backoff | None = None) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.starts = 0
        self.last_error = ""
        self._run_dir = run_dir
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._started_s = clock.monotonic_s()
        self._next_start_s = self._started_s
        self._process = self._adopted()

    @property
    def process(self) -> DetachedProcess | None:
        """The process, if one runs. Asks the kernel."""
        return self._process if self._process is not None and self._process.alive() else None

    def check(self) -> bool:
        """Start it if it should be started now. Returns whether it ran before this call.

        Raises:
            RecordingError: it cannot be started.
        """
        if self.process is not None:
            return True
        now_s = self._clock.monotonic_s()
        if self._process is not None:
            self._bury(now_s)
        if now_s >= self._next_start_s:
            self._process = DetachedProcess.start(self.name, self.argv, self._run_dir)
            self._started_s = now_s
            self.starts += 1
        return False

    def stop(self, timeout_s: float = 10.0) -> None:
        """End it and look after it no longer. Idempotent."""
        if self._process is not None:
            self._process.stop(timeout_s)
            self._process = None

    def _adopted(self) -> DetachedProcess | None:
        process = DetachedProcess.adopt(self.name, self._run_dir)
        if process is not None and not process.runs(self.argv):
            log.info("%s: pid %d runs another command and is replaced", self.name, process.pid)
            process.stop()
            return None
        if process is not None:
            log.info("%s: adopted pid %d", self.name, process.pid)
        return process

    def _bury(self, now_s: float) -> None:
        assert self._process is not None
        self.last_error = self._process.last_words()
        self._process = None
        wait_s = self._backoff.after(lasted_s=now_s - self._started_s)
        self._next_start_s = now_s + wait_s
        log.info("%s: ended; again in %.2g s%s", self.name, wait_s, f": {self.last_error}" if self.last_error else "")


def _write_pid_file(pid_file: Path, identity: _Identity) -> None:
    """Whole or not at all."""
    draft = pid_file.with_suffix(".pid.new")
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(identity), file)
    draft.replace(pid_file)


def _pid_file(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.pid"


def _stderr_file(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.stderr"


def _digest(argv: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(argv).encode()).hexdigest()


@cache
def _boot_id() -> str:
    return _BOOT_ID.read_text().strip()


def _start_ticks(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot; None if there is none or it is a zombie."""
    fields = _stat(pid)
    return None if not fields or fields[0] in "ZX" else int(fields[19])


def _state(pid: int) -> str:
    """One letter, empty where there is no such process."""
    return next(iter(_stat(pid)), "")


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; empty where there is none. Source: proc(5), /proc/pid/stat."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - four times a second for each recorder; Path costs twice as much
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []
