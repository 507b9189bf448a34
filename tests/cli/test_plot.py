"""Plots of a report."""

from xml.etree import ElementTree

import pytest

from raycctv.cli.plot import plot, ticks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(title: str, x_label: str, y_label: str, x: list[float], lines: dict[str, list[float | None]]) -> ElementTree.Element:
    svg = plot(title, x_label, y_label, x, lines).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def paths(element: ElementTree.Element) -> list[str]:
    """Of the lines, without their entries in the legend."""
    return [path.attrib["d"] for path in element.iter(f"{SVG}path") if path.attrib["class"] == "line"][::2]


@pytest.mark.parametrize(
    ("high", "expected"),
    [
        (60, [0, 20, 40, 60]),
        (0.93, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (2579, [0, 1000, 2000, 3000]),
        (0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_round_and_reach_beyond_the_highest_value(high: float, expected: list[float]) -> None:
    assert ticks(high) == expected


def test_plot_has_a_line_a_name_axes_and_a_legend() -> None:
    shown = drawn("CPU", "time, s", "cores", [0, 1, 2], {"reader": [0, 1, 2], "a < b": [2, 1, 0]})
    texts = [text.text for text in shown.iter(f"{SVG}text")]
    assert {"CPU", "time, s", "cores", "reader", "a < b", "0", "1", "2"} <= set(texts)
    rising, falling = paths(shown)
    assert rising.replace("h0", "") == "M58.0 220.0L279.0 125.0L500.0 30.0"
    assert falling.replace("h0", "") == "M58.0 30.0L279.0 125.0L500.0 220.0"


def test_gap_in_the_values_is_a_gap_in_the_line() -> None:
    (line,) = paths(drawn("Lag", "s", "s", [0, 1, 2, 3, 4], {"lag": [1, 1, None, 1, None]}))
    assert line.count("M") == 2
    assert line.count("L") == 1


def test_plot_of_nothing_is_empty_axes() -> None:
    assert paths(drawn("Lag", "s", "s", [], {"lag": []})) == [""]
    assert paths(drawn("Lag", "s", "s", [1, 2], {"lag": [None, None]})) == [""]
