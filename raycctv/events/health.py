"""Events that say how raycctv and its cameras are. Pure: observations in, changes of events out."""

from dataclasses import replace

from raycctv.clock import iso
from raycctv.types import NO_CAMERA, RECORDING_GAP, Arrival, CameraName, Event


class Fault:
    """One thing that is well or not; once it was not for long enough, that is an event, until it is well again.

    Args:
        after_s: how long that is.
        going_on: an event of an earlier life, which is continued.
    """

    def __init__(self, camera: CameraName, kind: str, after_s: float, going_on: Event | None = None) -> None:
        self._camera = camera
        self._kind = kind
        self._after_s = after_s
        self._event = going_on

    def wrong(self, since_ns: int, lasted_s: float, why: str) -> Event | None:
        """It is not well, since then, and for so long on the monotonic clock; returns the event if it begins now."""
        if self._event is not None or lasted_s < self._after_s:
            return None
        self._event = Event(
            id=_id(self._camera, self._kind, since_ns),
            camera=self._camera,
            kind=self._kind,
            started_at_ns=since_ns,
            ended_at_ns=None,
            labels={},
            zones=(),
            box=(0, 0, 0, 0),
            score=0.0,
            model=None,
            snapshot=None,
            why=why,
        )
        return self._event

    def right(self, at_ns: int) -> Event | None:
        """It is well since then; returns the event, ended, if there was one."""
        if self._event is None:
            return None
        ended = replace(self._event, ended_at_ns=max(at_ns, self._event.started_at_ns))
        self._event = None
        return ended


GAP_S = 15.0
"""Time without footage after which it is missing. Longer than the 10 s of silence after which a reader knows that its camera
has gone, and the seconds by which a recorder writes later than the camera sends."""

_GRACE_S = 60.0
"""Time that readers are given to start, and to say which cameras are away."""


class FootageFault:
    """``recording_gap`` of one camera: it sends, and nothing is written.

    Args:
        footage_ns: when its last footage ended, as far as is known.
        now_s: the monotonic clock.
        going_on: its open event of an earlier life.
    """

    def __init__(self, camera: CameraName, footage_ns: int, now_s: float, going_on: Event | None = None) -> None:
        self._fault = Fault(camera, RECORDING_GAP, GAP_S, going_on)
        self._well = Arrival(footage_ns, now_s + _GRACE_S - GAP_S)
        self._footage: Arrival | None = None

    def look(self, now: Arrival, footage: Arrival | None, offline_since_ns: int | None, words: str) -> Event | None:
        """Returns the event where it begins or ends now.

        Args:
            footage: when footage last came, in this life.
            offline_since_ns: since when the camera is known to be away, None where it is not.
            words: the recorder's last ones.
        """
        if footage is not None and footage != self._footage:
            self._footage = footage
            if now.at_s - footage.at_s < GAP_S:
                self._well = footage
                return self._fault.right(footage.at_ns)
            self._well = Arrival(footage.at_ns, self._well.at_s)  # of a recorder that was found silent
        if offline_since_ns is not None:
            self._well = now
            return self._fault.right(offline_since_ns)
        why = f"no footage since {iso(self._well.at_ns)}, though the camera is not known to be away"
        return self._fault.wrong(self._well.at_ns, now.at_s - self._well.at_s, f"{why}; {words}" if words else why)

    def close(self, at_ns: int) -> Event | None:
        """Nobody looks any more; returns the event, ended, if there was one."""
        return self._fault.right(at_ns)


def _id(camera: CameraName, kind: str, at_ns: int) -> str:
    stamp = iso(at_ns).replace("-", "").replace(":", "")
    return f"{stamp}-{kind}" if camera == NO_CAMERA else f"{stamp}-{camera}-{kind}"
