"""Numbers that hold while SecureNet runs: response time, Redis commands, SQL queries, memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import redis

from tests.acceptance.answers import cache_status
from tests.validation.asking import at_once, both_servers, getting, percentile, statuses, unasked
from tests.validation.jobs import workers_asleep
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import MeasuredSite

AREA = "Criteria"
SUMMARY = "/api/security/summary"
MOST_MS = 200.0
# Both processes bring their notes to Redis once when they have been idle.
IDLE_FLUSHES = 4
WARMING, FURTHER = 1500, 4500
MOST_GROWTH = 0.03


def response_time(site: MeasuredSite) -> Measured:
    """Hits, one after the other, by several users, from both processes."""
    checks = Checks()
    milliseconds: list[float] = []
    for _ in range(5):
        with both_servers(site, site.new_user("viewer")) as clients:
            for client in clients:
                client.get(SUMMARY)
            for number in range(90):
                began = time.perf_counter()
                answer = clients[number % 2].get(SUMMARY)
                milliseconds.append((time.perf_counter() - began) * 1000)
                checks.expect(cache_status(answer).get("hit"), f"{answer.status_code} {answer.headers}")
    p50, p99 = percentile(milliseconds, 0.5), percentile(milliseconds, 0.99)
    longest = max(milliseconds)
    checks.expect(p99 < MOST_MS, f"p99 {p99:.0f} ms")
    return checks.measured(f"{len(milliseconds)} hits: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {longest:.1f} ms")


def one_round_trip(site: MeasuredSite) -> Measured:
    """What crosses the wire to Redis during hits and refusals, by its MONITOR."""
    checks = Checks()
    with both_servers(site, site.new_user("viewer")) as clients:
        at_once(clients, getting(SUMMARY), 8, threads=2)
        with workers_asleep(site):
            time.sleep(2.5)  # until notes of earlier requests are delivered
            hits = _commands(site, clients, 80)
            at_once(clients, getting(SUMMARY), 20, threads=2)
            time.sleep(2.5)
            refusals = _commands(site, clients, 80)
            refused = statuses(at_once(clients, getting(SUMMARY), 2))
    checks.equal("the requests of the second part were refused", refused, {429: 2})
    for what, commands in (("hits", hits), ("refusals", refusals)):
        (_, most), *others = commands.most_common()
        checks.equal(f"exchanges for 80 {what}", most, 80)
        rest = sum(count for _, count in others)
        checks.expect(rest <= IDLE_FLUSHES, f"{rest} commands besides, during {what}: {dict(others)}")
    return checks.measured(f"80 hits: {_told(hits)}; 80 refusals: {_told(refusals)}")


def _commands(site: MeasuredSite, clients: Sequence[httpx.Client], times: int) -> Counter[str]:
    """What clients sent to Redis while ``times`` requests were answered; scripts by the start of their hash."""
    with redis.Redis.from_url(site.run.redis_url) as connection, connection.monitor() as monitor:
        at_once(clients, getting(SUMMARY), times, threads=2)
        with redis.Redis.from_url(site.run.redis_url) as other:
            other.echo("the end")
        return Counter(_until_echo(monitor))


def _until_echo(monitor: redis.client.Monitor) -> Iterator[str]:
    for event in monitor.listen():  # type: ignore[no-untyped-call]
        words = event["command"].split()
        match words[0].upper():
            case "ECHO":
                return
            case "HELLO" | "CLIENT":
                continue  # of a connection that is new
            case "EVALSHA" if event["client_type"] != "lua":
                yield f"EVALSHA {words[1][:8]}"
            case name if event["client_type"] != "lua":
                yield name


def _told(commands: Counter[str]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in commands.most_common())


def no_sql_on_a_hit(site: MeasuredSite) -> Measured:
    """Queries of hits, refusals and, to see that queries are seen, of a miss, in a process of the same site."""
    checks = Checks()
    token = site.token(site.new_user("viewer"))
    counts = site.shell(f"""
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
client = Client(headers={{"authorization": "Bearer {token}", "host": "127.0.0.1"}})
def queries(path, times, wanted):
    with CaptureQueriesContext(connection) as captured:
        for _ in range(times):
            answer = client.get(path)
            assert wanted in answer.headers["Cache-Status"] or answer.status_code == wanted, answer.headers
    return len(captured)
client.get("{SUMMARY}")
print(queries("{unasked(SUMMARY)}", 1, "stored"), queries("{SUMMARY}", 60, "hit"))
while client.get("{SUMMARY}").status_code == 200:
    pass
with CaptureQueriesContext(connection) as captured:
    refused = [client.get("{SUMMARY}").status_code for _ in range(20)]
print(len(captured), *set(refused))
""")
    miss, hits, refusals, status = map(int, counts.split())
    checks.expect(miss > 0, "not even a miss asked the database: nothing was captured")
    checks.equal("queries of 60 hits", hits, 0)
    checks.equal("queries of 20 refusals", refusals, 0)
    checks.equal("status of the refusals", status, 429)
    return checks.measured(f"SQL queries: {miss} for a miss, {hits} for 60 hits, {refusals} for 20 refusals")


def no_leak(site: MeasuredSite) -> Measured:
    """Resident memory of the web processes under hits, misses and errors."""
    checks = Checks()
    with _exempt_user(site) as username, ExitStack() as stack:
        clients = [client for _ in range(3) for client in stack.enter_context(both_servers(site, username))]
        _load(clients, WARMING)
        before = _resident(site)
        began = time.monotonic()
        answers = _load(clients, FURTHER)
        rate = FURTHER / (time.monotonic() - began)
        after = _resident(site)
    checks.equal("processes", after.keys(), before.keys())
    for pid, was in before.items():
        growth = after.get(pid, 0) / was - 1
        checks.expect(growth <= MOST_GROWTH, f"a process grew by {growth:.1%} over {FURTHER} requests")
    checks.equal("statuses", set(answers), {200, 304, 404})
    sizes = ", ".join(f"{was / 2**20:.1f} → {after.get(pid, 0) / 2**20:.1f} MiB" for pid, was in before.items())
    return checks.measured(f"after {WARMING} and {WARMING + FURTHER} requests ({rate:.0f}/s): {sizes}")


@contextmanager
def _exempt_user(site: MeasuredSite) -> Iterator[str]:
    """The name of a user whom no limit concerns."""
    name = site.new_user("viewer")
    number = site.shell(
        f"from django.contrib.auth import get_user_model as u; print(u().objects.get(username={name!r}).pk)"
    ).strip()
    site.browser.add("accessrule", name="load", effect="exempt", user=number, reason="Load.", enabled="on")
    try:
        yield name
    finally:
        site.browser.delete("accessrule", site.policy_id("AccessRule", "load"))


def _load(clients: Sequence[httpx.Client], times: int) -> Counter[int]:
    """Statuses of ``times`` requests of all kinds, one thread per client."""
    paths = [SUMMARY, "/api/network/assets", "/api/dashboard/cached", "/api/logs", "/api/notifications"]

    def ask(client: httpx.Client) -> Counter[int]:
        seen: Counter[int] = Counter()
        etag = client.get(SUMMARY).headers["ETag"]
        for number in range(times // len(clients)):
            if number % 20 == 0:
                answer = client.get("/api/network/assets/999999999")
            elif number % 20 == 1:
                answer = client.get(f"{SUMMARY}?test={number % 25}")
            elif number % 20 == 2:
                answer = client.get(SUMMARY, headers={"If-None-Match": etag})
            else:
                answer = client.get(paths[number % len(paths)])
            seen[answer.status_code] += 1
        return seen

    with ThreadPoolExecutor(len(clients)) as pool:
        return sum(pool.map(ask, clients), Counter())


def _resident(site: MeasuredSite) -> dict[int, int]:
    """Bytes of resident memory by process."""
    found: dict[int, int] = {}
    for pid in site.web_processes():
        status = Path(f"/proc/{pid}/status").read_text()
        found[pid] = int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return found


OBJECTIVES = (
    Objective(
        AREA, "under 200 ms", "A cached answer takes less than 200 ms (p99).", response_time, weight=2, turn=Turn.ALONE
    ),
    Objective(
        AREA, "one round trip", "A hit and a refusal cost one Redis command each.", one_round_trip, weight=2,
        turn=Turn.ALONE,
    ),
    Objective(AREA, "no SQL on a hit", "A hit and a refusal cost no SQL query.", no_sql_on_a_hit, turn=Turn.ALONE),
    Objective(
        AREA, "no leak", f"Memory does not grow by more than {MOST_GROWTH:.0%} over thousands of requests.", no_leak,
        turn=Turn.ALONE,
    ),
)  # fmt: skip
