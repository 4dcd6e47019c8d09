"""What a request waits for while Redis is away, and what the limiters answer then."""

from __future__ import annotations

import logging
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from types import ModuleType
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings

from perf.gate.store import store
from securenet.run.redis_server import RedisServer
from tests.benchmarks.handler import handler_with, status_of
from tests.benchmarks.report import Table, publish

pytestmark = pytest.mark.bench

ROUNDS = 4
REQUESTS_A_ROUND = 250
ATTEMPTS = 5  # of the peers, whose requests may each wait for a time-out
Request = Callable[[], int]


@contextmanager
def refusing(server: RedisServer) -> Iterator[None]:
    """Redis is gone: connections are refused."""
    server.kill()
    try:
        yield
    finally:
        server.restart()


@contextmanager
def hanging(server: RedisServer) -> Iterator[None]:
    """Redis takes connections and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without a log line for each error: it would be part of the time."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_delay_while_redis_is_away(limiters: ModuleType, redis: RedisServer, quiet: None) -> None:
    with override_settings(BENCH_RATE=(1_000_000, 86400)):
        limiters.given_policies(on_store_error="local")
        unlimited, limited = (request_of(row, limiters) for row in (limiters.UNLIMITED, limiters.SLIDING_WINDOW))
        times: dict[str, list[float]] = {"no limiter": [], "healthy": [], "refuses": [], "hangs": []}
        first: dict[str, list[float]] = {"refuses": [], "hangs": []}
        for _ in range(ROUNDS):
            times["no limiter"] += timed(unlimited)
            times["healthy"] += timed(limited)
            for state, outage in (("refuses", refusing), ("hangs", hanging)):
                with outage(redis):
                    first[state] += timed(limited, 1)
                    assert store.is_open, "the limiter did not notice that Redis is away"
                    times[state] += timed(limited)
                await_recovery()
        peers = [[row.name, *answers_while_refused(row, limiters, redis)] for row in limiters.PEERS]
    labels = {
        "no limiter": "no limiter",
        "healthy": "perf, Redis well",
        "refuses": "perf, Redis refuses connections",
        "hangs": "perf, Redis hangs",
    }
    bare = quantiles(times["no limiter"])
    publish(
        "store-down",
        "While Redis is away",
        text(),
        Table(
            ["", "p50", "p99", "added p50", "added p99", "first"],
            [row_of(label, times[state], bare, first.get(state, [])) for state, label in labels.items()],
        ),
        "The other limiters have no breaker. What they answer while Redis refuses connections:",
        Table(["", "answer", "median of 5"], peers),
    )


def text() -> str:
    timeout = float(store.client().connection_pool.connection_kwargs["socket_timeout"])
    return f"""
Milliseconds per request of one client while the circuit breaker is open, under a policy that then limits in each
process (`on_store_error: local`). *Added* is the difference to the view without limiter. *First* is the request that
meets the failure and opens the breaker; where Redis hangs it waits for the time-out of the connection, which is
{timeout * 1000:.0f} ms here and 500 ms in SecureNet's settings.
"""


def row_of(label: str, seconds: list[float], bare: tuple[float, float], first: list[float]) -> list[str]:
    p50, p99 = quantiles(seconds)
    added = [f"{p50 - bare[0]:.2f}", f"{p99 - bare[1]:.2f}"] if (p50, p99) != bare else ["–", "–"]
    return [label, f"{p50:.2f}", f"{p99:.2f}", *added, f"{max(first) * 1000:.1f}" if first else "–"]


def request_of(limiter: Any, limiters: ModuleType) -> Request:
    handler: WSGIHandler = handler_with(limiter.middleware)
    clients = cycle([limiters.visitor(1)])
    return lambda: status_of(handler, limiter.path, next(clients))


def timed(request: Request, times: int = REQUESTS_A_ROUND) -> list[float]:
    """Seconds of each request; all have to be admitted."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        status = request()
        seconds.append(time.perf_counter() - started)
        assert status == 200, status
    return seconds


def answers_while_refused(limiter: Any, limiters: ModuleType, redis: RedisServer) -> list[str]:
    request = request_of(limiter, limiters)
    request()
    seconds, statuses = [], set()
    with refusing(redis):
        for _ in range(ATTEMPTS):
            started = time.perf_counter()
            statuses.add(str(request()))
            seconds.append(time.perf_counter() - started)
    return [", ".join(sorted(statuses)), f"{statistics.median(seconds) * 1000:.1f} ms"]


def quantiles(seconds: list[float]) -> tuple[float, float]:
    """Median and 99th percentile, in milliseconds."""
    hundredths = statistics.quantiles(seconds, n=100)
    return hundredths[49] * 1000, hundredths[98] * 1000


def await_recovery() -> None:
    """Until the process asks Redis again."""
    deadline = time.monotonic() + 10
    while store.is_open:
        assert time.monotonic() < deadline, "the breaker did not close"
        time.sleep(0.02)
