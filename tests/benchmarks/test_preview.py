"""Previews: what recording traffic costs each request, and how long a preview of 100,000 requests takes."""

from __future__ import annotations

import json
import random
import time
import tracemalloc

import pytest
from django.test import override_settings
from django_redis import get_redis_connection

from perf.gate import keys
from perf.metrics.preview import MOST_VISITS, preview, uncollected
from perf.metrics.traffic import Visit, read_traffic
from perf.models import RateLimitPolicy
from perf.policies.compile import load_snapshot, snapshot_with
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import in_turns
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user, settle

pytestmark = [pytest.mark.bench, pytest.mark.urls("tests.integration.site")]

TEXT = """
Each request that policies decide about is recorded (method, path, keyed hashes of user and address, what it took), and
the record rides along on the process's next exchange: no command of its own. A preview reads the newest 100,000 of
them and decides each twice, under the policies as they are and as edited, in Redis, with the scripts that decide live
requests; a script decides 250 of them, so that live requests wait some milliseconds at most.
"""


def test_recording_and_preview() -> None:
    given_limit(limit=10_000_000)
    given_cache_policy(ttl=3600)
    client = client_for(given_user("alice", "viewer"))

    def recording() -> None:
        with override_settings(PERF_TRAFFIC_SHARE=1.0):
            client.get("/api/counter")

    def not_recording() -> None:
        with override_settings(PERF_TRAFFIC_SHARE=0.0):
            client.get("/api/counter")

    rows = in_turns({"recorded": recording, "not recorded": not_recording}, rounds=61, requests=200)
    settle()
    on, off = rows["recorded"], rows["not recorded"]

    policy = RateLimitPolicy.objects.get()
    given_limit("scans", route="/api/uncached", limit=20, scope="other")
    fill(MOST_VISITS)
    began = time.perf_counter()
    with uncollected():
        traffic = read_traffic(MOST_VISITS)
    read = time.perf_counter() - began
    assert len(traffic) == MOST_VISITS
    policy.limit, policy.period = 5, 60
    before, after = load_snapshot(), snapshot_with(policy)  # it decides about every request: the most work there is
    began = time.perf_counter()
    answer = preview(traffic, before, after)
    replayed = time.perf_counter() - began
    assert answer.newly_blocked > 0
    tracemalloc.start()
    preview(traffic[:20_000], before, after)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    publish(
        "preview",
        "Previews of policies",
        TEXT,
        Table(
            ["", "result"],
            [
                ["a warm hit that is recorded, beside one that is not: time", str(on.cost_against(off))],
                [f"reading {MOST_VISITS:,} recorded requests", f"{read:.1f} s"],
                [f"deciding {MOST_VISITS:,} requests under both policy sets", f"{replayed:.1f} s"],
                ["both together (wanted: at most 3 s)", f"{read + replayed:.1f} s"],
                ["memory beside the record, per 20,000 requests", f"{peak / 1e6:.1f} MB"],
                ["Redis, per recorded request", f"{bytes_per_visit():.0f} bytes"],
            ],
        ),
    )


def fill(count: int) -> None:
    """So many requests of the last hour, of 500 clients, in the place where the gate keeps them."""
    redis, chance = get_redis_connection("default"), random.Random(1)
    for name in list(redis.scan_iter(f"{keys.traffic()}*")):
        redis.delete(name)
    now = int(time.time())
    texts: dict[int, list[str]] = {}
    for number in range(count):
        at = now - 3500 + 3500 * number / count
        client = f"client{chance.randrange(500):06}"
        view = chance.choice(["counter", "uncached", "things"])
        visit = [
            round(at * 1e6), "GET", f"/api/{view}", view, "", ["viewer"], client, "address00000", "a",
            200, 512, 900, 700, "", "",
        ]  # fmt: skip
        texts.setdefault(int(at) // 300, []).append(json.dumps(visit, separators=(",", ":")))
    for chunk, lines in texts.items():
        for start in range(0, len(lines), 1000):
            redis.rpush(f"{keys.traffic()}{chunk}", *lines[start : start + 1000])


def bytes_per_visit() -> float:
    redis = get_redis_connection("default")
    names = list(redis.scan_iter(f"{keys.traffic()}*"))
    return sum(redis.memory_usage(name, samples=0) for name in names) / sum(redis.llen(name) for name in names)


def test_the_filled_record_is_readable() -> None:
    fill(100)
    assert all(isinstance(visit, Visit) for visit in read_traffic(100))
