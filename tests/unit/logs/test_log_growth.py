"""Overlapping looks at one attack add up to what there was, each hour once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from securenet.logs.growth import MOST_HOURS, grown

hours_of_days = st.integers(0, 40).map(lambda number: f"2026-11-{number // 24 + 1:02}T{number % 24:02}")
attacks = st.dictionaries(hours_of_days, st.integers(1, 99), min_size=1)


def sight(hours: dict[str, int], lines: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"count": sum(hours.values()), "by_hour": hours, "lines": list(lines)}


def parts_of(hours: dict[str, int], data: st.DataObject) -> list[dict[str, int]]:
    """Looks at stretches of it, which together cover it all."""
    ordered = sorted(hours)
    parts = []
    start = 0
    while start < len(ordered):
        end = data.draw(st.integers(start + 1, len(ordered)))
        parts.append({hour: hours[hour] for hour in ordered[data.draw(st.integers(0, start)) : end]})
        start = end
    return parts


@given(attacks, st.data())
def test_looks_that_overlap_give_what_one_look_at_all_gives(hours: dict[str, int], data: st.DataObject) -> None:
    first, *others = parts_of(hours, data)
    together = sight(first)
    for part in others:
        together = grown(together, sight(part), are_apart=False)
    assert together["by_hour"] == hours
    assert together["count"] == sum(hours.values())


@given(attacks, st.data())
def test_in_whatever_order_they_are_made(hours: dict[str, int], data: st.DataObject) -> None:
    parts = data.draw(st.permutations(parts_of(hours, data)))
    together = sight(parts[0])
    for part in parts[1:]:
        together = grown(sight(part), together, are_apart=False)
    assert together["by_hour"] == hours


@given(attacks)
def test_the_same_look_again_adds_nothing(hours: dict[str, int]) -> None:
    once = sight(hours, ("a", "b"))
    again = grown(once, once, are_apart=False)
    assert {name: again[name] for name in once} == once


def test_what_is_not_counted_by_the_hour_adds_up_only_where_looks_are_apart() -> None:
    one, other = {"count": 5, "lines": []}, {"count": 7, "lines": []}
    assert grown(one, other, are_apart=True)["count"] == 12
    assert grown(one, other, are_apart=False)["count"] == 7


def test_an_attack_of_years_keeps_its_count_in_bounded_evidence() -> None:
    together = sight({})
    expected: Counter[str] = Counter()
    for month in range(60):
        days = [f"{2020 + month // 12}-{month % 12 + 1:02}-{day:02}" for day in range(1, 29)]
        hours = {f"{day}T{hour:02}": 2 for day in days for hour in range(24)}
        expected += Counter(hours)
        together = grown(together, sight(hours), are_apart=True)
        assert len(together["by_hour"]) <= MOST_HOURS
    assert together["count"] == expected.total()


def test_the_first_and_the_last_lines_stand_for_all() -> None:
    one, other = (sight({}, tuple(f"2026-11-01T{minute:04}" for minute in part)) for part in (range(15), range(10, 40)))
    lines = grown(one, other, are_apart=False)["lines"]
    assert lines == [f"2026-11-01T{minute:04}" for minute in (*range(10), *range(30, 40))]
