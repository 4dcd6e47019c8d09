"""Whole, shuffled, in pieces or twice: the same events come out, in the same order."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from log_samples import event, failure, request

from securenet.logs import settling
from securenet.logs.parsers import Event
from securenet.logs.settling import Arrival, Settled


def arrivals(events: list[Event], batch: int = 0, source: str = "gate") -> list[Arrival]:
    return [Arrival(each, source, batch) for each in events]


def settled(arrived: list[Arrival]) -> list[Event]:
    return list(Settled(sorted(arrived, key=lambda arrival: arrival.event.time)))


def line(second: int, pid: int, message: str) -> Event:
    return replace(failure(second, pid=str(pid)), message=message)


lines = st.builds(line, st.integers(0, 3), st.integers(1, 3), st.sampled_from("abc"))


@given(st.lists(lines, unique_by=repr, max_size=30), st.randoms())
@settings(deadline=None)
def test_lines_that_differ_come_out_once_each_in_one_order_however_they_arrive(
    events: list[Event], chance: Random
) -> None:
    whole = settled(arrivals(events))
    assert sorted(map(repr, whole)) == sorted(map(repr, events))
    in_pieces = [Arrival(each, "gate", chance.randrange(4)) for each in chance.sample(events, len(events))]
    assert settled(in_pieces) == whole
    assert settled([*in_pieces, *arrivals(events, batch=9)]) == whole


@given(st.lists(lines, max_size=30))
@settings(deadline=None)
def test_equal_lines_of_one_batch_are_all_kept_and_a_second_batch_adds_none(events: list[Event]) -> None:
    once = settled(arrivals(events))
    assert len(once) == len(events)
    assert settled(arrivals(events) + arrivals(events, batch=1)) == once


def test_of_several_batches_the_one_with_most_counts() -> None:
    same = line(0, 1, "a")
    assert len(settled([*arrivals([same] * 2), *arrivals([same] * 5, batch=1), *arrivals([same], batch=2)])) == 5


def test_what_was_left_out_is_counted() -> None:
    events = Settled(arrivals([line(0, 1, "a")] * 3) + arrivals([line(0, 1, "a")] * 3, batch=1))
    assert (len(list(events)), events.repeated) == (3, 3)


def test_equal_lines_of_other_sources_processes_or_times_are_others() -> None:
    same = line(0, 1, "a")
    others = [line(1, 1, "a"), line(0, 2, "a"), line(0, 1, "b"), replace(same, host="web2")]
    assert len(settled(arrivals([same]) + arrivals(others, batch=1) + arrivals([same], 2, source="other"))) == 6


def test_requests_have_no_process_so_all_of_them_count() -> None:
    same = request(0, "/", 200)
    assert len(settled(arrivals([same] * 3) + arrivals([same] * 2, batch=1))) == 5


def test_a_moment_with_more_events_than_fit_is_settled_in_parts(monkeypatch) -> None:
    monkeypatch.setattr(settling, "MOST_AT_ONCE", 10)
    events = [event(0, "other", user=str(number)) for number in range(95)]
    assert sorted(each.user for each in settled(arrivals(events))) == sorted(each.user for each in events)
