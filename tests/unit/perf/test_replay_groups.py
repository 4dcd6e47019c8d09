"""Counters that decide together are in one group, so that visits keep their order where it matters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perf.metrics.replay import groups_of

counters = st.sampled_from("abcdefghijkl")


@given(st.lists(st.lists(counters, min_size=1, max_size=4, unique=True).map(tuple), max_size=12))
def test_two_are_in_one_group_exactly_if_a_chain_of_visits_joins_them(together: list[tuple[str, ...]]) -> None:
    groups = groups_of(together)
    assert groups.keys() == {counter for some in together for counter in some}
    for first in groups:
        reached = {first}
        while more := {other for some in together if reached & set(some) for other in some} - reached:
            reached |= more
        assert {other for other in groups if groups[other] == groups[first]} == reached
