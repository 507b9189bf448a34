"""What must be done so that what runs becomes what is wanted. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Actions:
    """Actor names, each in the order of starting."""

    stop: list[str]
    start: list[str]


def reconcile(wanted: Mapping[str, str], observed: Mapping[str, str | None]) -> Actions:
    """Compare actors by name and configuration digest; an observed digest is None where the actor did not say.

    An actor with another digest is stopped and started: an actor's arguments are those of its first start. One that did
    not answer is left alone, since Ray restarts it; one that is as wanted is not touched.
    """
    changed = [name for name, digest in wanted.items() if observed.get(name) not in (digest, None)]
    unwanted = [name for name in observed if name not in wanted]
    missing = [name for name in wanted if name not in observed]
    return Actions(stop=unwanted + changed, start=[name for name in wanted if name in missing or name in changed])
