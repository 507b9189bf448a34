"""What sizes of packets tell."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycctv.capture.packet_gate import PacketGate

PLACE = 9


def quiet(gate: PacketGate, count: int = 300, usual: int = 2000, seed: int = 1) -> list[bool]:
    """Sizes of a quiet camera: a tenth up and down."""
    chosen = random.Random(seed)  # noqa: S311 - sizes, not secrets
    alarms = []
    for _ in range(count):
        size = round(usual * chosen.uniform(0.9, 1.1))
        alarms.append(gate.known and gate.alarmed(size, PLACE))
        gate.learn(size, PLACE)
    return alarms


def test_gate_is_silent_while_nothing_moves() -> None:
    assert not any(quiet(PacketGate(), 2000))


def test_gate_knows_nothing_at_first() -> None:
    gate = PacketGate()
    assert not gate.known
    quiet(gate, 40)
    assert gate.known


@pytest.mark.parametrize(("growth", "within"), [(1.25, 15), (1.5, 8), (4.0, 4)])
def test_gate_notices_growth_the_sooner_the_larger_it_is(growth: float, within: int) -> None:
    gate = PacketGate()
    quiet(gate)
    sizes = [round(2000 * growth)] * 40
    assert next(number for number, size in enumerate(sizes, 1) if gate.alarmed(size, PLACE)) <= within


def test_gate_knows_since_when_packets_grow() -> None:
    gate = PacketGate()
    quiet(gate)
    gate.rest()
    counted = 0
    while not gate.alarmed(3000, PLACE):
        counted += 1
        assert gate.rising == counted
    gate.rest()
    assert gate.rising == 0


def test_gate_forgives_a_single_burst() -> None:
    gate = PacketGate()
    quiet(gate)
    assert not gate.alarmed(100_000, PLACE)
    assert not any(quiet(gate, 50, seed=2))


def test_gate_knows_that_packets_after_a_keyframe_are_larger() -> None:
    gate = PacketGate()
    for number in range(600):
        place = number % 30
        size = round(12_000 / (1 + place)) + number % 7
        assert place == 0 or not gate.alarmed(size, place)
        if place:
            gate.learn(size, place)
    assert any(gate.alarmed(6000, place) for place in range(10, 30))


def test_gate_that_cried_wolf_waits_for_more_and_one_that_slept_for_less() -> None:
    calm, wary = PacketGate(), PacketGate()
    usual = calm.alarm_at
    calm.was_wrong()
    wary.has_missed()
    assert wary.alarm_at < usual < calm.alarm_at


@given(st.lists(st.sampled_from(["was_wrong", "has_missed"]), max_size=50))
def test_gate_never_falls_asleep_for_good(said: list[str]) -> None:
    gate = PacketGate()
    quiet(gate, 60)
    for word in said:
        getattr(gate, word)()
    assert any(gate.alarmed(20_000, PLACE) for _ in range(30))
