"""500 requests miss the same entry at once, in 8 processes, for each cache: how often the origin is asked."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django_redis import get_redis_connection

from perf.models import RateLimitPolicy
from tests.benchmarks.caches import EXTENSIONS, PAGE, PERF, Cache
from tests.benchmarks.processes import Process, carried_out, processes
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Rounds
from tests.benchmarks.stampede_process import ORIGIN_CALLS, Stampede
from tests.chaos.stampede_site import ORIGIN_SECONDS

pytestmark = pytest.mark.bench

REQUESTS, PROCESSES = 500, 8
ROUNDS = 5
LEAD_SECONDS = 0.4  # for the threads to be ready before the clock starts
UNCACHED = Cache("uncached", "DRF, `UserRateThrottle`, no cache")
CACHEOPS = Cache("cacheops", "DRF, cacheops `cached_view_as`")
CACHEOPS_LOCK = Cache("cacheops-lock", "DRF, cacheops `cached_view_as(lock=True)`")
ROWS = (UNCACHED, PAGE, EXTENSIONS, CACHEOPS, CACHEOPS_LOCK, PERF)
ORIGIN_MS = round(ORIGIN_SECONDS * 1000)
TEXT = f"""
{REQUESTS} clients ask for the same entry, which is not in the cache, at the same moment, in {PROCESSES} processes with
a thread for each. The origin behind it answers 1 KB after {ORIGIN_MS} ms, to any number at once, and each time it is
asked is counted in Redis. Times are from that moment on, medians of {ROUNDS} stampedes.

The processor's work for {REQUESTS} requests is in every row and is most of what a row takes beyond {ORIGIN_MS} ms.
Where the machine takes longer than the origin to get to all of them, the last ones find what the first have stored: a
faster machine asks the origin more often, up to {REQUESTS} times. cacheops stands outside of DRF's views, so their
throttles and permissions are not asked where it has the entry: its rows do less.
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A stampede: origin calls, and seconds until half of the answers, and all of them, were there."""

    origin_calls: int
    half: float
    all: float


@pytest.fixture
def crowd(redis: Any) -> Iterator[list[Process]]:
    RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=60)
    with processes("tests.benchmarks.stampede_process", PROCESSES, redis.url) as started:
        yield started


def test_who_computes_a_missing_entry(crowd: list[Process]) -> None:
    outcomes: dict[str, list[Outcome]] = {cache.name: [] for cache in ROWS}
    for number in range(ROUNDS + 1):
        first = number % len(ROWS)
        for cache in ROWS[first:] + ROWS[:first]:
            outcomes[cache.name].append(stampede(cache, number, crowd))
    counted = {name: made[1:] for name, made in outcomes.items()}  # in the first, processes and connections are new
    assert [outcome.origin_calls for outcome in outcomes[PERF.name]] == [1] * (ROUNDS + 1)
    timed = {name: Rounds([outcome.all for outcome in made]) for name, made in counted.items()}
    publish(
        "stampede",
        f"The response cache: {REQUESTS} misses at once",
        TEXT,
        Table(
            ["", "origin calls", "half of the answers", "last answer", "perf's last answer is sooner by"],
            [
                [
                    cache.label,
                    between([outcome.origin_calls for outcome in counted[cache.name]]),
                    f"{statistics.median(outcome.half for outcome in counted[cache.name]):.2f} s",
                    f"{statistics.median(outcome.all for outcome in counted[cache.name]):.2f} s",
                    "–" if cache is PERF else str(timed[PERF.name].speed_against(timed[cache.name])),
                ]
                for cache in ROWS
            ],
        ),
    )


def stampede(cache: Cache, number: int, crowd: list[Process]) -> Outcome:
    """Let them all ask for a path that nobody has asked for before."""
    client = get_redis_connection("default")
    client.set(ORIGIN_CALLS, 0)
    starts_at = time.monotonic() + LEAD_SECONDS
    task = Stampede(f"/api/{cache.name}/{number}", cache.middleware, REQUESTS, PROCESSES, starts_at)
    answers = [answer for process in carried_out(task.line(), crowd) for answer in process]
    assert [status for _, _, status in answers] == [200] * REQUESTS
    ended = sorted(ended / 1e9 - starts_at for _, ended, _ in answers)
    return Outcome(int(client.get(ORIGIN_CALLS)), ended[REQUESTS // 2], ended[-1])


def between(counts: list[int]) -> str:
    """The least and the most, where they differ."""
    return f"{min(counts)}–{max(counts)}" if min(counts) < max(counts) else str(counts[0])
