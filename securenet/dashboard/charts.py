"""Bar charts as numbers for an SVG template; drawn on the server, so that no script is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 720
HEIGHT = 120
GAP = 2


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in units of the chart's view box."""

    label: str
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars side by side, the tallest as high as the chart."""

    width: int
    height: int
    bars: tuple[Bar, ...]
    largest: int
    total: int

    @property
    def first_label(self) -> str:
        """What stands at the left end."""
        return self.bars[0].label if self.bars else ""

    @property
    def last_label(self) -> str:
        """What stands at the right end."""
        return self.bars[-1].label if self.bars else ""


def bar_chart(values: Sequence[tuple[str, int]]) -> Chart:
    """Lay out labelled values, in their order."""
    largest = max((value for _, value in values), default=0)
    step = WIDTH / max(1, len(values))
    bars = tuple(
        Bar(label, value, round(number * step, 1), round(HEIGHT - height, 1), round(step - GAP, 1), round(height, 1))
        for number, (label, value) in enumerate(values)
        for height in [HEIGHT * value / largest if largest else 0]
    )
    return Chart(WIDTH, HEIGHT, bars, largest, sum(value for _, value in values))
