"""The configuration file: read, and replaced in one step."""

import difflib
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from raycctv.errors import ConfigError
from raycctv.redact import redact

_JOB_COPY = "working_dir_files"
"""Where Ray puts the copy of a job's working directory. Source: Ray 2.60, _private/runtime_env/working_dir.py."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")


class FileChanged(ConfigError):
    """Somebody else has changed the file since it was read."""


@dataclass(frozen=True, slots=True)
class Version:
    """What the file said at one time.

    Attributes:
        digest: of the text; equal exactly when nothing changed.
    """

    text: str
    digest: str


def read(path: Path) -> Version:
    """The file as it is now, line ends as they stand.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        content = path.read_bytes()
        return Version(content.decode("utf-8"), hashlib.sha256(content).hexdigest())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def hindrance(path: Path | None) -> str | None:
    """Why the file cannot be changed from here; None where it can."""
    if path is None:
        return "it is not known here where the configuration file is; start with `raycctv up FILE`"
    real = path.resolve()
    if _JOB_COPY in real.parts:
        return f"{path} is Ray's copy of a job's folder, and goes with it; start with an absolute path of the file itself"
    if not real.is_file():
        return f"{path} is not on the machine that this console runs on"
    if not os.access(real, os.W_OK) or not os.access(real.parent, os.W_OK):
        return f"{path} and its folder cannot be written by the user that raycctv runs as"
    return None


def replace(path: Path, text: str, expected_digest: str) -> Version:
    """Put ``text`` in place of what the file says, mode and owner kept; whoever reads meanwhile finds the old or the new.

    Raises:
        FileChanged: the file no longer says what ``expected_digest`` was taken of.
        ConfigError: it cannot be written; it is as it was.
    """
    problem = hindrance(path)
    if problem is not None:
        raise ConfigError(problem)
    real = path.resolve()
    if read(real).digest != expected_digest:
        raise FileChanged(f"{path} has been changed meanwhile; load the page again and repeat your change")
    try:
        _replace(real, text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error
    return read(real)


def _replace(path: Path, text: str) -> None:
    was = path.stat()
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            os.fchmod(file.fileno(), was.st_mode & 0o7777)
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def difference(before: str, after: str) -> str:
    """The lines that change, as a unified diff without file names and without passwords."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join(redact(line) for line in list(lines)[2:])


def environment_of(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Values for every ``${NAME}`` of the text, made up where this process has none.

    The console may run where the secrets of the cameras are not: they are needed to run a configuration, not to change one.
    """
    return {name: environment.get(name, "unset") for name in _VARIABLE.findall(text)}
