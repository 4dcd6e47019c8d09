"""Limits without Redis: this process's share, exact in every period, in bounded memory."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from perf.gate.local import MAX_COUNTERS, SUB_WINDOWS, LocalLimiter
from perf.policies.routes import parse_route
from perf.policies.snapshot import LimitRule

RULE = LimitRule(
    id=1, name="local", scope="default", position=1, route=parse_route("*"), methods=frozenset(), roles=frozenset(),
    observe=False, count_by="ip", algorithm="sliding_window", limit=10, period=10, capacity=10, cost=1, penalty=False,
    on_store_error="local",
)  # fmt: skip

arrivals = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 3)), max_size=150)


@given(arrivals, st.integers(1, 40), st.integers(1, 9), st.integers(1, 8))
def test_never_more_than_the_share_in_any_period(
    gaps: list[tuple[float, int]], limit: int, period: int, processes: int
) -> None:
    limiter, now, admitted = LocalLimiter(), 1000.0, []
    share = max(1, limit // processes)
    for gap, cost in gaps:
        now += gap
        rule = replace(RULE, limit=limit, period=period, cost=min(cost, share))
        (state,) = limiter.decide([(rule, "client")], processes, now)
        if state.allowed:
            admitted.append((now, rule.cost))
    for begin, _ in admitted:
        assert sum(cost for at, cost in admitted if begin <= at < begin + period) <= share


@given(arrivals, st.integers(1, 40), st.integers(1, 9))
def test_the_named_wait_is_enough(gaps: list[tuple[float, int]], limit: int, period: int) -> None:
    limiter, now = LocalLimiter(), 1000.0
    for gap, cost in gaps:
        now += gap
        limits = [(replace(RULE, limit=limit, period=period, cost=min(cost, limit)), "client")]
        (state,) = limiter.decide(limits, 1, now)
        if not state.allowed:
            assert 0 < state.wait <= period + 1e-6  # floating point
            now += state.wait + 1e-6
            assert limiter.decide(limits, 1, now)[0].allowed


def test_a_steady_client_gets_at_least_95_percent_of_its_share() -> None:
    limiter, rule = LocalLimiter(), replace(RULE, limit=600, period=10)
    admitted = sum(limiter.decide([(rule, "client")], 1, 1000 + n / 60)[0].allowed for n in range(3600))
    assert admitted >= 0.95 * 3600


def test_all_limits_are_decided_together() -> None:
    limiter = LocalLimiter()
    wide, narrow = replace(RULE, limit=5), replace(RULE, id=2, limit=1)
    both = [(wide, "client"), (narrow, "client")]
    limiter.decide(both, 1, 1000)
    for _ in range(3):
        states = limiter.decide(both, 1, 1001)
        assert [state.allowed for state in states] == [True, False]
        assert states[0].remaining == 4, "a refused request was charged"


def test_a_penalty_charges_what_it_refuses() -> None:
    limiter, rule = LocalLimiter(), replace(RULE, limit=1, penalty=True)
    for second in range(5):
        (state,) = limiter.decide([(rule, "client")], 1, 1000 + second * 5)
        assert state.allowed == (second == 0)


def test_an_observed_limit_does_not_keep_others_from_being_charged() -> None:
    limiter = LocalLimiter()
    observed, enforced = replace(RULE, limit=1, observe=True), replace(RULE, id=2, limit=3)
    results = [limiter.decide([(observed, "c"), (enforced, "c")], 1, 1000)[1].allowed for _ in range(5)]
    assert results == [True, True, True, False, False]


def test_a_request_dearer_than_the_share_is_still_possible() -> None:
    assert LocalLimiter().decide([(replace(RULE, limit=4, cost=3), "client")], 4, 1000)[0].allowed


def test_a_cost_of_zero_looks_without_counting() -> None:
    limiter, rule = LocalLimiter(), replace(RULE, limit=1, cost=0)
    assert all(limiter.decide([(rule, "client")], 1, 1000)[0].remaining == 1 for _ in range(3))


def test_memory_is_bounded_in_requests_and_in_clients() -> None:
    limiter, rule = LocalLimiter(), replace(RULE, limit=1_000_000)
    for n in range(5000):
        limiter.decide([(rule, "busy")], 1, 1000 + n / 100)
    assert len(limiter._counters[1, "busy"].uses) <= SUB_WINDOWS + 1
    for n in range(MAX_COUNTERS + 100):
        limiter.decide([(rule, str(n))], 1, 1100)
    assert len(limiter._counters) == MAX_COUNTERS
