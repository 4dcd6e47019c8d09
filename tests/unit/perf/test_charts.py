"""Charts: what stands in the SVG, what is said of it in words and as a table, and numbers at the edges."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf.admin.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Series, axis_top, bars_over_time, in_words, short


def figure_of(*series: Series, times: list[str] | None = None) -> ElementTree.Element:
    """The figure, read as XML: whatever is not well formed fails here."""
    names = times if times is not None else [f"12:{place:02}" for place in range(len(series[0].values))]
    return ElementTree.fromstring(bars_over_time("chart", "Requests", names, series))


def bars_of(figure: ElementTree.Element, style: str) -> list[tuple[float, float, float, float]]:
    """Left, top, width and height of the bars of a series."""
    return [
        (
            float(rect.get("x", "")),
            float(rect.get("y", "")),
            float(rect.get("width", "")),
            float(rect.get("height", "")),
        )
        for rect in figure.findall("./svg/g/rect")
        if rect.get("class") == f"chart-bar chart-{style}"
    ]


def rows_of(figure: ElementTree.Element) -> list[list[str]]:
    return [[cell.text or "" for cell in row] for row in figure.findall("./details/table/tbody/tr")]


def test_bars_are_as_high_as_their_numbers_and_stand_on_each_other() -> None:
    figure = figure_of(Series("let through", [10, 0, 5], "good"), Series("blocked", [10, 0, 0], "bad"))
    ground, whole = HEIGHT - BOTTOM, HEIGHT - BOTTOM - TOP
    (_x, low_top, _w, low_height), (_x2, _y2, _w2, half) = bars_of(figure, "good")
    ((_x3, top, _w3, height),) = bars_of(figure, "bad")
    assert (low_height, half, height) == (whole / 2, whole / 4, whole / 2)  # the axis ends at 20
    assert low_top + low_height == ground
    assert top + height == low_top
    assert top == TOP


def test_a_single_point_and_five_points_stay_within_the_chart() -> None:
    for count in (1, 5, 60):
        for x, y, width, height in bars_of(figure_of(Series("all", [3] * count, "good")), "good"):
            assert LEFT <= x < x + width <= WIDTH - RIGHT
            assert TOP <= y < y + height <= HEIGHT - BOTTOM + 0.1
            assert width > 3


def test_one_among_many_can_be_seen() -> None:
    figure = figure_of(Series("let through", [100_000, 0], "good"), Series("blocked", [1, 1], "bad"))
    assert [height for _x, _y, _w, height in bars_of(figure, "bad")] == [1.5, 1.5]


def test_no_time_and_no_request_are_charts_too() -> None:
    empty = figure_of(Series("all", [], "good"))
    assert bars_of(empty, "good") == rows_of(empty) == []
    quiet = figure_of(Series("all", [0, 0], "good"))
    assert bars_of(quiet, "good") == []
    assert quiet.findtext("./svg/desc") == "Nothing was counted."
    assert rows_of(quiet) == [["12:00", "0"], ["12:01", "0"]]


def test_the_same_numbers_are_there_as_a_table_and_in_words() -> None:
    series = [Series("hits", [1, 7, 2], "good"), Series("misses", [4, 5, 6], "quiet")]
    figure = figure_of(*series)
    assert rows_of(figure) == [["12:00", "1", "4"], ["12:01", "7", "5"], ["12:02", "2", "6"]]
    assert [cell.text for cell in figure.findall("./details/table/thead/tr/th")] == ["Time", "hits", "misses"]
    assert figure.findtext("./svg/desc") == "hits: 10, misses: 15. At most 12 together, at 12:01."
    assert [title.text for title in figure.findall("./svg/g/title")][1] == "12:01: hits 7, misses 5"
    svg = figure.find("./svg")
    assert svg is not None
    assert svg.get("role") == "img"
    assert figure.find(f".//title[@id='{svg.get('aria-labelledby')}']") is not None
    assert figure.find(f".//desc[@id='{svg.get('aria-describedby')}']") is not None


def test_times_below_the_chart_are_few_however_many_there_are() -> None:
    for count in (1, 5, 24, 60, 1440):
        figure = figure_of(Series("all", [1] * count, "good"), times=[f"t{place}" for place in range(count)])
        shown = [text.text for text in figure.findall("./svg/text") if (text.text or "").startswith("t")]
        assert shown[0] == "t0"
        assert min(count, 3) <= len(shown) <= 6


def test_text_is_escaped_and_nothing_is_styled_inline() -> None:
    hostile = "<script>alert(1)</script>\"'&"
    made = bars_over_time("chart", hostile, [hostile], [Series(hostile, [1], "good")])
    assert "<script>" not in made
    assert "style=" not in made
    assert not re.search(r"\son\w+=", made)
    assert ElementTree.fromstring(made).findtext("./svg/title") == hostile


def test_a_value_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="blocked has 1 values for 2 times"):
        bars_over_time("chart", "Requests", ["12:00", "12:01"], [Series("blocked", [1], "bad")])


@given(st.integers(0, 10**12))
def test_an_axis_ends_little_above_the_largest_value(largest: int) -> None:
    top = axis_top(largest)
    assert max(1, largest) <= top <= max(1, 2.5 * largest)
    assert re.fullmatch(r"[1245]0*", str(top))


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (1500, "1.5k"), (20_000, "20k"), (3_000_000, "3M"), (2_000_000_000, "2G")],
)
def test_numbers_on_an_axis_are_short(number: int, text: str) -> None:
    assert short(number) == text


def test_words_name_the_busiest_time() -> None:
    assert in_words(["a", "b"], [Series("x", [1, 2], "good")]).endswith("At most 2 together, at b.")
