"""Decoding as little as the scene allows, with real coded streams and somebody who looks at them."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from raycctv.capture import adaptive
from raycctv.capture.adaptive import AdaptiveDecoder, Mode, open_decoder
from raycctv.capture.decoder import Decoder
from raycctv.capture.packet_gate import PacketGate
from raycctv.capture.packets import Stream
from raycctv.capture.timeline import FileTimeline
from raycctv.clock import SystemClock
from raycctv.config import Decode, StreamUrl
from raycctv.simulate.scenes import drawn, encode
from raycctv.types import CameraName, Fallback, Frame, Packet, Pressure, Stance

NAME = CameraName("cam")
FPS, SECONDS = 15, 30
WALK_S = (14.4, 20.0)
"""When something walks through the picture; between two keyframes, which come every two seconds."""


def paint(picture: npt.NDArray[np.uint8], t: float) -> None:
    """A block of 30 x 80 px that goes right at 60 px/s."""
    if WALK_S[0] <= t < WALK_S[1]:
        left = round((t - WALK_S[0]) * 60)
        picture[150:230, left : left + 30] = 230


def noisy(picture: npt.NDArray[np.uint8], t: float) -> None:
    noise = np.random.default_rng(round(t * 1000)).normal(0, 4, picture.shape)
    paint(picture, t)
    picture[:] = np.clip(picture + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 s of a noisy, quiet picture with one walk through it; a keyframe every two seconds."""
    path = tmp_path_factory.mktemp("adaptive") / "walk.mp4"
    encode(drawn(noisy, 480, 270, FPS, SECONDS), path, fps=FPS, gop=2 * FPS)
    return path


class Looker:
    """Knows what moves, and when; whatever it is shown it remembers."""

    def __init__(self, moving: tuple[float, float] = WALK_S, known: Stance = Stance.UNCLEAR) -> None:
        self.seen_s: list[float] = []
        self._moving = moving
        self._known = known

    @property
    def stance(self) -> Stance:
        return self._known if self.seen_s and self._moves(self.seen_s[-1]) else Stance.QUIET

    def differs(self, frame: Frame) -> bool:
        return self._moves(frame.media_time_s) and self._known is not Stance.HELD

    def _moves(self, at_s: float) -> bool:
        return self._moving[0] <= at_s < self._moving[1]


def packets(path: Path) -> tuple[Stream, list[Packet]]:
    stream = Stream(NAME, StreamUrl.parse(f"file://{path}"), SystemClock(), timeout_s=None)
    return stream, list(stream.packets())


def run(path: Path, looker: Looker, *, pressure: Pressure = Pressure.NONE, audit_s: float = 1000.0) -> AdaptiveDecoder:
    stream, coded = packets(path)
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, audit_s, lambda: pressure)
    for packet in coded:
        for frame in decoder.decode(packet):
            looker.seen_s.append(frame.media_time_s)
    return decoder


def between(times_s: list[float], from_s: float, to_s: float) -> int:
    return sum(from_s <= at_s < to_s for at_s in times_s)


def test_quiet_camera_costs_a_keyframe_a_gop(walk: Path) -> None:
    looker = Looker(moving=(99, 99))
    decoder = run(walk, looker)
    assert decoder.mode is Mode.WATCHING
    assert between(looker.seen_s, 5, 10) == 2
    assert decoder.decoded < 0.5 * FPS * SECONDS


def test_everything_since_the_motion_began_is_seen_and_each_frame_once(walk: Path) -> None:
    looker = Looker()
    decoder = run(walk, looker)
    assert sum(decoder.stats.wakes.values()) >= 1
    assert between(looker.seen_s, *WALK_S) == round((WALK_S[1] - WALK_S[0]) * FPS)
    assert looker.seen_s == sorted(set(looker.seen_s))


def test_frames_of_before_the_waking_are_late_and_the_newest_is_not(walk: Path) -> None:
    stream, coded = packets(walk)
    looker = Looker()
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 1000.0, lambda: Pressure.NONE)
    late_by_packet = []
    for packet in coded:
        late = []
        for frame in decoder.decode(packet):
            looker.seen_s.append(frame.media_time_s)
            late.append(decoder.late)
        late_by_packet.append(late)
    woken = [late for late in late_by_packet if len(late) > 1]
    assert woken
    assert all(late == [True] * (len(late) - 1) + [False] for late in woken)


def test_frames_decoded_later_are_the_same_pictures(walk: Path) -> None:
    stream, coded = packets(walk)
    whole = Decoder(NAME, stream.info, FileTimeline(0))
    pictures = {frame.captured_at_ns: frame.luma.copy() for packet in coded for frame in whole.decode(packet)}
    stream, coded = packets(walk)
    looker = Looker()
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 1000.0, lambda: Pressure.NONE)
    compared = 0
    for packet in coded:
        for frame in decoder.decode(packet):
            looker.seen_s.append(frame.media_time_s)
            assert np.array_equal(frame.luma, pictures[frame.captured_at_ns])
            compared += 1
    assert compared > 100


def test_known_object_that_stands_still_costs_three_frames_a_gop(walk: Path) -> None:
    looker = Looker(moving=(6, 99), known=Stance.HELD)
    decoder = run(walk, looker)
    assert decoder.mode is Mode.SKIMMING
    assert between(looker.seen_s, 20, 28) == 4 * 3


@pytest.mark.parametrize(
    ("pressure", "known", "frames_a_gop"),
    [
        (Pressure.NONE, Stance.FOLLOWED, {2 * FPS}),
        (Pressure.BUSY, Stance.FOLLOWED, {3}),
        (Pressure.BUSY, Stance.UNCLEAR, {8}),
        (Pressure.FULL, Stance.FOLLOWED, {1}),
        (Pressure.FULL, Stance.UNCLEAR, {4}),
    ],
)
def test_the_less_time_the_machine_has_the_less_is_decoded_of_what_moves(
    walk: Path, pressure: Pressure, known: Stance, frames_a_gop: set[int]
) -> None:
    looker = Looker(moving=(6, 99), known=known)
    run(walk, looker, pressure=pressure)
    assert {between(looker.seen_s, second, second + 2) for second in (20, 22, 24, 26)} == frames_a_gop


def test_reader_that_is_behind_decodes_keyframes_alone_until_it_has_caught_up(walk: Path) -> None:
    stream, coded = packets(walk)
    looker = Looker(moving=(0, 99))
    behind_s = (7.0, 15.0)
    now = [0.0]
    decoder = AdaptiveDecoder(
        NAME,
        stream.info,
        FileTimeline(0),
        looker,
        1000.0,
        lambda: Pressure.BEHIND if behind_s[0] <= now[0] < behind_s[1] else Pressure.NONE,
    )
    for packet in coded:
        now[0] = packet.seq / FPS
        looker.seen_s += [frame.media_time_s for frame in decoder.decode(packet)]
    assert [round(at_s, 2) for at_s in looker.seen_s if 7 <= at_s < 16] == [8, 10, 12, 14]
    assert between(looker.seen_s, 16, 30) == 14 * FPS


def test_audit_finds_what_the_gate_has_slept_through(walk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate is deaf, and the keyframes show nothing: only a look at everything can find what moves for a moment."""
    monkeypatch.setattr(PacketGate, "alarmed", lambda *_: False)
    looker = Looker(moving=(14.4, 15.9))
    decoder = run(walk, looker, audit_s=2.0)
    assert decoder.stats.audit_misses == 1
    assert between(looker.seen_s, 14.4, 15.9) > 20
    assert decoder.status()["alarm_at"] < PacketGate().alarm_at


@pytest.mark.parametrize("deaf", [False, True])
def test_gate_that_has_proved_itself_saves_two_keyframes_of_three_and_no_motion(
    walk: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    """Even where the gate then sleeps: the next keyframe that is looked at shows it."""
    if deaf:
        monkeypatch.setattr(PacketGate, "alarmed", lambda *_: False)
    monkeypatch.setattr(adaptive._Audits, "clean", True)
    moving_s = (WALK_S[0], 20.5)
    looker = Looker(moving_s)
    decoder = run(walk, looker)
    assert decoder.stats.wakes["keyframe"] + decoder.stats.wakes["packets"] >= 1
    assert between(looker.seen_s, *moving_s) == round((moving_s[1] - moving_s[0]) * FPS)
    assert [round(at_s) for at_s in looker.seen_s if 4 < at_s < 14.05] == [8, 14]


@pytest.mark.parametrize(("rising", "from_s"), [(3, 12), (20, 10), (50, 8), (500, 8)])
def test_alarm_of_packets_decodes_from_the_keyframe_before_they_began_to_grow(
    walk: Path, monkeypatch: pytest.MonkeyPatch, rising: int, from_s: int
) -> None:
    """Keyframes at 10 and 12 s are left out, the alarm comes at 13.6 s; nothing is lost of what was not looked at before."""
    monkeypatch.setattr(adaptive._Audits, "clean", True)
    monkeypatch.setattr(PacketGate, "alarmed", lambda gate, *_: gate.rising > 0)
    looker = Looker((13.0, 99))
    stream, coded = packets(walk)
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 1000.0, lambda: Pressure.NONE)
    for packet in coded[: 14 * FPS]:
        if packet.seq == round(13.6 * FPS):
            decoder._gate.rising = rising
        looker.seen_s += [frame.media_time_s for frame in decoder.decode(packet)]
    assert [round(at_s) for at_s in looker.seen_s if 4 < at_s < from_s - 0.01] == ([8] if from_s > 8 else [])
    assert between(looker.seen_s, from_s, 14) == (14 - from_s) * FPS


def test_gate_three_clean_audits_prove(walk: Path) -> None:
    assert run(walk, Looker(moving=(99, 99)), audit_s=2.0)._audits.clean
    assert not run(walk, Looker(moving=(99, 99)))._audits.clean


@pytest.mark.parametrize(("deaf", "from_s", "doubted"), [(True, 13.0, True), (True, 15.7, False), (False, 13.0, False)])
def test_gate_that_a_keyframe_knows_better_than_must_prove_itself_anew(
    walk: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool, from_s: float, doubted: bool
) -> None:
    """It has proved itself by 12 s. What begins at a keyframe's very door it could not foresee."""
    looker = Looker((from_s, 19.0))
    stream, coded = packets(walk)
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 2.0, lambda: Pressure.NONE)
    clean: list[bool] = []
    monkeypatch.setattr(PacketGate, "alarmed", lambda *_: not deaf and looker._moves(len(clean) / FPS))
    for packet in coded:
        for frame in decoder.decode(packet):
            looker.seen_s.append(frame.media_time_s)
        clean.append(decoder._audits.clean)
    assert clean[round(12.5 * FPS)]
    assert clean[20 * FPS] is not doubted
    assert clean[-1]


def test_gate_that_misses_again_and_again_is_trusted_no_more(walk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PacketGate, "alarmed", lambda *_: False)

    class Blinking(Looker):
        """Something moves in the middle of every GOP and is gone at the keyframe."""

        def _moves(self, at_s: float) -> bool:
            return 0.8 < at_s % 2 < 1.2

    decoder = run(walk, Blinking(), audit_s=2.0)
    assert decoder.mode is Mode.EVERYTHING
    assert decoder.status()["fallback"] == Fallback.MISSES
    assert "missed in 3 of the last 10 audits" in str(decoder.status()["reason"])


@pytest.mark.parametrize(("limit", "value"), [("GOP_MAX_S", 1.0), ("KEPT_BYTES_MAX", 20_000)])
def test_gop_too_long_to_keep_is_decoded_whole_in_bounded_memory(
    walk: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(adaptive, limit, value)
    looker = Looker(moving=(99, 99))
    stream, coded = packets(walk)
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 1000.0, lambda: Pressure.NONE)
    seconds, held_bytes = [], []
    for packet in coded:
        looker.seen_s += [frame.media_time_s for frame in decoder.decode(packet)]
        kept = [*decoder._before, decoder._gop]
        seconds.append(sum(len(gop.packets) for gop in kept) / FPS)
        held_bytes.append(sum(len(one.data) for gop in kept for one in gop.packets))
    assert decoder.mode is Mode.EVERYTHING
    assert decoder.fallback is Fallback.GOP
    assert "from keyframe to keyframe" in (decoder.reason or "")
    assert len(looker.seen_s) == FPS * SECONDS
    held = seconds if limit == "GOP_MAX_S" else held_bytes
    assert max(held) <= 2 * value + max(packet.size_bytes for packet in coded) * (limit != "GOP_MAX_S") + 3 / FPS


def test_camera_that_counts_its_time_anew_is_seen_on(walk: Path) -> None:
    stream, coded = packets(walk)
    looker = Looker(moving=(99, 99))
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 1000.0, lambda: Pressure.NONE)
    again = 0
    for packet in [*coded, *coded]:
        for frame in decoder.decode(packet):
            looker.seen_s.append(frame.media_time_s)
            again += packet.seq >= 0
    assert again > 2 * 10


def test_damaged_keyframes_are_counted_and_survived(walk: Path) -> None:
    stream, coded = packets(walk)
    looker = Looker(moving=(99, 99))
    decoder = AdaptiveDecoder(NAME, stream.info, FileTimeline(0), looker, 1000.0, lambda: Pressure.NONE)
    for packet in coded:
        broken = packet.is_keyframe and packet.seq > 15 * FPS
        data = packet.data[:40] + bytes(len(packet.data) - 40) if broken else packet.data
        damaged = Packet(
            NAME, packet.seq, packet.pts, packet.dts, Fraction(packet.time_base), packet.is_keyframe, len(data), 0, data
        )
        looker.seen_s += [frame.media_time_s for frame in decoder.decode(damaged)]
    assert decoder.corrupt > 0


def test_other_codecs_and_other_wishes_are_decoded_whole(walk: Path, shared_data: Path) -> None:
    def decoder(path: Path, mode: str) -> AdaptiveDecoder | Decoder:
        stream, _ = packets(path)
        settings = Decode.model_validate({"mode": mode})
        return open_decoder(NAME, stream.info, FileTimeline(0), Looker(), settings, lambda: Pressure.NONE)

    assert isinstance(decoder(walk, "adaptive"), AdaptiveDecoder)
    unwanted, unknown = decoder(walk, "all"), decoder(shared_data / "clips" / "motorway_osd.avi", "adaptive")
    assert (unwanted.fallback, unwanted.reason) == (Fallback.SETTINGS, "decode.mode is all")
    assert unknown.fallback is Fallback.CODEC
    assert "not mpeg4" in str(unknown.reason)
