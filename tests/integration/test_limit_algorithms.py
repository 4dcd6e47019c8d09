"""The scripts' algorithms against exact models, over random arrival times on a clock the test owns.

The scripts read Redis' clock; here they run in a script whose clock is an argument, and nothing else differs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django_redis import get_redis_connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perf.gate.scripts import with_includes

MICROSECONDS = 1_000_000
START = 1_700_000_000 * MICROSECONDS

# One decision as gate.lua makes it. ARGV: algorithm, now, limit, period, capacity, cost.
HARNESS = """
--@include sliding_window.lua
--@include fixed_window.lua
--@include token_bucket.lua
local algorithms = {sliding_window = sliding_window, fixed_window = fixed_window, token_bucket = token_bucket}
local algorithm, now, cost = algorithms[ARGV[1]](), tonumber(ARGV[2]), tonumber(ARGV[6])
local rule = {limit = tonumber(ARGV[3]), period = tonumber(ARGV[4]), capacity = tonumber(ARGV[5])}
local state = algorithm.read(redis.call('GET', KEYS[1]) or nil, now, rule)
if algorithm.remaining(state) < cost then return {0, algorithm.wait(state, cost)} end
algorithm.charge(state, cost)
local raw, lifetime = algorithm.write(state)
redis.call('SET', KEYS[1], raw)
return {1, lifetime}
"""


@pytest.fixture
def decide() -> Callable[..., tuple[bool, int]]:
    script = get_redis_connection("default").register_script(with_includes(HARNESS))

    def decide(algorithm: str, at: int, limit: int, period: int, cost: int = 1, capacity: int = 0) -> tuple[bool, int]:
        arguments: list[Any] = [algorithm, START + at, limit, period * MICROSECONDS, capacity or limit, cost]
        allowed, microseconds = script(keys=["counter"], args=arguments)
        return bool(allowed), microseconds

    return decide


arrivals = st.lists(st.tuples(st.integers(0, 900_000), st.integers(1, 3)), min_size=1, max_size=120)
settings_here = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@settings_here
@given(arrivals, st.integers(1, 40), st.integers(1, 5))
def test_sliding_window_never_admits_more_than_the_limit_in_any_period(
    decide: Any, gaps: list[tuple[int, int]], limit: int, period: int
) -> None:
    get_redis_connection("default").delete("counter")
    now, admitted = 0, []
    for gap, cost in gaps:
        now += gap
        if decide("sliding_window", now, limit, period, cost)[0]:
            admitted.append((now, cost))
    for time, _ in admitted:
        in_period = sum(cost for at, cost in admitted if time <= at < time + period * MICROSECONDS)
        assert in_period <= limit


@settings_here
@given(arrivals, st.integers(1, 24), st.integers(1, 5))
def test_sliding_window_with_few_requests_is_an_exact_log(
    decide: Any, gaps: list[tuple[int, int]], limit: int, period: int
) -> None:
    """Where each request is alone in its sub-window, the decision is the exact one, but for rounding."""
    get_redis_connection("default").delete("counter")
    width = period * MICROSECONDS // 24 + 1
    now, log = 0, []
    for gap, _ in gaps:
        now += gap + width
        log = [at for at in log if at + period * MICROSECONDS > now]
        allowed = decide("sliding_window", now, limit, period)[0]
        is_close_call = any(abs(at + period * MICROSECONDS - now) < period * 100 for at in log)
        if not is_close_call:
            assert allowed == (len(log) < limit)
        if allowed:
            log.append(now)


@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
def test_sliding_window_gives_a_steady_client_at_least_95_percent(decide: Any, limit: int) -> None:
    period, rounds = 10, 6
    gap = period * MICROSECONDS / limit
    offered = round(limit * rounds)
    admitted = sum(decide("sliding_window", round(n * gap), limit, period)[0] for n in range(offered))
    assert admitted >= 0.95 * offered


@settings_here
@given(arrivals, st.integers(1, 30), st.integers(1, 5))
def test_sliding_window_admits_at_the_time_it_names(
    decide: Any, gaps: list[tuple[int, int]], limit: int, period: int
) -> None:
    get_redis_connection("default").delete("counter")
    now = 0
    for gap, cost in gaps:
        now += gap
        if cost > limit:
            continue
        allowed, wait = decide("sliding_window", now, limit, period, cost)
        if not allowed:
            assert 0 < wait <= (period * MICROSECONDS) * 1.05
            now += wait
            assert decide("sliding_window", now, limit, period, cost)[0]


@settings_here
@given(arrivals, st.integers(1, 30), st.integers(1, 5))
def test_fixed_window_is_the_plain_counter(decide: Any, gaps: list[tuple[int, int]], limit: int, period: int) -> None:
    get_redis_connection("default").delete("counter")
    now, used, window = 0, 0, None
    for gap, cost in gaps:
        now += gap
        current = (START + now) // (period * MICROSECONDS)
        if current != window:
            window, used = current, 0
        expected = used + cost <= limit
        assert decide("fixed_window", now, limit, period, cost)[0] == expected
        used += cost * expected


@settings_here
@given(arrivals, st.integers(1, 30), st.integers(1, 5), st.integers(1, 40))
def test_token_bucket_is_the_exact_bucket(
    decide: Any, gaps: list[tuple[int, int]], limit: int, period: int, capacity: int
) -> None:
    """The model holds its level as a whole number of token-microseconds, so nothing is rounded."""
    get_redis_connection("default").delete("counter")
    now, last, level = 0, 0, 0
    for gap, cost in gaps:
        now += gap
        level = max(0, level - limit * (now - last))
        last = now
        expected = level + cost * period * MICROSECONDS <= capacity * period * MICROSECONDS
        assert decide("token_bucket", now, limit, period, cost, capacity)[0] == expected
        if expected:
            level += cost * period * MICROSECONDS


def test_a_clock_that_goes_back_frees_nothing(decide: Any) -> None:
    for algorithm in ("sliding_window", "fixed_window", "token_bucket"):
        get_redis_connection("default").delete("counter")
        assert decide(algorithm, 100 * MICROSECONDS, 1, 60)[0]
        assert not decide(algorithm, 10 * MICROSECONDS, 1, 60)[0]
