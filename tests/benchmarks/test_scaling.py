"""How the cost of a request grows: with processes, clients, entries and the size of bodies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, repeat
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import override_settings
from django_redis import get_redis_connection

from perf.gate.callers import Caller, caller_of
from perf.gate.inquiry import Inquiry, plan_for
from perf.gate.revision import current
from perf.gate.scripts import load_script
from perf.gate.wire import gate_call
from perf.models import CachePolicy, RateLimitPolicy
from tests.benchmarks.caches import PERF_MIDDLEWARE
from tests.benchmarks.charts import write_line_chart
from tests.benchmarks.handler import asking, handler_with, status_of
from tests.benchmarks.processes import carried_out, processes
from tests.benchmarks.report import CHARTS, Table, publish
from tests.benchmarks.rounds import Ratio, Rounds, in_turns

pytestmark = pytest.mark.bench

VIEWS = "tests.benchmarks.scaling_views"
GZIP = {"HTTP_ACCEPT_ENCODING": "gzip"}
ROUNDS = 12
REQUESTS_A_ROUND = 60
PROCESSES = (1, 2, 4, 8)
SECONDS = 1.5
TURNS = 5
CLIENTS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
ENTRIES = (1, 10, 100, 1_000, 10_000, 100_000)
KILOBYTES = (1, 4, 16, 64, 256, 1024)
PIPELINE = 1_000


@pytest.fixture(autouse=True)
def generous_policies(clean_slate: None) -> Iterator[None]:
    """One limit that nobody meets, and one cache policy."""
    from tests.benchmarks import scaling_views

    with override_settings(ROOT_URLCONF=VIEWS):
        scaling_views.store(1)
        RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=86_400)
        CachePolicy.objects.create(
            name="bench", route="/api/*", ttl=3600, shared_by="everyone", max_body_bytes=8_000_000
        )
        yield


def test_by_web_processes(redis: Any) -> None:
    rates: dict[int, list[float]] = {number: [] for number in PROCESSES}
    ours: dict[int, list[float]] = {number: [] for number in PROCESSES}
    theirs: dict[int, list[float]] = {number: [] for number in PROCESSES}
    with processes("tests.benchmarks.hitting_process", max(PROCESSES), redis.url) as started:
        carried_out("0.1\n", started)
        for _ in range(TURNS):
            for number in PROCESSES:
                before = redis_seconds()
                answers = carried_out(f"{SECONDS}\n", started[:number])
                hits = sum(made for made, _ in answers)
                rates[number].append(hits / SECONDS)
                ours[number].append(sum(used for _, used in answers) / hits * 1e6)
                theirs[number].append((redis_seconds() - before) / hits * 1e6)
    against = {number: Ratio.of([a / b for a, b in zip(rates[number], rates[1], strict=True)]) for number in PROCESSES}
    chart(
        "processes",
        "Processor time of a warm hit",
        "processes that ask at the same time",
        "µs",
        [str(number) for number in PROCESSES],
        {
            "in the web process": [median(ours[number]) for number in PROCESSES],
            "in Redis": [median(theirs[number]) for number in PROCESSES],
        },
    )
    publish(
        "scaling-processes",
        "Growth: web processes",
        f"Warm hits from 1 to {max(PROCESSES)} processes at the same time. All of them and Redis share the processors "
        "of one machine, so hits per second end where these are used up; what a hit costs in processor time must not "
        "grow.",
        Table(
            ["processes", "hits/s", "against 1", "µs in the web process", "µs in Redis"],
            [
                [
                    str(number), f"{median(rates[number]):,.0f}", "–" if number == 1 else str(against[number]),
                    f"{median(ours[number]):.0f}", f"{median(theirs[number]):.0f}",
                ]
                for number in PROCESSES
            ],
        ),
        "![Processor time of a warm hit](benchmarks/processes.svg)",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured when there were ``count`` of something: rows by name, and Redis' bytes for each that came."""

    count: int
    rows: dict[str, Rounds]
    bytes_each: float

    def against_reference(self, name: str) -> float:
        """The row's time as a multiple of the reference's, which took turns with it: what the machine does cancels."""
        return self.rows[name].cost_against(self.rows["reference"]).median


@override_settings(PERF_MAX_CLIENTS=2 * max(CLIENTS))
def test_by_clients() -> None:
    steps, known, chosen = [], 0, random.Random(1)
    handler = handler_with(PERF_MIDDLEWARE)
    # Who asks is told by the address: the view signs nobody in.
    for number in CLIENTS:
        with weighed(number - known) as added:
            given_clients(range(known, number))
        known = number
        asked = ({"REMOTE_ADDR": address_of(chosen.randrange(n)), **GZIP} for n in repeat(number))
        rows = {
            "reference": asking(handler, repeat("/api/one-get/1"), repeat(GZIP), 200),
            "limited and cached": asking(handler, repeat("/api/cached/1"), asked, 200),
        }
        steps.append(Step(number, in_turns(rows, rounds=ROUNDS, requests=REQUESTS_A_ROUND), added[0]))
    publish_growth(
        "scaling-clients", "clients", "Growth: clients", steps,
        "Each client has a counter of its own under one limit; those who ask are chosen at random among all. "
        "`PERF_MAX_CLIENTS` "
        f"is {2 * max(CLIENTS):,} here; as delivered it is 200,000, and clients beyond share counters. "
        "*Bytes* is what Redis needs for each further client.",
    )  # fmt: skip


@override_settings(PERF_CACHE_BUDGET_BYTES=1024**3)
def test_by_entries() -> None:
    steps, known, chosen = [], 0, random.Random(1)
    handler = handler_with(PERF_MIDDLEWARE)

    def query(n: int) -> dict[str, str]:
        return {"QUERY_STRING": f"n={n}", **GZIP}

    fresh = count(max(ENTRIES))
    for number in ENTRIES:
        with weighed(number - known) as added:
            for n in range(known, number):
                assert status_of(handler, "/api/cached/1", query(n)) == 200
        known = number
        rows = {
            "reference": asking(handler, repeat("/api/one-get/1"), repeat(GZIP), 200),
            "hit": asking(handler, repeat("/api/cached/1"), (query(chosen.randrange(n)) for n in repeat(number)), 200),
            "miss, stored": asking(handler, repeat("/api/cached/1"), (query(n) for n in fresh), 200),
        }
        steps.append(Step(number, in_turns(rows, rounds=ROUNDS, requests=REQUESTS_A_ROUND), added[0]))
    publish_growth(
        "scaling-entries", "entries", "Growth: entries", steps,
        "Entries of 1 KB in the cache; hits are for entries chosen at random, so that with many the process has no "
        "copy of most. Misses add some. The budget (`PERF_CACHE_BUDGET_BYTES`) is 1 GB here; nothing is evicted. "
        "*Bytes* is what Redis needs for each further entry.",
    )  # fmt: skip


def test_by_size_of_the_body() -> None:
    handler = handler_with(PERF_MIDDLEWARE)
    labels = {
        "one GET": "Django view, one Redis `GET`",
        "plain": "DRF view, computed",
        "hit": "perf: hit",
        "hit, gzip": "perf: hit, for a client that accepts gzip",
    }
    found: dict[int, dict[str, Rounds]] = {}
    from tests.benchmarks import scaling_views

    for size in KILOBYTES:
        scaling_views.store(size)
        rows = {
            "one GET": asking(handler, repeat(f"/api/one-get/{size}"), repeat({}), 200),
            "plain": asking(handler, repeat(f"/api/plain/{size}"), repeat({}), 200),
            "hit": asking(handler, repeat(f"/api/cached/{size}"), repeat({}), 200),
            "hit, gzip": asking(handler, repeat(f"/api/cached/{size}"), repeat(GZIP), 200),
        }
        found[size] = in_turns(rows, rounds=ROUNDS, requests=max(6, REQUESTS_A_ROUND // (1 + size // 64)), warm_up=3)
    chart(
        "bodies",
        "Time of a request by the size of its body",
        "KB of JSON",
        "ms",
        [str(size) for size in KILOBYTES],
        {
            name: [found[size][name].microseconds / 1000 for size in KILOBYTES]
            for name in ("one GET", "hit", "hit, gzip")
        },
    )
    publish(
        "scaling-bodies",
        "Growth: the size of bodies",
        "Milliseconds per request. *Computed* renders the JSON each time, without limits and cache.",
        Table(
            ["KB", *labels.values(), "hit with gzip is, beside one `GET`"],
            [
                [
                    str(size),
                    *(f"{found[size][name].microseconds / 1000:.2f}" for name in labels),
                    str(found[size]["hit, gzip"].speed_against(found[size]["one GET"])),
                ]
                for size in KILOBYTES
            ],
        ),
        "![Time of a request by the size of its body](benchmarks/bodies.svg)",
    )


@contextmanager
def weighed(number: int) -> Iterator[list[float]]:
    """The list gets one figure at the end of the block: by how many bytes Redis has grown for each of ``number``."""
    client, found = get_redis_connection("default"), list[float]()
    before = client.info("memory")["used_memory"]
    yield found
    found.append((client.info("memory")["used_memory"] - before) / max(1, number))


def publish_growth(section: str, things: str, title: str, steps: list[Step], text: str) -> None:
    """A table and a chart: each row's time, and its growth since the first step relative to the reference."""
    first, names = steps[0], [name for name in steps[0].rows if name != "reference"]
    growth = {name: [step.against_reference(name) / first.against_reference(name) for step in steps] for name in names}
    chart(
        things,
        f"Cost of a request by {things}",
        things,
        f"against one of the {things}",
        [f"{s.count:,}" for s in steps],
        growth,
    )
    publish(
        section,
        title,
        f"{text} *Against* is the growth of the time per request, each step measured in turns with a view that makes "
        "one `GET`, and relative to it.",
        Table(
            [things, *(column for name in names for column in (name, "against 1")), "bytes"],
            [
                [
                    f"{step.count:,}",
                    *(
                        cell
                        for name in names
                        for cell in (
                            f"{step.rows[name].microseconds:.0f} µs",
                            "–" if step is first else f"{growth[name][n]:.2f} x",
                        )
                    ),
                    f"{step.bytes_each:,.0f}" if step.count > 1000 else "–",
                ]
                for n, step in enumerate(steps)
            ],
        ),
        f"![Cost of a request by {things}](benchmarks/{things}.svg)",
    )


def given_clients(numbers: range) -> None:
    """Let each of these clients make a request, by the gate's own script, many in one round trip."""
    snapshot, client = current.get(), get_redis_connection("default")
    client.script_load(load_script("gate").source)
    for begin in range(numbers.start, numbers.stop, PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for number in range(begin, min(begin + PIPELINE, numbers.stop)):
            inquiry = Inquiry("GET", "/api/cached/1", "cached", client_number(number), limited=True)
            call = gate_call(inquiry, plan_for(inquiry, snapshot), None, ())
            pipeline.evalsha(call.script.sha, len(call.keys), *call.keys, *call.args)
        pipeline.execute()


def client_number(number: int) -> Caller:
    """The caller that comes from the number's address."""
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": address_of(number)}
    return caller_of(request)


def address_of(number: int) -> str:
    """One of 16 million addresses."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def redis_seconds() -> float:
    """Processor time that Redis has used."""
    used = get_redis_connection("default").info("cpu")
    return float(used["used_cpu_sys"] + used["used_cpu_user"])


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def chart(name: str, title: str, x: str, y: str, xs: list[str], series: dict[str, list[float]]) -> None:
    write_line_chart(CHARTS / f"{name}.svg", title, x, y, xs, series)
