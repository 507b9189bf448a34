"""Is something moving? Asked of the sizes of packets, before anything is decoded.

An encoder spends few bytes on a picture that repeats the last one. Where something moves the inter-frame packets grow, a
little for a long time or much at once. Both are found by a cumulative sum (CUSUM) of how far each size lies above the usual,
on a logarithmic scale and in units of the camera's own scatter. What is usual depends on the place in the GOP: an encoder
mends each keyframe for a while. How much is alarming is learned: alarms over nothing raise it, missed motion lowers it.

Source: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954).
"""

import math
from dataclasses import dataclass

_LEARN = 0.02
"""Weight of a new size in the baseline: the last 50 quiet packets, 3 s at 15 a second."""

_KNOWN_AFTER = 30
"""Quiet packets before the baseline means anything."""

_SCATTER_MIN = 0.02
"""Least scatter that is believed, in units of log2: sizes of a drawn picture repeat to the byte."""

_PLACE_KNOWN_AFTER = 3
"""Packets at about the same place in a GOP before they are judged."""

_OUTLIER = 2.0
"""Scatters that a size may lie apart from the usual; beyond, it moves the baseline no further."""

_SLACK = 1.0
"""Scatters above the usual that a size may lie without adding to the sum."""

_STEP_MAX = 4.0
"""What one packet counts for at most, in scatters: many encoders spend much on a single picture now and then, so that only
several large packets close together are an alarm."""

_ALARM, _ALARM_MIN, _ALARM_MAX = 8.0, 4.0, 64.0
_RAISE, _LOWER = 1.5, 0.6


@dataclass
class _Usual:
    """The logarithm of sizes at about one place in the GOP: 1, 2 to 3, 4 to 7, 8 to 15, and so on."""

    mean: float
    seen: int = 0


class PacketGate:
    """Watches the inter-frame packets of one camera. Pure. Keyframes are not for it.

    ``place`` is always how many packets after its keyframe a packet comes, from 1.
    """

    def __init__(self) -> None:
        self._seen = 0
        self._usual: dict[int, _Usual] = {}
        self._scatter = 0.0
        self._sum = 0.0
        self.alarm_at = _ALARM
        """Sum at which it raises an alarm."""
        self.rising = 0
        """The last packets, as many as have come since the sum was 0: what an alarm is about begins with them."""

    @property
    def known(self) -> bool:
        """Whether it has seen enough of a quiet picture."""
        return self._seen >= _KNOWN_AFTER

    def learn(self, size_bytes: int, place: int) -> None:
        """Take a packet of a quiet picture into the baseline."""
        value = math.log2(max(size_bytes, 1))
        usual = self._usual.setdefault(place.bit_length(), _Usual(value))
        outlier = _OUTLIER * max(self._scatter, _SCATTER_MIN) if self.known else math.inf
        apart = max(-outlier, min(value - usual.mean, outlier))
        self._seen += 1
        usual.seen += 1
        usual.mean += max(_LEARN, 1.0 / usual.seen) * apart
        if usual.seen > 1:
            self._scatter += max(_LEARN, 1.0 / self._seen) * (abs(apart) - self._scatter)

    def alarmed(self, size_bytes: int, place: int) -> bool:
        """Take in one more packet; whether the last ones are larger than a quiet picture's."""
        usual = self._usual.get(place.bit_length())
        if usual is None or usual.seen < _PLACE_KNOWN_AFTER:
            return False
        scatters = (math.log2(max(size_bytes, 1)) - usual.mean) / max(self._scatter, _SCATTER_MIN)
        self._sum = max(0.0, self._sum + min(scatters, _STEP_MAX) - _SLACK)
        self.rising = self.rising + 1 if self._sum else 0
        return self._sum >= self.alarm_at

    @property
    def calm(self) -> bool:
        """Whether the last packets were about as large as usual."""
        return self._sum < self.alarm_at / 2

    def rest(self) -> None:
        """Forget what has summed up."""
        self._sum, self.rising = 0.0, 0

    def was_wrong(self) -> None:
        """Its alarm was about nothing."""
        self.alarm_at = min(self.alarm_at * _RAISE, _ALARM_MAX)

    def has_missed(self) -> None:
        """There was motion of which it said nothing."""
        self.alarm_at = max(self.alarm_at * _LOWER, _ALARM_MIN)
