"""The response cache beside its peers: hits, 304 and misses per second, by size of the body."""

from __future__ import annotations

import itertools
from itertools import repeat

import pytest
from django.test import override_settings

from tests.benchmarks.bodies import SIZES, spoken
from tests.benchmarks.caches import (
    BARE,
    EXTENSIONS,
    ONE_GET,
    PAGE,
    PERF,
    PERF_GZIP,
    VIEWS,
    Cache,
    etag_of,
    given_policies_and_bodies,
    missing,
)
from tests.benchmarks.handler import asking
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Answer, in_turns

pytestmark = pytest.mark.bench

ROUNDS = 9
REQUESTS = {"1-KB": 60, "32-KB": 40, "512-KB": 12}
HITS = (BARE, ONE_GET, PAGE, EXTENSIONS, PERF, PERF_GZIP)
WITH_CACHE = (PAGE, EXTENSIONS, PERF)
TEXT = """
A DRF view that everybody may see, whose JSON is in the cache already. perf's rows have `PerformanceMiddleware`, the
others `ConditionalGetMiddleware`, which makes their 304. perf keeps bodies compressed, and in the process as well, so
neither Redis nor the wire sees them again; a client that does not accept gzip costs it the unpacking.

One client makes all requests. `UserRateThrottle` keeps the time of each for a minute, so its log becomes longer than
that of a client with a usual limit, and its rows slower: by about a tenth where the body is small.
"""


@pytest.fixture(autouse=True)
def policies_and_bodies() -> None:
    given_policies_and_bodies(SIZES)


def hitting(cache: Cache, size: str) -> Answer:
    return asking(cache.handler(), repeat(cache.path(size)), repeat(dict(cache.headers)), 200)


def not_modified(cache: Cache, size: str) -> Answer:
    condition = {"HTTP_IF_NONE_MATCH": etag_of(cache, size)}
    return asking(cache.handler(), repeat(cache.path(size)), repeat(condition), 304)


@override_settings(ROOT_URLCONF=VIEWS)
def test_cache_by_size() -> None:
    parts: list[str | Table] = [TEXT]
    for size, requests in REQUESTS.items():
        answers = {cache.label: hitting(cache, size) for cache in HITS}
        parts += [f"**Hits, {spoken(size)}**", table(answers, PERF_GZIP, "perf (gzip) is", requests, warm_up=5)]
    numbers, size = itertools.count(), "32-KB"
    conditional = {cache.label: not_modified(cache, size) for cache in WITH_CACHE}
    parts += [f"**304, {spoken(size)}**", table(conditional, PERF, "perf is", 20, warm_up=3)]
    misses = {cache.label: missing(cache, size, numbers, repeat({})) for cache in WITH_CACHE}
    parts += [f"**Misses, {spoken(size)}**", table(misses, PERF, "perf is", 20, warm_up=3)]
    publish("cache", "The response cache", *parts)


def table(answers: dict[str, Answer], ours: Cache, ratio: str, requests: int, warm_up: int) -> Table:
    """Requests per second of each row, and how ``ours`` compares."""
    timed = in_turns(answers, rounds=ROUNDS, requests=requests, warm_up=warm_up)
    return Table(
        ["", "requests/s", ratio],
        [
            [
                label,
                f"{rounds.per_second:.0f}",
                "–" if label == ours.label else str(timed[ours.label].speed_against(rounds)),
            ]
            for label, rounds in timed.items()
        ],
    )
