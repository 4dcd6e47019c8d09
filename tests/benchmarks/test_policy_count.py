"""What a request costs with 10 policies and with 10,000; how long they take to load, and the memory they need."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, repeat
from types import ModuleType

import pytest

from perf.gate.revision import current
from perf.models import RateLimitPolicy
from perf.policies.compile import load_snapshot
from perf.policies.snapshot import Snapshot
from tests.benchmarks.charts import write_line_chart
from tests.benchmarks.handler import asking, handler_with
from tests.benchmarks.report import CHARTS, Table, publish
from tests.benchmarks.rounds import Answer, in_turns

pytestmark = pytest.mark.bench

COUNTS = (10, 100, 1_000, 10_000)
SCOPES = ("default", "burst", "daily")
ROLES = ("viewer", "soc_analyst", "security_admin", "platform_owner")
ROUNDS = 20
REQUESTS_A_ROUND = 80
PATHS = 10_000

TEXT = f"""
Each request is decided by three policies, one of each scope, out of 10 to 10,000. Of these 40 % name a path, 40 % what
is below a path, 15 % a view, 5 % have stars elsewhere; every third is for certain roles.

*One route* asks for the same path again and again; *new paths* asks for {PATHS:,} paths in turn, more than a process
remembers. *Matching* is that part of the latter which finds the policies. *Against* is the time per request relative
to 10 policies. A process loads the policies when they have changed: *loading* is from SQLite, *memory* what they take.
"""


def routes(number: int) -> Iterator[str]:
    """Of 20 policies 8 are about a path, 8 about what is below one, 3 about a view, 1 has stars elsewhere."""
    for n in range(number):
        match n % 20:
            case 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7:
                yield f"/api/things-{n}/status"
            case 8 | 9 | 10 | 11 | 12 | 13:
                yield f"/api/things-{n}/*"
            case 14 | 15:
                yield f"/api/things-{n}/items/*"
            case 16 | 17 | 18:
                yield f"app-{n}:list"
            case _:
                yield f"/api/*/export-{n}" if n % 40 == 19 else f"/tenants/*/things-{n}/*"


def given_policies(number: int) -> None:
    """``number`` policies: on the `routes`, in three scopes, every third for two roles; and one per scope for the rest.

    So each request is decided by three policies, however many there are.
    """
    common = {"limit": 100_000_000, "period": 3600}
    RateLimitPolicy.objects.all().delete()
    RateLimitPolicy.objects.bulk_create(
        [
            RateLimitPolicy(
                name=f"policy-{n}",
                route=route,
                scope=SCOPES[n // 20 % 3],
                roles=ROLES[n % 2 :][:2] if n % 3 == 0 else [],
                position=n % 100,
                **common,
            )
            for n, route in enumerate(routes(number - len(SCOPES)))
        ]
        + [RateLimitPolicy(name=f"rest-{scope}", route="*", scope=scope, position=1000, **common) for scope in SCOPES]
    )


def paths() -> Iterator[str]:
    """10,000 paths, again and again: half of them about what some policy names, where there are enough policies."""
    for n in count():
        n = n * 7 % PATHS
        yield f"/api/things-{n}/items/{n}" if n % 2 else f"/api/other-{n}/status"


def test_cost_of_a_request_by_number_of_policies(limiters: ModuleType) -> None:
    snapshots, loading, sizes = {}, {}, {}
    for number in COUNTS:
        given_policies(number)
        loading[number], sizes[number] = cost_of_loading()
        snapshots[number] = load_snapshot()
    # The rest of the process is the same for all: only the snapshot is exchanged, under the published number.
    published = snapshots[COUNTS[-1]].number
    snapshots = {number: replace(snapshot, number=published) for number, snapshot in snapshots.items()}
    one_route = in_turns(answers(snapshots, limiters, same_path=True), rounds=ROUNDS, requests=REQUESTS_A_ROUND)
    new_paths = in_turns(answers(snapshots, limiters, same_path=False), rounds=ROUNDS, requests=REQUESTS_A_ROUND)
    matching = in_turns(matches(snapshots), rounds=ROUNDS, requests=REQUESTS_A_ROUND)
    few = str(COUNTS[0])
    title = "Time of a request by the number of policies"
    series = {"one route": one_route, "new paths": new_paths, "matching": matching}
    write_line_chart(
        CHARTS / "policies.svg",
        title,
        "policies",
        "µs",
        [f"{number:,}" for number in COUNTS],
        {name: [rows[str(number)].microseconds for number in COUNTS] for name, rows in series.items()},
    )
    publish(
        "policies",
        "How many policies there are",
        TEXT,
        Table(
            ["policies", "one route", "against", "new paths", "against", "matching", "loading (SQLite)", "memory"],
            [
                [
                    f"{number:,}",
                    f"{one_route[str(number)].microseconds:.0f} µs",
                    "–" if str(number) == few else str(one_route[str(number)].cost_against(one_route[few])),
                    f"{new_paths[str(number)].microseconds:.0f} µs",
                    "–" if str(number) == few else str(new_paths[str(number)].cost_against(new_paths[few])),
                    f"{matching[str(number)].microseconds:.0f} µs",
                    f"{loading[number] * 1000:.0f} ms",
                    f"{sizes[number] / 1024:,.0f} KB",
                ]
                for number in COUNTS
            ],
        ),
        f"![{title}](benchmarks/policies.svg)",
    )


def answers(snapshots: dict[int, Snapshot], limiters: ModuleType, *, same_path: bool) -> dict[str, Answer]:
    handler = handler_with([limiters.HEADERS])

    def answer_by(snapshot: Snapshot) -> Answer:
        asked = repeat("/api/things-9/items/1") if same_path else paths()
        ask = asking(handler, asked, repeat(limiters.visitor(1)), 200)

        def answer() -> None:
            current._snapshot = snapshot
            ask()

        return answer

    return {str(number): answer_by(snapshot) for number, snapshot in snapshots.items()}


def matches(snapshots: dict[int, Snapshot]) -> dict[str, Answer]:
    def match_by(snapshot: Snapshot) -> Answer:
        asked = paths()
        return lambda: snapshot.match(next(asked), "anywhere", "GET", frozenset({"viewer"}), True)

    return {str(number): match_by(snapshot) for number, snapshot in snapshots.items()}


def cost_of_loading() -> tuple[float, int]:
    """Seconds to load the policies, and bytes that stay in use."""
    gc.collect()
    started = time.perf_counter()
    load_snapshot()
    seconds = time.perf_counter() - started
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        snapshot = load_snapshot()
        gc.collect()
        size = tracemalloc.get_traced_memory()[0] - before
        del snapshot  # until here it was in use
        return seconds, size
    finally:
        tracemalloc.stop()
