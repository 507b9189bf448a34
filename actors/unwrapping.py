"""Errors as they were raised, without what Ray wraps them in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from raycctv import errors
from raycctv.errors import ClusterError, RaycctvError

_WRITTEN_ERROR = re.compile(r"raycctv\.errors\.(?P<name>\w+): (?P<message>.+)")


@contextmanager
def own_errors(what: str) -> Iterator[None]:
    """Ray's wrappers off: an error that an actor raised on purpose is that error, everything else a ClusterError."""
    try:
        yield
    except RayTaskError as error:
        raise _cause(error, what) from error
    except GetTimeoutError as error:
        raise ClusterError(f"{what} in time; `ray list actors` shows which") from error
    except RayError as error:
        raise _cause(error, what) from error


def _cause(error: BaseException, what: str) -> RaycctvError:
    """The RaycctvError below Ray's wrappers, or a ClusterError with their last line.

    Of an actor that failed to start Ray hands on the text alone, whose last line is that error's class and message.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, RaycctvError) and not isinstance(seen, RayError):  # Ray's wrapper of one is both
            return seen
        seen = getattr(seen, "cause", None) or seen.__cause__
    last = last_line(error)
    written = _WRITTEN_ERROR.fullmatch(last)
    if written is not None and written["name"] in errors.__all__:
        raised: RaycctvError = getattr(errors, written["name"])(written["message"])
        return raised
    return ClusterError(f"{what}: {last}")


def last_line(error: BaseException) -> str:
    """What it says, or its class where it says nothing."""
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
