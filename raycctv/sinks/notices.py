"""Which events somebody is told of. Pure."""

from collections.abc import Collection

from raycctv.types import CameraName, Event


class Notices:
    """Says of each state of an event whether it is worth a notice.

    A fault that comes and goes again and again is told once: an event that begins within ``quiet_ns`` of the beginning of the
    last one that was told of the same camera and kind is left out, with its end.
    """

    def __init__(self, kinds: Collection[str], quiet_ns: int) -> None:
        self._kinds = frozenset(kinds)
        self._quiet_ns = quiet_ns
        self._told: dict[tuple[CameraName, str], Event] = {}

    def wanted(self, event: Event) -> bool:
        """Whether to tell of this state. Ask once for each, in the order in which they come."""
        if event.kind not in self._kinds:
            return False
        about = (event.camera, event.kind)
        last = self._told.get(about)
        if last is not None and last.id != event.id and event.started_at_ns - last.started_at_ns < self._quiet_ns:
            return False
        self._told[about] = event
        return True
