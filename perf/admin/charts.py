"""Charts as SVG, made by the server: stacked bars over time, with a table of the same numbers for who sees none.

Nothing is styled here but by class, since the pages forbid inline styles: the colours are in perf/live.css.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

Style = Literal["good", "quiet", "watched", "bad"]

# The view box, in units that are about a pixel each where a chart is as wide as half a page.
WIDTH, HEIGHT = 480, 170
LEFT, RIGHT, TOP, BOTTOM = 40, 6, 10, 22
MOST_TIMES = 6
WIDEST_GAP = 12


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of what is counted; ``values`` are one per stretch of time."""

    name: str
    values: Sequence[int]
    style: Style


def bars_over_time(key: str, title: str, times: Sequence[str], series: Sequence[Series]) -> SafeString:
    """A figure: the chart, its legend, and a table of the same numbers, which is folded.

    Args:
        key: what the ids in it begin with; unique on the page.
        times: how each stretch of time is called, oldest first.
        series: stacked from the bottom up; as many values each as there are ``times``.

    Raises:
        ValueError: a series has more or fewer values than there are times.
    """
    for each in series:
        if len(each.values) != len(times):
            raise ValueError(f"{each.name} has {len(each.values)} values for {len(times)} times; give one for each.")
    return format_html(
        '<figure class="module chart" id="{key}"><figcaption><strong>{title}</strong> {legend}</figcaption>'
        "{svg}{table}</figure>",
        key=key,
        title=title,
        legend=_legend(series),
        svg=_svg(key, title, times, series),
        table=_table(key, title, times, series),
    )


def in_words(times: Sequence[str], series: Sequence[Series]) -> str:
    """What a chart shows, in a sentence or two."""
    totals = _totals(series)
    if not any(totals):
        return _("Nothing was counted.")
    most = max(totals)
    return _("%(sums)s. At most %(most)d together, at %(time)s.") % {
        "sums": ", ".join(f"{each.name}: {sum(each.values)}" for each in series),
        "most": most,
        "time": times[totals.index(most)],
    }


def axis_top(largest: int) -> int:
    """The round number at which an axis for values up to ``largest`` ends: 1, 2, 4, 5 or 10 times a power of ten."""
    power = 1
    while True:
        for step in (1, 2, 4, 5):
            if step * power >= largest:
                return step * power
        power *= 10


def short(number: int) -> str:
    """A number as an axis has room for it: 950, 1.5k, 20k, 3M."""
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)


def _totals(series: Sequence[Series]) -> list[int]:
    return [sum(column) for column in zip(*(each.values for each in series), strict=True)]


def _svg(key: str, title: str, times: Sequence[str], series: Sequence[Series]) -> SafeString:
    top = axis_top(max(_totals(series), default=0))
    columns = (_column(place, times, series, top) for place in range(len(times)))
    return format_html(
        '<svg viewBox="0 0 {width} {height}" role="img" aria-labelledby="{key}-title" aria-describedby="{key}-desc">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{desc}</desc>{axes}{bars}</svg>',
        width=WIDTH,
        height=HEIGHT,
        key=key,
        title=title,
        desc=in_words(times, series),
        axes=_axes(times, top),
        bars=format_html_join("", "<g><title>{}</title>{}</g>", columns),
    )


def _axes(times: Sequence[str], top: int) -> SafeString:
    values = [0, top] if top % 2 else [0, top // 2, top]
    lines = format_html_join(
        "",
        '<line class="chart-line" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        '<text class="chart-label" x="{}" y="{}" text-anchor="end">{}</text>',
        (
            (LEFT, _y(value, top), WIDTH - RIGHT, _y(value, top), LEFT - 5, round(_y(value, top) + 4, 1), short(value))
            for value in values
        ),
    )
    every = max(1, -(-len(times) // MOST_TIMES))
    labels = format_html_join(
        "",
        '<text class="chart-label" x="{}" y="{}" text-anchor="middle">{}</text>',
        ((_middle(place, len(times)), HEIGHT - 6, times[place]) for place in range(0, len(times), every)),
    )
    return lines + labels


def _column(place: int, times: Sequence[str], series: Sequence[Series], top: int) -> tuple[str, SafeString]:
    """The numbers of one stretch of time, and its bars; anywhere in its height a pointer is told the numbers."""
    step = _step(len(times))
    x, gap = LEFT + place * step, min(step / 4, WIDEST_GAP)
    shapes = [_rect("chart-column", x, TOP, step, HEIGHT - TOP - BOTTOM)]
    below = 0
    for each in series:
        if value := each.values[place]:
            low, high = _y(below, top), _y(below + value, top)
            height = max(low - high, 1.5)  # what was counted can be seen, however little it is
            shapes.append(_rect(f"chart-bar chart-{each.style}", x + gap / 2, low - height, step - gap, height))
            below += value
    numbers = ", ".join(f"{each.name} {each.values[place]}" for each in series)
    return f"{times[place]}: {numbers}", format_html_join("", "{}", ((shape,) for shape in shapes))


def _rect(classes: str, x: float, y: float, width: float, height: float) -> SafeString:
    x, y, width, height = (round(number, 1) for number in (x, y, width, height))
    return format_html('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', classes, x, y, width, height)


def _legend(series: Sequence[Series]) -> SafeString:
    return format_html_join(
        " ",
        '<span class="chart-name"><svg class="chart-key" viewBox="0 0 10 10" aria-hidden="true">'
        '<rect class="chart-bar chart-{}" width="10" height="10"/></svg> {}</span>',
        ((each.style, each.name) for each in series),
    )


def _table(key: str, title: str, times: Sequence[str], series: Sequence[Series]) -> SafeString:
    rows = (
        (time, format_html_join("", "<td>{}</td>", ((each.values[place],) for each in series)))
        for place, time in enumerate(times)
    )
    return format_html(
        '<details id="{key}-table"><summary id="{key}-summary">{words}</summary><table>'
        '<caption class="visually-hidden">{title}</caption>'
        '<thead><tr><th scope="col">{time}</th>{head}</tr></thead><tbody>{rows}</tbody></table></details>',
        key=key,
        words=_("As a table"),
        title=title,
        time=_("Time"),
        head=format_html_join("", '<th scope="col">{}</th>', ((each.name,) for each in series)),
        rows=format_html_join("", '<tr><th scope="row">{}</th>{}</tr>', rows),
    )


def _y(value: int, top: int) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)


def _step(count: int) -> float:
    return (WIDTH - LEFT - RIGHT) / max(1, count)


def _middle(place: int, count: int) -> float:
    return round(LEFT + (place + 0.5) * _step(count), 1)
