"""What limiting a DRF view costs: time and Redis commands per request, Redis bytes per client."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle, repeat
from types import ModuleType
from typing import Any

import pytest
from django.test import override_settings
from django_redis import get_redis_connection

from perf.gate import keys
from perf.models import RateLimitPolicy
from tests.benchmarks.handler import asking, handler_with, status_of
from tests.benchmarks.redis_cost import listed, sent_by
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Answer, Rounds, in_turns

pytestmark = pytest.mark.bench

ROUNDS = 20
REQUESTS_A_ROUND = 80
CLIENTS = 40  # each makes about 40 of its 100 requests
SPREAD_PERIOD = 2  # seconds

SPEED = """
A DRF view that answers 1 KB of JSON; clients are signed in without SQL and may make 100 requests a day each. *Added*
is the time per request beyond the view without limiter. Redis commands are what `MONITOR` shows of one request; what
scripts do inside is not counted.
"""
MEMORY = f"""
`MEMORY USAGE` of all keys that one client of one limit has, in bytes, with the names of the keys. *At once* is at the
beginning of a limit per day. *Spread* is evenly over a limit per {SPREAD_PERIOD} s: then perf has all sub-windows of a
sliding window in use, which is then as large as it gets, whatever the limit.
"""


@dataclass(frozen=True, slots=True)
class Use:
    """What a client did before its keys are weighed: a column. ``period`` in seconds."""

    label: str
    limit: int
    made: int
    period: int = 86400
    is_spread: bool = False


USES = (
    Use("limit 100: 1 made", 100, 1),
    Use("100 at once", 100, 100),
    Use("100 spread", 100, 100, SPREAD_PERIOD, is_spread=True),
    Use("limit 10,000: 10,000 at once", 10_000, 10_000),
)


def test_speed_and_commands_of_admitted_and_refused_requests(limiters: ModuleType) -> None:
    limiters.given_policies()
    rows = [limiters.UNLIMITED, *limiters.PEERS, *limiters.PERF, limiters.WITHOUT_HEADERS]
    clients = {row.name: [limiters.visitor(n * CLIENTS + m) for m in range(CLIENTS)] for n, row in enumerate(rows)}
    admitted = {row.name: answer_of(row, cycle(clients[row.name]), 200) for row in rows}
    timed = in_turns(admitted, rounds=ROUNDS, requests=REQUESTS_A_ROUND)
    commands = {name: listed(sent_by(answer)) for name, answer in admitted.items()}
    table_of_admitted = speed_table(timed, commands, limiters)

    refused = {row.name: refused_answer_of(row, clients[row.name][0]) for row in rows if row is not limiters.UNLIMITED}
    refused[limiters.UNLIMITED.name] = admitted[limiters.UNLIMITED.name]
    timed = in_turns(refused, rounds=ROUNDS, requests=REQUESTS_A_ROUND)
    commands = {name: listed(sent_by(answer)) for name, answer in refused.items()}
    publish(
        "speed",
        "Limiting a view: requests per second",
        SPEED,
        f"An admitted request ({CLIENTS} clients, up to half of their allowance used):",
        table_of_admitted,
        "A refused request (one client, all of its allowance used; the row without limiter is answered):",
        speed_table(timed, commands, limiters),
    )


def speed_table(timed: dict[str, Rounds], commands: dict[str, str], limiters: ModuleType) -> Table:
    ours, bare = timed[limiters.SLIDING_WINDOW.name], timed[limiters.UNLIMITED.name]
    order = [row.name for row in (limiters.UNLIMITED, *limiters.PEERS, *limiters.PERF, limiters.WITHOUT_HEADERS)]
    return Table(
        ["", "requests/s", "added", "Redis commands", "perf sliding_window is"],
        [
            [
                name,
                f"{timed[name].per_second:.0f}",
                "–" if timed[name] is bare else f"{timed[name].added_to(bare):.0f} µs",
                commands[name],
                "–" if timed[name] is ours else str(ours.speed_against(timed[name])),
            ]
            for name in order
        ],
    )


def test_memory_per_client(limiters: ModuleType) -> None:
    rows = [*limiters.PEERS, *limiters.PERF]
    used: dict[str, list[int]] = {row.name: [] for row in rows}
    for use in USES:
        with override_settings(BENCH_RATE=(use.limit, use.period)):
            RateLimitPolicy.objects.all().delete()
            limiters.given_policies()
            for row in rows:
                used[row.name].append(bytes_of_a_client(row, use, limiters))
    largest = max(used[limiters.SLIDING_WINDOW.name])
    publish(
        "memory",
        "Limiting a view: Redis memory per client",
        MEMORY,
        Table(
            ["", *(use.label for use in USES), "the most, against perf sliding_window"],
            [
                [
                    row.name,
                    *(f"{size:,}" for size in used[row.name]),
                    "–" if row is limiters.SLIDING_WINDOW else f"{max(used[row.name]) / largest:,.2f} x",
                ]
                for row in rows
            ],
        ),
    )


def answer_of(limiter: Any, clients: Any, expected: int) -> Answer:
    return asking(handler_with(limiter.middleware), repeat(limiter.path), clients, expected)


def refused_answer_of(limiter: Any, client: dict[str, str]) -> Answer:
    """Uses up what the client may still do; returns a function that makes a request that is refused."""
    handler = handler_with(limiter.middleware)
    while status_of(handler, limiter.path, client) == 200:
        pass
    return asking(handler, repeat(limiter.path), repeat(client), limiter.refuses_with)


def bytes_of_a_client(limiter: Any, use: Use, limiters: ModuleType) -> int:
    """Bytes of the keys that appear with a client, apart from what all clients share."""
    client, admits = get_redis_connection("default"), limiters.admission(limiter)
    client.flushall()
    admits(1)
    shared = set(client.scan_iter(count=1000))
    pause = 0.95 * use.period / use.made if use.is_spread else 0
    started = time.monotonic()
    for number in range(use.made):
        time.sleep(max(0.0, started + number * pause - time.monotonic()))
        assert admits(2)
    own = [key for key in set(client.scan_iter(count=1000)) - shared if not key.startswith(keys.statistics().encode())]
    return sum(client.memory_usage(key, samples=0) for key in own)
