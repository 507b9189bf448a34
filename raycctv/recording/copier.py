"""Second copies made in the background, so that a store that is slow, gone or hangs delays nothing else."""

import logging
import threading
from collections import Counter

from raycctv.backoff import Backoff
from raycctv.clock import NS_PER_S, Clock
from raycctv.config import Recording, SecondCopy
from raycctv.errors import RaycctvError
from raycctv.recording.catalog import CATALOG_NAME, Catalog
from raycctv.recording.copy import Store, copy_round
from raycctv.types import Copy, Segment

log = logging.getLogger(__name__)

_LOOK_S = 2.0
_RECENT_S = 3600.0
_ALL_S = 3600.0
"""A look costs by the number of events. So mostly only those are looked at that ended lately, and once an hour all of them:
there may be one that the sink could not write for long, or a catalog that was made anew."""

_HUNG_S = 600.0
_CLOSE_S = 5.0


class Copier:
    """Copies the footage of object events until :meth:`close`. All that it knows is in the catalog and the store.

    Attributes:
        owed: paths of the segments that are still to be copied, as far as they have been looked for.
        copied: segments that were copied, or whose copies were found whole, since the start.

    Raises:
        CatalogError: the catalog cannot be used.
    """

    def __init__(self, recording: Recording, copies: SecondCopy, clock: Clock) -> None:
        self.owed: frozenset[str] = frozenset()
        self.copied = 0
        self._root = recording.root
        self._copies = copies
        self._clock = clock
        self._catalog = Catalog(recording.root / CATALOG_NAME)
        # the footage of an event is filed up to a segment after it
        self._recent_ns = round((_RECENT_S + copies.post_roll + 2 * recording.segment_s) * NS_PER_S)
        self._failures: Counter[str] = Counter()
        self._error: str | None = None
        self._all_due_s = self._finished_s = clock.monotonic_s()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="second copies", daemon=True)
        self._thread.start()

    @property
    def error(self) -> str | None:
        """What hinders it now, without passwords."""
        silent_s = self._clock.monotonic_s() - self._finished_s
        if silent_s > _HUNG_S:
            return f"{self._copies.to}: nothing was finished for {silent_s / 60:.0f} min; it hangs, or is slow"
        return self._error

    def close(self) -> None:
        """Stop after the chunk that is under way. A store that hangs is waited for only 5 s, and left."""
        self._stop.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        backoff = _backoff()
        while not self._stop.is_set():
            error = self._guarded_round()
            if self._stop.is_set():
                break
            if error is not None and error != self._error:
                log.error("second copy: %s", error)
            self._error, self._finished_s = error, self._clock.monotonic_s()
            if error is None:
                backoff = _backoff()
                self._stop.wait(0 if self.owed else _LOOK_S)
            else:
                self._stop.wait(backoff.after(lasted_s=0))
        self._catalog.close()

    def _guarded_round(self) -> str | None:
        """Copy a batch of what is owed; returns what has hindered that."""
        try:
            failed = self._round()
        except RaycctvError as error:
            return str(error)
        except Exception as error:  # one bad round must not end the copying
            log.exception("second copy: a round failed; going on")
            return f"{error!r}"
        self._failures.update(failed.keys())
        return next(iter(failed.values()), None)

    def _round(self) -> dict[str, str]:
        now_s = self._clock.monotonic_s()
        everything = now_s >= self._all_due_s
        segments = self._due(since_ns=0 if everything else self._clock.now_ns() - self._recent_ns)
        self.owed = frozenset(segment.path for segment in segments)
        failed: dict[str, str] = {}
        if segments:
            segments.sort(key=lambda segment: self._failures[segment.path])  # what cannot be copied hinders no other
            failed = copy_round(Store(self._copies.to), self._root, segments, self._clock, self._stop, self._note)
        if self.owed:
            self._all_due_s = now_s
        elif everything:
            self._all_due_s = now_s + _ALL_S
            self._failures.clear()
        return failed

    def _due(self, since_ns: int) -> list[Segment]:
        pre_roll_ns, post_roll_ns = (round(roll * NS_PER_S) for roll in (self._copies.pre_roll, self._copies.post_roll))
        return self._catalog.due_copies(pre_roll_ns, post_roll_ns, since_ns)

    def _note(self, copy: Copy) -> None:
        self._catalog.add_copy(copy)
        with self._lock:
            self.owed -= {copy.path}
            self.copied += 1
            self._finished_s = self._clock.monotonic_s()


def _backoff() -> Backoff:
    return Backoff(first_s=1.0, longest_s=60.0)
