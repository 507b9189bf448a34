"""What an actor does that Ray has started anew: it has forgotten what it was told."""

from contextlib import suppress

import ray

from actors import names


def ask_again(name: str) -> None:
    """Ask the supervisor to say again what this actor, called ``name``, should do, if it is not in its first life."""
    if ray.get_runtime_context().was_current_actor_reconstructed:
        with suppress(ValueError):  # no supervisor: the next one tells everybody
            ray.get_actor(names.SUPERVISOR, namespace=names.NAMESPACE).tell.remote(name)
