"""How many requests limiters admit when many processes ask for the same clients at once, across window edges."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings
from django_redis import get_redis_connection

from perf.gate import revision
from tests.benchmarks.asking_process import Task
from tests.benchmarks.processes import Process, carried_out, processes
from tests.benchmarks.report import Table, publish

pytestmark = pytest.mark.bench

TASK = Task(limiter="", processes=8, clients=64, limit=20, period=2, overload=1.5, seconds=6.5)
LEAD_SECONDS = 0.3  # for the processes to be ready before the clock starts

TEXT = f"""
{TASK.clients} clients, each limited to {TASK.limit} requests in {TASK.period} s, ask through {TASK.processes} processes
at once for {TASK.seconds:g} s: one request, a pause, a burst of twice the limit, then {TASK.overload:g} times as often
as they may. Pauses are from none to {TASK.period} s, so that some of the bursts meet the edge of a window.

*Worst* is the most that any client was admitted within any {TASK.period} s, as a multiple of its limit. A request
counts if it was both sent and answered within them, so the figure is proven and never too high. *By definition* is what
the algorithm may admit. *Share* is all that was admitted, relative to an exact log of each client that decides the same
requests one at a time: below 100 % is allowance that clients did not get.
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request: when it was sent and answered, in seconds, and whether it was admitted."""

    client: int
    begun: float
    ended: float
    admitted: bool


@pytest.fixture
def crowd(limiters: ModuleType, redis: Any) -> Iterator[list[Process]]:
    """Fresh processes on the same Redis and the same policies."""
    rate = (TASK.limit, TASK.period)
    with override_settings(BENCH_RATE=rate):
        limiters.given_policies()
    module = "tests.benchmarks.asking_process"
    with processes(module, TASK.processes, redis.url, BENCH_RATE=json.dumps(rate)) as started:
        yield started


def test_admissions_across_window_edges(limiters: ModuleType, crowd: list[Process]) -> None:
    rows = []
    warm_up = replace(TASK, limiter=limiters.PEERS[0].name, seconds=0, limit=1)
    attempts_of(warm_up, crowd)  # until all have started
    for limiter in (*limiters.PEERS, *limiters.PERF):
        get_redis_connection("default").flushall()
        revision.publish(revision.current.get().number)
        attempts = attempts_of(replace(TASK, limiter=limiter.name), crowd)
        by_client = [list(group) for _, group in groupby(sorted(attempts, key=_client), key=_client)]
        worst = max(most_in_a_period(client, TASK.period) for client in by_client) / TASK.limit
        admitted = sum(attempt.admitted for attempt in attempts)
        ideal = sum(admitted_by_a_log(client, TASK.limit, TASK.period) for client in by_client)
        rows.append(
            [limiter.name, f"{worst:.2f} x", f"{limiter.at_most}.00 x", f"{admitted / ideal:.0%}", f"{len(attempts):,}"]
        )
    publish(
        "admission",
        "Limiting a view: what is admitted",
        TEXT,
        Table(["", "worst", "by definition", "share", "requests"], rows),
    )


def attempts_of(task: Task, crowd: Sequence[Process]) -> list[Attempt]:
    """All processes carry out the task; what they did."""
    line = replace(task, starts_at=time.monotonic() + LEAD_SECONDS).line()
    return [Attempt(*fields) for answer in carried_out(line, crowd) for fields in answer]


def _client(attempt: Attempt) -> int:
    return attempt.client


def most_in_a_period(attempts: Sequence[Attempt], period: float) -> int:
    """The most admissions that certainly fell into one interval shorter than ``period``: begun and ended in it."""
    admitted = sorted((attempt for attempt in attempts if attempt.admitted), key=lambda attempt: attempt.begun)
    return max(
        (
            sum(attempt.ended < first.begun + period for attempt in admitted[number:])
            for number, first in enumerate(admitted)
        ),
        default=0,
    )


def admitted_by_a_log(attempts: Sequence[Attempt], limit: int, period: float) -> int:
    """How many of a client's attempts an exact log admits, deciding each at the middle of its exchange."""
    log: deque[float] = deque()
    admitted = 0
    for now in sorted((attempt.begun + attempt.ended) / 2 for attempt in attempts):
        while log and log[0] <= now - period:
            log.popleft()
        if len(log) < limit:
            log.append(now)
            admitted += 1
    return admitted
