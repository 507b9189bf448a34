"""What faults of nodes cost: footage by the catalogs, analysis by who plays the streams."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sites import Site, analysed, lost_s, recorded_ns
from support import NS, until

from raycctv.clock import SystemClock

SETTLE_S = 5.0
WRITTEN_S = 2.0
AS_BEFORE_S = 300.0


@dataclass
class Cost:
    """A row of the table.

    Attributes:
        from_ns, to_ns: between these instants it is counted.
        unread_s: of the camera that was not read for longest.
        noticed_s: from the fault until Ray took the node for dead.
        again_s: from the fault until every camera was recorded and read.
        unrecorded_s: of the camera of which most was lost.
    """

    fault: str
    from_ns: int
    to_ns: int = 0
    unread_s: float = 0.0
    noticed_s: float | None = None
    again_s: float = 0.0
    unrecorded_s: float = 0.0


@dataclass
class Watch:
    """Asks the RTMP server five times a second who plays what."""

    site: Site
    unread_s: dict[str, float] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _run(self) -> None:
        before_s = time.monotonic()
        while not self._stop.wait(0.2):
            players, now_s = self.site.players(), time.monotonic()
            for name in self.site.names:
                if not players.get(analysed(name)):
                    self.unread_s[name] = self.unread_s.get(name, 0.0) + now_s - before_s
            before_s = now_s


class Bench:
    """Strikes, and keeps what each fault cost.

    Args:
        nodes: those that keep footage.
        costs: gets the rows.
    """

    def __init__(self, site: Site, nodes: Sequence[str], costs: list[Cost]) -> None:
        self.site = site
        self._nodes = nodes
        self.costs: list[Cost] = []
        self._all = costs

    def strike(self, fault: str, cause: Callable[[], float | None], again: Callable[[], bool] | None = None) -> Cost:
        """Cause a fault, and wait until all is as it was."""
        clock = SystemClock()
        cost = Cost(fault, clock.now_ns() - round(2 * NS))
        watch = Watch(self.site)
        with watch.watching():
            began_s = time.monotonic()
            cost.noticed_s = cause()
            until(again or self.served, AS_BEFORE_S)
            cost.again_s = time.monotonic() - began_s
            time.sleep(SETTLE_S)  # what it costs later counts, too
        cost.to_ns = clock.now_ns()
        time.sleep(WRITTEN_S)  # the next fault must not take what counts here
        cost.unread_s = max(watch.unread_s.values(), default=0.0)
        self.costs.append(cost)
        return cost

    def served(self, recorders: int = 1) -> bool:
        """Whether everybody is played by a reader and by so many recorders."""
        players = self.site.players()
        return all(players.get(name, 0) >= recorders and players.get(analysed(name), 0) == 1 for name in self.site.names)

    def count(self) -> None:
        """How much footage each fault has cost; waits until all that was written then is filed."""
        for cost in self.costs:
            until(lambda cost=cost: self._filed(cost.to_ns), 60)  # type: ignore[misc]
            spans = recorded_ns(self.site, self._nodes, cost.from_ns)
            cost.unrecorded_s = max(lost_s(own, cost.from_ns, cost.to_ns) for own in spans.values())
        self._all += self.costs

    def _filed(self, to_ns: int) -> bool:
        spans = recorded_ns(self.site, self._nodes, to_ns)
        return all(own and own[-1][1] >= to_ns for own in spans.values())
