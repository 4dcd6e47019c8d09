"""Line charts for the pages of docs/: SVG in which text and lines have colours that show on light and on dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

WIDTH: Final = 720
HEIGHT: Final = 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 40, 64
COLOURS: Final = ("#3b82f6", "#d97706", "#059669", "#a855f7", "#dc2626")
GREY: Final = "#808890"
LINES: Final = 4  # across the chart, beside the axis


def write_line_chart(
    path: Path, title: str, x_label: str, y_label: str, xs: Sequence[str], series: Mapping[str, Sequence[float]]
) -> None:
    """Write one chart.

    Args:
        path: of the SVG file; its folder is made.
        xs: labels of the places on the x axis, which are as far apart from each other.
        series: a line each: as many values as there are places, from zero up.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(line_chart(title, x_label, y_label, xs, series))


def line_chart(title: str, x_label: str, y_label: str, xs: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """The chart as SVG."""
    top = _round_up(max((value for values in series.values() for value in values), default=1.0))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" fill="{GREY}">',
        "<style>text { font: 12px sans-serif }</style>",
        f"<title>{escape(title)}</title>",
        f'<text x="{LEFT}" y="16" font-size="14">{escape(title)}</text>',
        f'<text x="{LEFT}" y="32">{escape(y_label)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 26}" text-anchor="middle">{escape(x_label)}</text>',
        *_grid(top),
        *(
            f'<text x="{_x(n, len(xs)):.0f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>'
            for n, label in enumerate(xs)
        ),
    ]
    legend = LEFT
    for colour, (name, values) in zip(COLOURS, series.items(), strict=False):
        points = [(_x(n, len(xs)), _y(value, top)) for n, value in enumerate(values)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        parts.append(f'<rect x="{legend}" y="{HEIGHT - 16}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{legend + 14}" y="{HEIGHT - 7}">{escape(name)}</text>')
        legend += 34 + 7 * len(name)
    return "\n".join([*parts, "</svg>", ""])


def _grid(top: float) -> list[str]:
    found = []
    for n in range(LINES + 1):
        value = top * n / LINES
        y = _y(value, top)
        found.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{GREY}" stroke-opacity="0.35"/>'
        )
        found.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    return found


def _x(number: int, count: int) -> float:
    return LEFT + 24 + (WIDTH - LEFT - RIGHT - 48) * (number / max(1, count - 1))


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 10 times a power of ten."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value > 0:
        power /= 10
    return next((step * power for step in (1, 2, 4, 5, 10) if step * power >= value), power)
