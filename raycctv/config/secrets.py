"""Passwords for ``${NAME}`` in a configuration, from a file that nobody else may read.

Where a job reads a configuration, the environment is that of the cluster's head, and what a job brings along in its runtime
environment everybody sees who sees the dashboard. So the head has a file::

    # ~/.config/raycctv/secrets.env, mode 600
    GATE_PASSWORD=...
"""

import os
import re
import stat
from pathlib import Path

from raycctv.errors import ConfigError

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<quote>[\"']?)(?P<value>.*)(?P=quote)\s*")


def secrets_file() -> Path:
    """Where it is: ``$XDG_CONFIG_HOME/raycctv/secrets.env``, by default in ``~/.config``."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config", "raycctv", "secrets.env")


def environment() -> dict[str, str]:
    """What the file says, and before it the process's own environment.

    Raises:
        ConfigError: others may read the file, or a line is not ``NAME=value``; never says what stands there.
    """
    path = secrets_file()
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return dict(os.environ)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: holds passwords and others may read it; chmod 600 {path}")
    return {**dict(_parsed(path, text)), **os.environ}


def _parsed(path: Path, text: str) -> "list[tuple[str, str]]":
    found: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ConfigError(f"{path}, line {number}: write NAME=value")
        found.append((match["name"], match["value"]))
    return found
