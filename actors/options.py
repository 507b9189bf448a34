"""How each kind of actor runs on Ray: what it reserves, and what happens when it dies."""

from typing import Any

from actors.names import NAMESPACE

_CONCURRENCY = {"supervisor": 8, "reader": 2, "storage": 3, "sink": 1, "console": 4, "detector": 2}
"""Threads for calls, so that a status is answered while something else is; a detector has others for its questions."""


def options(kind: str, name: str, cpus: float = 0.0, gpus: float = 0.0) -> dict[str, Any]:
    """Options of the actor ``name`` of that kind: named, detached, and restarted for ever when it dies.

    Most reserve no CPU: where they run is planned (:mod:`actors.placement`), and a head without CPUs may keep footage, too.

    A call that an actor had not answered when it died is made again only where that does no harm: by the sink, which knows what
    it has recorded, and by the supervisor, which only makes what runs what is wanted.
    """
    chosen: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",
        "max_restarts": -1,
        "max_task_retries": -1 if kind in ("sink", "supervisor") else 0,
        "num_cpus": cpus,
        "num_gpus": gpus,
        "get_if_exists": True,
    }
    if kind in _CONCURRENCY:
        chosen["max_concurrency"] = _CONCURRENCY[kind]
    return chosen
