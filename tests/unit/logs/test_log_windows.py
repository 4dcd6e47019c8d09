"""Sliding windows against a plain re-count, and the bounded table of sources."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st
from log_samples import at

from securenet.logs.detectors.windows import BoundedCounter, Burst, DistinctBurst, SourceTable

WINDOW, LATENESS = timedelta(seconds=60), timedelta(seconds=20)


def has_burst(times: list[int], threshold: int, window: int) -> bool:
    """The definition, counted plainly: some window [t, t + window] holds the threshold."""
    return any(sum(1 for other in times if time <= other <= time + window) >= threshold for time in times)


def burst_of(times: list[int], threshold: int = 4) -> Burst:
    burst = Burst(threshold, WINDOW, LATENESS)
    for time in times:
        burst.add(at(time))
    return burst


@given(st.lists(st.integers(0, 400), max_size=40), st.integers(2, 6))
@settings(deadline=None)
def test_a_burst_opens_exactly_when_some_window_holds_the_threshold(times: list[int], threshold: int) -> None:
    times.sort()
    assert burst_of(times, threshold).is_open == has_burst(times, threshold, 60)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20)), max_size=40))
@example([(0, 0), (0, 0), (0, 0), (70, 0), (55, 20)])
@settings(deadline=None)
def test_lines_late_within_the_allowance_change_nothing(times_and_delays: list[tuple[int, int]]) -> None:
    arrival = sorted(times_and_delays, key=lambda pair: pair[0] + pair[1])
    assert burst_of([time for time, _ in arrival]).is_open == has_burst([time for time, _ in arrival], 4, 60)


@given(st.lists(st.integers(0, 59), min_size=4, max_size=40))
@settings(deadline=None)
def test_an_open_burst_counts_everything_once_in_any_order(times: list[int]) -> None:
    burst = burst_of(times)
    assert (burst.count, burst.first, burst.last) == (len(times), at(min(times)), at(max(times)))


def has_spread_burst(times: list[int], threshold: int, window: int, spread: int) -> bool:
    """The definition, counted plainly: some two moments, far enough but not too far apart, hold the threshold."""
    return any(
        spread <= last - first <= window and sum(first <= time <= last for time in times) >= threshold
        for first in times
        for last in times
    )


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 20)), max_size=40), st.integers(1, 60))
@settings(deadline=None)
def test_a_burst_with_a_spread_opens_exactly_when_it_reaches_that_far(
    times_and_delays: list[tuple[int, int]], spread: int
) -> None:
    arrival = [time for time, delay in sorted(times_and_delays, key=lambda pair: pair[0] + pair[1])]
    burst = Burst(4, WINDOW, LATENESS, spread=timedelta(seconds=spread))
    for time in arrival:
        burst.add(at(time))
    assert burst.is_open == has_spread_burst(arrival, 4, 60, spread)


def test_what_comes_quicker_than_the_spread_is_counted_in_full_and_kept_in_little() -> None:
    burst = Burst(5, timedelta(days=1), LATENESS, spread=timedelta(hours=1))
    for number in range(3_600):
        burst.add(at(number))
        assert len(burst._pending) <= 101
    assert not burst.is_open
    burst.add(at(3_600))
    assert (burst.is_open, burst.count, burst.first) == (True, 3_601, at(0))


def test_what_is_forgotten_does_not_count_and_an_open_burst_forgets_nothing() -> None:
    burst = burst_of([0, 1, 2])
    burst.forget()
    burst.add(at(3))
    assert not burst.is_open
    for time in (4, 5, 6):
        burst.add(at(time))
    burst.forget()
    assert (burst.is_open, burst.count, burst.first) == (True, 4, at(3))


def test_the_window_includes_both_ends() -> None:
    assert burst_of([0, 20, 40, 60]).is_open
    assert not burst_of([0, 20, 40, 61]).is_open


def test_one_line_may_stand_for_a_whole_burst() -> None:
    burst = Burst(4, WINDOW, LATENESS)
    burst.add(at(0), 5)
    assert (burst.is_open, burst.count) == (True, 5)


def test_what_comes_too_late_is_refused() -> None:
    burst = burst_of([0, 1000])
    assert burst.add(at(920))
    assert not burst.add(at(919))


def test_a_burst_keeps_little_however_long_the_stream() -> None:
    slow = burst_of([number * 21 for number in range(10_000)])  # three per window, for ever
    assert not slow.is_open
    assert len(slow._pending) <= 5


@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from("abcdefgh")), max_size=40), st.integers(2, 5))
@settings(deadline=None)
def test_distinct_items_are_counted_per_window(stream: list[tuple[int, str]], threshold: int) -> None:
    stream.sort()
    burst = DistinctBurst(threshold, WINDOW, LATENESS)
    for time, item in stream:
        burst.add(at(time), item)
    truth = any(len({item for time, item in stream if begin <= time <= begin + 60}) >= threshold for begin, _ in stream)
    assert burst.is_open == truth


def test_distinct_items_are_remembered_up_to_a_bound() -> None:
    burst = DistinctBurst(3, WINDOW, LATENESS, remembered=10)
    for number in range(1000):
        burst.add(at(0), f"item{number}")
    assert (burst.is_open, burst.distinct) == (True, 10)


def test_a_counter_names_the_first_and_sums_up_the_rest() -> None:
    counter = BoundedCounter(2)
    for text in ("a", "b", "b", "c", "d", "a", "b"):
        counter.add(text)
    assert (counter.top(5), counter.others, len(counter)) == ({"b": 3, "a": 2}, 2, 2)


def test_a_counter_keeps_the_beginning_of_a_long_text() -> None:
    counter = BoundedCounter(2, longest=3)
    counter.add("abcdef")
    counter.add("abcxyz")
    assert counter.top(5) == {"abc": 2}
    assert "abc-another-end" in counter


class Seen:
    def __init__(self, source: str, time: datetime) -> None:
        self.source, self.last = source, time


def test_a_quiet_source_leaves_the_table_and_starts_anew() -> None:
    table = SourceTable(Seen, timedelta(seconds=60), 100)
    first, _ = table.touch("a", at(0))
    table.touch("b", at(30))
    same, ended = table.touch("a", at(60))
    assert same is first
    assert ended == []
    first.last = at(60)
    _, ended = table.touch("c", at(91))
    assert [state.source for state in ended] == ["b"]
    again, ended = table.touch("a", at(200))
    assert again is not first
    assert {state.source for state in ended} == {"a", "c"}


def test_a_full_table_gives_up_the_source_longest_untouched() -> None:
    table = SourceTable(Seen, timedelta(seconds=60), 2)
    for source in ("a", "b", "a"):
        table.touch(source, at(0))
    _, ended = table.touch("c", at(0))
    assert [state.source for state in ended] == ["b"]
    assert len(table) == 2


def test_looking_at_a_source_does_not_make_it_known() -> None:
    table = SourceTable(Seen, timedelta(seconds=60), 2)
    assert table.known("a") is None
    state, _ = table.touch("a", at(0))
    assert table.known("a") is state
    assert len(table) == 1


def test_a_stale_source_behind_newer_ones_is_not_continued() -> None:
    table = SourceTable(Seen, timedelta(seconds=60), 100)
    table.touch("ahead", at(500))  # another machine's clock
    table.touch("a", at(0))
    _, ended = table.touch("a", at(100))
    assert [state.source for state in ended] == ["a"]
