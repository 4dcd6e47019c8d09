"""What the response cache and its peers cost Redis: commands and bytes per request, memory per entry."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest
from django.test import override_settings
from django_redis import get_redis_connection

from perf.caching.local_copies import local_copies
from tests.benchmarks.bodies import RANDOM, SIZES, computed, spoken
from tests.benchmarks.caches import (
    EXTENSIONS,
    ONE_GET,
    PAGE,
    PERF,
    PERF_MIDDLEWARE,
    VIEWS,
    Cache,
    etag_of,
    given_policies_and_bodies,
    missing,
    stored_at,
)
from tests.benchmarks.handler import asking
from tests.benchmarks.redis_cost import MONITORED, RedisCost, cost_of
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Answer

pytestmark = pytest.mark.bench

PERF_ANEW = Cache("perf", "perf, in a process that has no copy yet", PERF_MIDDLEWARE)
REQUESTS = {"1-KB": 100, "32-KB": 60, "512-KB": 20}
REQUESTS_PER_CLIENT = 20
ENTRIES = 20
BODIES = [*SIZES, *(f"{RANDOM}{size}" for size in SIZES)]
# Parts of the names of keys that are there without entries as well: of limits, statistics and policies.
NO_ENTRIES = (b"throttle_", b":limit:", b":clients:", b":statistics:", b":blocked:", b":revision", b"bench:")

COST = f"""
What one request costs Redis. Which commands it sends, `MONITOR` tells; how many more its scripts call *inside* Redis,
`INFO commandstats`; and how many bytes cross the wire *to / from* Redis, `INFO stats`, both over
{", ".join(map(str, REQUESTS.values()))} requests, by the size of the body. Each client makes {REQUESTS_PER_CLIENT} of
them, because DRF's throttle keeps a log of a client's requests that crosses the wire twice per request. perf's
statistics are in its figures: they ride along.
"""
MEMORY = f"""
`MEMORY USAGE` in bytes per entry: of all keys that {ENTRIES} more entries make or make longer, those of the limits and
statistics aside. In brackets is how many times perf's it is. *Random* bodies are lists of random UUIDs, which compress
as badly as JSON can. perf compresses from 2 KB on. It makes a list on which others wait for the entry, of some hundred
bytes, that is gone after five seconds; it is in the figures.
"""


@pytest.fixture(autouse=True)
def policies_and_bodies() -> Iterator[None]:
    given_policies_and_bodies(BODIES)
    with override_settings(ROOT_URLCONF=VIEWS):
        yield


def client_addresses(numbers: Iterator[int]) -> Iterator[dict[str, str]]:
    """The next clients, each as often as clients ask."""
    for number in numbers:
        yield from repeat({"REMOTE_ADDR": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"}, REQUESTS_PER_CLIENT)


def test_commands_and_bytes_per_request() -> None:
    clients, queries = client_addresses(itertools.count()), itertools.count()
    parts: list[str | Table] = [COST]
    for size, requests in REQUESTS.items():
        rows = []
        for cache in (ONE_GET, PAGE, EXTENSIONS, PERF, PERF_ANEW):
            hit = counted(hitting(cache, size, clients), requests, computes=False)
            unchanged = counted(conditional(cache, size, clients), requests, computes=False)
            costs = [hit, unchanged]
            if cache in (PAGE, EXTENSIONS, PERF):
                costs.append(counted(missing(cache, size, queries, clients), requests, computes=True))
            if cache.name == PERF.name:
                assert [cost.sent for cost in costs[:2]] == [["EVALSHA"]] * 2
            cells = [cell for cost in costs for cell in (cost.commands(), cost.wire())]
            rows.append([cache.label, *cells, *["–"] * (6 - len(cells))])
        parts += [
            f"**{spoken(size)}**",
            Table(["", "hit", "to / from", "304", "to / from", "miss", "to / from"], rows),
        ]
    publish("cache-cost", "The response cache: what a request costs Redis", *parts)


def hitting(cache: Cache, size: str, clients: Iterator[dict[str, str]]) -> Answer:
    return from_redis_if_anew(cache, asking(cache.handler(), repeat(cache.path(size)), clients, 200))


def conditional(cache: Cache, size: str, clients: Iterator[dict[str, str]]) -> Answer:
    condition = {"HTTP_IF_NONE_MATCH": etag_of(cache, size)}
    headers = ({**client, **condition} for client in clients)
    return from_redis_if_anew(cache, asking(cache.handler(), repeat(cache.path(size)), headers, 304))


def from_redis_if_anew(cache: Cache, answer: Answer) -> Answer:
    """The answer itself, or after the process has forgotten its copies."""

    def anew() -> None:
        local_copies.clear()
        answer()

    return anew if cache is PERF_ANEW else answer


def counted(answer: Answer, requests: int, *, computes: bool) -> RedisCost:
    """The cost of such a request; makes sure that it does, or does not, have the body computed."""
    answer()
    before = computed.total()
    cost = cost_of(answer, requests)
    assert computed.total() - before == (requests + MONITORED if computes else 0)
    return cost


def test_memory_per_entry() -> None:
    caches = (ONE_GET, PAGE, EXTENSIONS, PERF)
    used = {cache.name: [bytes_per_entry(cache, name) for name in BODIES] for cache in caches}
    rows = []
    for cache in caches:
        ratios = [mine / ours for mine, ours in zip(used[cache.name], used[PERF.name], strict=True)]
        cells = [f"{size:,.0f} ({ratio:.2f} x)" for size, ratio in zip(used[cache.name], ratios, strict=True)]
        rows.append([cache.label, *(cells if cache is not PERF else [f"{size:,.0f}" for size in used[cache.name]])])
    columns = [f"random, {spoken(name)}" if name.startswith(RANDOM) else spoken(name) for name in BODIES]
    publish("cache-memory", "The response cache: Redis memory per entry", MEMORY, Table(["", *columns], rows))


def bytes_per_entry(cache: Cache, name: str) -> float:
    client = get_redis_connection("default")
    if cache is ONE_GET:
        return float(client.memory_usage(stored_at(name), samples=0))
    store: Callable[[], None] = missing(cache, name, itertools.count(), repeat({}))
    store()
    before = entry_bytes()
    for _ in range(ENTRIES):
        store()
    return (entry_bytes() - before) / ENTRIES


def entry_bytes() -> int:
    """Bytes of all keys that belong to entries."""
    client = get_redis_connection("default")
    keys = [key for key in client.scan_iter(count=1000) if not any(part in key for part in NO_ENTRIES)]
    return sum(client.memory_usage(key, samples=0) or 0 for key in keys)
