"""Where the real footage lies: ``vtest.avi``, 79.5 s of pedestrians on a campus. Source: OpenCV's samples, Apache-2.0."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from raycctv.errors import RaycctvError

VTEST = "vtest.avi"
VTEST_MD5 = "d401fe2028f78dd585e2ade0a0d678c0"
VTEST_FRAMES, VTEST_FPS = 795, 10

_DEBIAN = Path("/usr/share/doc/opencv-doc/examples/data")


class FootageMissing(RaycctvError):
    """The demo's footage is not on this machine."""


def footage_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Where ``make setup`` puts footage, and where scenes made from it are kept: in the user's cache."""
    cache = Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "raycctv" / "footage"


def vtest(folder: Path | None = None) -> Path:
    """The path of ``vtest.avi``, whole.

    Raises:
        FootageMissing: it is nowhere, or is another file; says what fetches it.
    """
    places = [folder] if folder is not None else [footage_dir(), _DEBIAN]
    for place in places:
        path = place / VTEST
        if path.is_file() and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == VTEST_MD5:
            return path
    raise FootageMissing(f"{VTEST} is not in {' or '.join(map(str, places))}; `make setup` fetches it")
