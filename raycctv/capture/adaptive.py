"""Decode as little as the scene allows.

Decoding is what costs: a picture that is demuxed but not decoded costs next to nothing. So of a quiet camera only keyframes
are decoded, and the packets since the one before are kept, as coded bytes. Whoever analyses says after each frame how things
stand (:class:`raycctv.types.Stance`), and of a keyframe whether it tells another story than the last (:class:`Attention`). The
ways of decoding (:class:`Mode`):

- *watching*: keyframes alone, and every third one where the gate has proved itself. A keyframe that differs, or inter-frame
  packets that grow (:mod:`.packet_gate`), wake it. A gate that a keyframe knows better than must prove itself anew.
- *everything*: after waking, while something happens. The kept packets are decoded first, so that what happened before the
  waking is seen too; such frames are *late*. Packets that grow say when that began, and only what is near that is decoded.
- *skimming*: the first frames of each GOP. Three of them are enough to hold a known object that stands still. While the
  machine is busy they must do for one that walks, too, and half a second for what is not known yet; while it is full the
  keyframe alone, and a quarter of a second.
- *catching up*: keyframes alone, whatever they show, until what comes is no longer old.

Now and then a quiet GOP is decoded whole (*audit*). What it finds has been missed, and moves the gate's threshold. A camera
whose gate misses too often, or whose GOP cannot be kept, is decoded whole and says why (:attr:`AdaptiveDecoder.fallback`).
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Protocol

from raycctv.capture.decoder import Decoder, Timeline
from raycctv.capture.hardware import accelerated
from raycctv.capture.packet_gate import PacketGate
from raycctv.capture.packets import StreamInfo
from raycctv.clock import NS_PER_S
from raycctv.config import Decode
from raycctv.types import CameraName, Fallback, Frame, Packet, Pressure, Stance

log = logging.getLogger(__name__)

CODECS = frozenset({"h264", "hevc"})
"""Codecs whose keyframes stand alone."""

KEPT_BYTES_MAX = 12_000_000
"""Coded bytes of one GOP that are kept: 24 s at 4 Mbit/s. Two GOPs are kept of each camera, and up to four short ones."""

GOP_MAX_S = 15.0
"""Longest GOP that is watched: what happens between two keyframes is seen at the second at the latest."""

LEFT_OUT_MAX_S = 5.0
"""Longest time between two keyframes that are looked at, but for the last GOP: so something that only keyframes show is found
within seven and a half seconds."""

_LEFT_OUT = 2
"""Keyframes left out one after the other."""

_UNFORESEEN = 10
"""Pictures before a keyframe in which something moves, about which the gate says nothing, until it has slept."""

_BEFORE_ALARM = 10
"""Packets before those that raised an alarm whose GOP is decoded too: what begins slowly shows in no single packet."""

SKIM_GOP_MAX_S = 2.5
"""Longest GOP of which the first frames are enough: an object must be seen again before it counts as lost (3 s)."""

_HELD_FRAMES = 3
"""Frames of a GOP that are skimmed to hold known objects: two show what moves, and the decoder has a third to reorder."""

_UNCLEAR_S, _UNCLEAR_FULL_S = 0.5, 0.25
"""What is skimmed of a GOP while things are unclear: at 5 looks a second enough for three views, which make an event; while the
machine is full for two, so that it takes two GOPs."""

_AWAKE_S = 0.6
"""Time after waking before an alarm can turn out to have been about nothing: motion starts with two frames of it."""

_BACKWARD_S = 1.0
"""A longer step back than this is a camera that has begun to count anew."""

_AUDIT_FIRST_S = 8.0
_AUDITS_KEPT = 10
_CLEAN = 3
_MISSES_MAX = 3
"""A gate that misses motion in so many of the last ten audits is not trusted."""


Pressed = Callable[[], Pressure]


class Mode(Enum):
    """How much is decoded."""

    EVERYTHING = "everything"
    WATCHING = "watching"
    SKIMMING = "skimming"
    CATCHING_UP = "catching up"


class Attention(Protocol):
    """Whoever looks at the frames."""

    @property
    def stance(self) -> Stance:
        """How things stand after the frames given so far."""
        ...

    def differs(self, frame: Frame) -> bool:
        """Whether ``frame``, which was not given yet, shows anything that is not accounted for. Changes nothing."""
        ...


@dataclass
class DecodeStats:
    """What the decoder of one connection did.

    Attributes:
        wakes: by what woke it: ``keyframe``, ``packets``.
        false_wakes: after which nothing was found.
        audits, audit_misses: quiet GOPs decoded whole; those with motion in them.
    """

    wakes: dict[str, int] = field(default_factory=lambda: {"keyframe": 0, "packets": 0})
    false_wakes: int = 0
    audits: int = 0
    audit_misses: int = 0


@dataclass
class _Gop:
    """The packets since a keyframe; ``looked`` when that has been decoded."""

    overflown: bool = False
    looked: bool = False
    packets: list[Packet] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, packet: Packet) -> None:
        self.packets.append(packet)
        self.size_bytes += packet.size_bytes

    @property
    def last_s(self) -> float:
        return _time_s(self.packets[-1]) if self.packets else -math.inf

    @property
    def place(self) -> int:
        """How many packets after the keyframe the newest came."""
        return len(self.packets) - 1

    @property
    def duration_s(self) -> float:
        return _time_s(self.packets[-1]) - _time_s(self.packets[0])

    @property
    def full(self) -> bool:
        return self.size_bytes > KEPT_BYTES_MAX or self.duration_s > GOP_MAX_S


def open_decoder(
    camera: CameraName, info: StreamInfo, timeline: Timeline, attention: Attention, settings: Decode, pressed: Pressed
) -> "AdaptiveDecoder | Decoder":
    """A decoder for one connection, that decodes as little as the settings and the stream allow."""
    info = accelerated(camera, info, settings.hardware)
    if settings.mode == "all":
        return Decoder(camera, info, timeline, fallback=Fallback.SETTINGS, reason="decode.mode is all")
    if info.codec not in CODECS:
        reason = f"adaptive decode knows {', '.join(sorted(CODECS))}, not {info.codec}"
        return Decoder(camera, info, timeline, fallback=Fallback.CODEC, reason=reason)
    pressed = _leaned(pressed) if settings.mode == "lean" else pressed
    return AdaptiveDecoder(camera, info, timeline, attention, settings.audit_s, pressed)


class AdaptiveDecoder:
    """Decodes what is needed of one connection, and gives each frame once, in the order of time.

    Args:
        timeline: is asked once for each packet, when it comes.
        audit_s: time between two audits of a quiet camera; the first ones come sooner.
        pressed: how much time there is for decoding.
    """

    def __init__(
        self, camera: CameraName, info: StreamInfo, timeline: Timeline, attention: Attention, audit_s: float, pressed: Pressed
    ) -> None:
        self.stats = DecodeStats()
        self.mode = Mode.EVERYTHING
        self.late = False
        self._camera = camera
        self._arrivals = _Arrivals(timeline)
        self._decoder = Decoder(camera, info, self._arrivals)
        self._attention = attention
        self._pressed = pressed
        self._pressure = Pressure.NONE
        self._gate = PacketGate()
        self._audits = _Audits(audit_s)
        self._gop = _Gop()
        self._before: list[_Gop] = []
        self._gop_s: float | None = None
        self._standing = 0
        self._broken = False
        self._given_s = -math.inf
        self._woken: tuple[str, int] | None = None
        self._stirred = 0

    @property
    def decoded(self) -> int:
        """Pictures decoded, those included that were decoded twice."""
        return self._decoder.decoded

    @property
    def watching(self) -> bool:
        """Whether nothing happens, so that most packets are only kept."""
        return self.mode is Mode.WATCHING

    @property
    def corrupt(self) -> int:
        """Packets and pictures that could not be decoded whole."""
        return self._decoder.corrupt

    @property
    def fallback(self) -> Fallback | None:
        """Why everything is decoded, where that is not because of what is seen."""
        if self._gop.overflown or any(gop.overflown for gop in self._before):
            return Fallback.GOP
        if self._audits.misses >= _MISSES_MAX:
            return Fallback.MISSES
        return Fallback.LEARNING if self._gop_s is None or not self._gate.known else None

    @property
    def reason(self) -> str | None:
        """The same in words."""
        words = {
            Fallback.GOP: f"more than {GOP_MAX_S:g} s or {KEPT_BYTES_MAX} bytes from keyframe to keyframe",
            Fallback.MISSES: f"motion missed in {self._audits.misses} of the last {_AUDITS_KEPT} audits",
            Fallback.LEARNING: "learning what is usual",
        }
        return None if self.fallback is None else words[self.fallback]

    def status(self) -> dict[str, Any]:
        """What is decoded, why, and what has led to it."""
        how = {"mode": self.mode.value, "fallback": self.fallback, "reason": self.reason, "device": self._decoder.device}
        return {**how, **asdict(self.stats), "alarm_at": round(self._gate.alarm_at, 1)}

    def decode(self, packet: Packet) -> Iterator[Frame]:
        """The frames to look at now that ``packet`` has come. Look at each before asking for the next.

        While :attr:`late` is set they are from before: they were skipped when they came.
        """
        self._arrivals.note(packet)
        self._pressure = self._pressed()
        yield from self._keep(packet)
        self._give_way(packet)
        if self.mode is Mode.EVERYTHING:
            yield from self._advance()
        elif self.mode is Mode.CATCHING_UP:
            frame = self._look(packet) if packet.is_keyframe else None
            yield from self._given([frame] if frame else [])
        elif packet.is_keyframe and self._leaves_out():
            self._broken = True
        elif packet.is_keyframe:
            yield from self._keyframe(packet)
        elif self.mode is Mode.SKIMMING:
            if self._skimmed():
                yield from self._advance()
        elif self._gate.alarmed(packet.size_bytes, self._gop.place):
            begun = self._begun()
            self._wake("packets")
            yield from self._advance() if self._gop.looked else self._replay(begun)
        if self.mode is not Mode.CATCHING_UP:
            self._settle(packet)

    def _give_way(self, packet: Packet) -> None:
        """Decode keyframes alone while what comes is old already; until then nothing can be seen in time."""
        if self._pressure is Pressure.BEHIND:
            self._broken |= self.mode is not Mode.CATCHING_UP
            self.mode, self._woken = Mode.CATCHING_UP, None
        elif self.mode is Mode.CATCHING_UP and packet.is_keyframe:
            self.mode = Mode.EVERYTHING
            self._before, self._broken = [], True

    def flush(self) -> Iterator[Frame]:
        """The frames that are still inside the decoder, at the end of a file."""
        if self.mode is not Mode.WATCHING:
            yield from self._advance()
            yield from self._given(self._decoder.flush())

    def _keep(self, packet: Packet) -> Iterator[Frame]:
        """Put the packet to its GOP, before the GOP grows too large to be kept."""
        if packet.is_keyframe:
            if self._gop.packets:
                self._gop_s = self._gop.duration_s
            if self._gop.looked:
                self._before.clear()
            self._before.append(self._gop)
            self._gop, self._standing = _Gop(), 0
        elif self._gop.full:
            if self.mode is not Mode.EVERYTHING:
                yield from self._advance()
                self.mode = Mode.EVERYTHING
            self._gop, self._standing = _Gop(overflown=True), 0
        if _time_s(packet) < self._gop.last_s - _BACKWARD_S:
            self._begin_anew()
        self._gop.add(packet)

    def _begin_anew(self) -> None:
        """The camera counts its time anew: nothing before can be compared with what comes."""
        self._given_s, self._before, self.mode = -math.inf, [], Mode.EVERYTHING

    def _leaves_out(self) -> bool:
        """Whether this keyframe need not be looked at: every third one is enough where the gate has proved itself."""
        short = sum(gop.duration_s for gop in self._before) < LEFT_OUT_MAX_S
        few = 1 <= len(self._before) <= _LEFT_OUT
        return self.mode is Mode.WATCHING and self._audits.clean and short and few

    def _keyframe(self, packet: Packet) -> Iterator[Frame]:
        frame = self._look(packet)
        if frame is None:
            return
        if self._attention.differs(frame) and not (self.mode is Mode.SKIMMING and self._pressure):
            watched = self.mode is Mode.WATCHING
            self._wake("keyframe")
            yield from self._replay(self._before)
            if watched and self._stirred > _UNFORESEEN:
                self._audits.doubt()
        elif self.mode is Mode.WATCHING and self._audits.due(frame.captured_at_ns):
            self.stats.audits += 1
            yield from self._replay(self._before[-1:])
            self._audits.done(frame.captured_at_ns, missed=self._stirred > 0)
            if self._stirred:
                self.stats.audit_misses += 1
                self._gate.has_missed()
        else:
            yield from self._given([frame])

    def _skimmed(self) -> bool:
        """Whether the newest packet is among the first of its GOP that are decoded."""
        full = self._pressure >= Pressure.FULL
        if self._attention.stance is Stance.UNCLEAR:
            return self._gop.duration_s < (_UNCLEAR_FULL_S if full else _UNCLEAR_S)
        return not full and len(self._gop.packets) <= _HELD_FRAMES

    def _look(self, keyframe: Packet) -> Frame | None:
        """The keyframe's picture, decoded alone."""
        self._gop.looked = True
        self._decoder.restart()
        frames = list(self._decoder.decode(keyframe))
        self._broken = not frames
        if not frames:  # it waits for others, to put them in order
            frames = list(self._decoder.flush())
        self._standing = 0 if self._broken else 1
        return frames[0] if frames else None

    def _wake(self, by: str) -> None:
        self.mode = Mode.EVERYTHING
        self.stats.wakes[by] += 1
        self._woken = (by, self._arrivals.last_ns)
        self._gate.rest()

    def _advance(self) -> Iterator[Frame]:
        """Decode what the decoder has not had of the GOP."""
        if self._broken:
            self._decoder.restart()
            self._standing, self._broken = 0, False
        self._gop.looked = True
        pending = self._gop.packets[self._standing :]
        self._standing = len(self._gop.packets)
        yield from self._through(pending)

    def _begun(self) -> list[_Gop]:
        """Those before the newest GOP from the one in which that began which the gate alarms about."""
        missing = self._gate.rising + _BEFORE_ALARM - len(self._gop.packets)
        begun = len(self._before)
        while missing > 0 and begun:
            begun -= 1
            missing -= len(self._before[begun].packets)
        return self._before[begun:]

    def _replay(self, before: Sequence[_Gop]) -> Iterator[Frame]:
        """Decode all of these GOPs and of the newest."""
        self._gop.looked = True
        self._decoder.restart()
        self._standing, self._broken = len(self._gop.packets), False
        yield from self._through([packet for gop in (*before, self._gop) for packet in gop.packets])

    def _through(self, packets: Sequence[Packet]) -> Iterator[Frame]:
        self._stirred = 0
        for packet in packets:
            self.late = packet is not packets[-1]
            for frame in self._given(self._decoder.decode(packet)):
                yield frame
                self._stirred += self._attention.stance is not Stance.QUIET
        self.late = False

    def _given(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Those that have not been given yet."""
        for frame in frames:
            if frame.media_time_s > self._given_s:
                self._given_s = frame.media_time_s
                yield frame

    def _settle(self, packet: Packet) -> None:
        """How much must be decoded of what comes next."""
        stance = self._attention.stance
        if self._woken is not None:
            by, at_ns = self._woken
            if self._arrivals.last_ns - at_ns < _AWAKE_S * NS_PER_S:
                return
            self._woken = None
            if stance is Stance.QUIET:
                self.stats.false_wakes += 1
                if by == "packets":
                    self._gate.was_wrong()
        if stance is Stance.QUIET and self._gate.calm and not packet.is_keyframe:
            self._gate.learn(packet.size_bytes, self._gop.place)
        self.mode = self._wanted(stance, packet)

    def _wanted(self, stance: Stance, packet: Packet) -> Mode:
        if stance is Stance.QUIET and self.fallback is None:
            return Mode.WATCHING
        pressed = self._pressure > Pressure.NONE
        short = self._gop_s is not None and self._gop_s <= SKIM_GOP_MAX_S
        begun = pressed or self.mode is Mode.SKIMMING or packet.is_keyframe
        return Mode.SKIMMING if short and begun and (pressed or stance is Stance.HELD) else Mode.EVERYTHING


class _Arrivals:
    """Capture instants of packets, as of when they came: they may be decoded later."""

    _KEPT = 4000

    def __init__(self, timeline: Timeline) -> None:
        self.last_ns = 0
        self._timeline = timeline
        self._at_ns: dict[float, int] = {}

    def note(self, packet: Packet) -> None:
        time_s = None if packet.pts is None else packet.seconds(packet.pts)
        self.last_ns = self._timeline.captured_at_ns(time_s)
        if time_s is not None:
            self._at_ns[time_s] = self.last_ns
            if len(self._at_ns) > self._KEPT:
                del self._at_ns[next(iter(self._at_ns))]

    def captured_at_ns(self, pts_s: float | None) -> int:
        """Of a packet that was noted."""
        return self.last_ns if pts_s is None else self._at_ns.get(pts_s, self.last_ns)


class _Audits:
    """When the next is due, and how the last ones went."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next_s = min(_AUDIT_FIRST_S, every_s)
        self._due_ns: int | None = None
        self._missed: deque[bool] = deque(maxlen=_AUDITS_KEPT)
        self._clean = 0

    @property
    def misses(self) -> int:
        return sum(self._missed)

    @property
    def clean(self) -> bool:
        """Whether three have found nothing since there was a reason to doubt."""
        return self._clean >= _CLEAN

    def doubt(self) -> None:
        """Something moved of which the gate said nothing; that nothing was missed for long counts no more."""
        self._clean = 0

    def due(self, now_ns: int) -> bool:
        if self._due_ns is None:
            self._due_ns = now_ns + round(self._next_s * NS_PER_S)
        return now_ns >= self._due_ns

    def done(self, now_ns: int, *, missed: bool) -> None:
        self._missed.append(missed)
        self._clean = 0 if missed else self._clean + 1
        self._next_s = _AUDIT_FIRST_S if missed else min(2 * self._next_s, self._every_s)
        self._due_ns = now_ns + round(self._next_s * NS_PER_S)


def _leaned(pressed: Pressed) -> Pressed:
    return lambda: max(pressed(), Pressure.BUSY)


def _time_s(packet: Packet) -> float:
    """Decoding time, which grows from packet to packet."""
    ticks = packet.dts if packet.dts is not None else packet.pts
    return 0.0 if ticks is None else packet.seconds(ticks)
