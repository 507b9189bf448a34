"""What a supervisor remembers beyond its own life, in the cluster's key-value store: sealed, since it holds passwords.

Ray keeps it as long as the head lives, or longer where that keeps its own state in Redis.
"""

import json
from pathlib import Path
from typing import NamedTuple

from ray.experimental import internal_kv

from raycctv.config import Config
from raycctv.sealing import Sealed

_SPACE = b"raycctv"
_CONFIG = b"config"
_STORAGE_NODES = b"storage_nodes"


class Wanted(NamedTuple):
    """What should run, and the file that it was read from, where that is known."""

    config: Config
    file: Path | None


def remember(wanted: Wanted) -> None:
    """Keep what is wanted."""
    internal_kv._internal_kv_put(_CONFIG, Sealed.of(wanted).data, overwrite=True, namespace=_SPACE)


def remembered() -> Wanted | None:
    """What is wanted, if anything is.

    Raises:
        ClusterError: it was sealed with another token than this node has.
    """
    data = internal_kv._internal_kv_get(_CONFIG, namespace=_SPACE)
    return None if data is None else Sealed[Wanted](data).open()


def remember_storage_nodes(names: set[str]) -> None:
    """Keep which nodes have ever kept footage."""
    internal_kv._internal_kv_put(_STORAGE_NODES, json.dumps(sorted(names)).encode(), overwrite=True, namespace=_SPACE)


def storage_nodes() -> set[str]:
    """Names of nodes that have ever kept footage."""
    data = internal_kv._internal_kv_get(_STORAGE_NODES, namespace=_SPACE)
    return set() if data is None else set(json.loads(data))


def forget() -> None:
    """Nothing is wanted any more."""
    for key in (_CONFIG, _STORAGE_NODES):
        internal_kv._internal_kv_del(key, namespace=_SPACE)
