"""Line plots as SVG: enough for a report that holds everything in one file."""

import math
from collections.abc import Mapping, Sequence
from html import escape

_WIDTH_PX, _HEIGHT_PX = 620, 260
_LEFT_PX, _RIGHT_PX, _TOP_PX, _BOTTOM_PX = 58, 120, 30, 40
_LEGEND_PX = 18
_COLOURS = ("#222222", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8b6f47")
"""Told apart by colour-blind people too. Source: Okabe and Ito, Color Universal Design, with black first and brown last."""


def plot(title: str, x_label: str, y_label: str, x: Sequence[float], lines: Mapping[str, Sequence[float | None]]) -> str:
    """An ``<svg>`` of lines by name over ``x``, with a legend; axes begin at 0. Where a value is None its line has a gap."""
    values = [value for line in lines.values() for value in line if value is not None]
    x_end = max([*x, 1])
    x_ticks, y_ticks = [tick for tick in ticks(x_end) if tick <= x_end], ticks(max(values, default=1))
    left, right, top, bottom = _LEFT_PX, _WIDTH_PX - _RIGHT_PX, _TOP_PX, _HEIGHT_PX - _BOTTOM_PX

    def x_px(value: float) -> float:
        return left + value / x_end * (right - left)

    def y_px(value: float) -> float:
        return bottom - value / y_ticks[-1] * (bottom - top)

    parts = [_text(title, left, 18, "start", "title")]
    for tick in y_ticks:
        parts.append(f'<path class="grid" d="M{left} {y_px(tick):.1f}H{right}"/>')
        parts.append(_text(f"{tick:g}", left - 6, y_px(tick) + 4, "end"))
    parts += [_text(f"{tick:g}", x_px(tick), bottom + 16, "middle") for tick in x_ticks]
    parts.append(_text(x_label, (left + right) / 2, _HEIGHT_PX - 6, "middle"))
    parts.append(f'<g transform="translate(13 {(top + bottom) / 2}) rotate(-90)">{_text(y_label, 0, 0, "middle")}</g>')
    for number, (name, line) in enumerate(lines.items()):
        colour, legend_px = _COLOURS[number % len(_COLOURS)], top + 8 + number * _LEGEND_PX
        points = [None if value is None else (x_px(at), y_px(value)) for at, value in zip(x, line, strict=True)]
        parts.append(f'<path class="line" stroke="{colour}" d="{_path(points)}"/>')
        parts.append(f'<path class="line" stroke="{colour}" d="M{right + 12} {legend_px}h16"/>')
        parts.append(_text(name, right + 34, legend_px + 4, "start"))
    return f'<svg viewBox="0 0 {_WIDTH_PX} {_HEIGHT_PX}" role="img">{"".join(parts)}</svg>'


def ticks(high: float, about: int = 5) -> list[float]:
    """Round numbers, evenly apart, from 0 to the first that is not below ``high``."""
    high = high if high > 0 else 1.0
    magnitude = 10.0 ** math.floor(math.log10(high / about))
    step = next(step for step in (magnitude, 2 * magnitude, 5 * magnitude, 10 * magnitude) if high / step <= about)
    return [round(number * step, 12) for number in range(math.ceil(high / step) + 1)]


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """A point alone between two gaps becomes a dot, by a line of no length with round ends."""
    steps, drawing = [], False
    for point in points:
        if point is not None:
            steps.append(f"{'L' if drawing else 'M'}{point[0]:.1f} {point[1]:.1f}{'' if drawing else 'h0'}")
        drawing = point is not None
    return "".join(steps)


def _text(text: str, x_px: float, y_px: float, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x_px:.1f}" y="{y_px:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
