from hypothesis import given
from hypothesis import strategies as st

from raycctv.window import Window


def test_window_lets_the_newest_win() -> None:
    window: Window[int] = Window(1)
    assert window.offer(1) is None
    assert window.take() == 1
    assert window.offer(2) is None
    assert window.take() is None
    assert window.offer(3) == 2
    assert window.land() == 1
    assert window.take() == 3


@given(st.integers(1, 4), st.lists(st.sampled_from(["offer", "land"]), max_size=60))
def test_window_loses_nothing_and_never_exceeds_its_size(size: int, steps: list[str]) -> None:
    window: Window[int] = Window(size)
    offered = 0
    out: list[int] = []
    flying: list[int] = []
    for step in steps:
        if step == "offer":
            dropped = window.offer(offered)
            offered += 1
            out += [dropped] if dropped is not None else []
        elif flying:
            assert window.oldest == flying[0]
            out.append(window.land())
            flying.pop(0)
        if (item := window.take()) is not None:
            flying.append(item)
        assert len(flying) <= size
    assert sorted(out + window.clear()) == list(range(offered))
    assert window.oldest is None
