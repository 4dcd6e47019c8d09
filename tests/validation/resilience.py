"""Redis hangs, is killed and comes back: answers continue."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.acceptance.answers import cache_status, rate_limits
from tests.validation.asking import await_that, both_servers
from tests.validation.jobs import completed, submit
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import MeasuredSite

AREA = "Resilience"
SUMMARY = "/api/security/summary"
HANGS = 5.0  # seconds
# Redis' time-out is 2 s in this run; a request may meet it twice.
MOST_SECONDS = 10.0
BACK_WITHIN = 20.0


@dataclass(slots=True)
class Seen:
    """Answers during a fault."""

    statuses: Counter[int] = field(default_factory=Counter)
    longest: float = 0.0

    def ask(self, client: httpx.Client) -> httpx.Response:
        began = time.monotonic()
        answer = client.get(SUMMARY)
        self.statuses[answer.status_code] += 1
        self.longest = max(self.longest, time.monotonic() - began)
        return answer

    def check(self, checks: Checks) -> None:
        checks.equal("statuses", set(self.statuses), {200})
        checks.expect(self.longest < MOST_SECONDS, f"an answer took {self.longest:.1f} s")


def redis_hangs(site: MeasuredSite) -> Measured:
    """Redis takes connections and answers nothing for some seconds."""
    checks, seen = Checks(), Seen()
    with both_servers(site, site.new_user("viewer")) as clients:
        for client in clients:
            client.get(SUMMARY)
        with _frozen(site.redis_process()):
            ends = time.monotonic() + HANGS
            while time.monotonic() < ends:
                for client in clients:
                    seen.ask(client)
                time.sleep(0.2)
            ready = clients[0].get("/readyz")
        checks.equal("redis by /readyz", ready.json()["checks"]["redis"]["state"] == "ok", False)
        back = _await_hits(clients)
    seen.check(checks)
    return checks.measured(
        f"{HANGS:g} s: {dict(seen.statuses)}, longest {seen.longest:.1f} s; /readyz {ready.status_code}; hits and "
        f"limits again {back:.1f} s after"
    )


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def redis_killed(site: MeasuredSite) -> Measured:
    """SIGKILL; it is started again, with what it held."""
    checks, seen = Checks(), Seen()
    viewer, analyst = site.new_user("viewer"), site.new_user("soc_analyst")
    with both_servers(site, viewer) as clients, site.client(analyst) as worker_client:
        used = 20
        for number in range(used):
            clients[number % 2].get(SUMMARY)
        time.sleep(1.5)  # append-only persistence writes once a second
        killed = site.redis_process()
        os.kill(killed, signal.SIGKILL)
        ends = time.monotonic() + 3
        while time.monotonic() < ends:
            for client in clients:
                seen.ask(client)
            time.sleep(0.1)
        back = _await_hits(clients)
        left = rate_limits(clients[0].get(SUMMARY))["default"]["r"]
        checks.expect(left < 100 - used, f"{left} left of the limit: what was used before is forgotten")
        checks.expect(site.redis_process() != killed, "it is the same process")
        completed(site, worker_client, submit(worker_client, "log_analysis", source="after-redis"))
        states = [client.get("/readyz").json()["status"] for client in clients]
        checks.equal("readiness afterwards", states, ["ok", "ok"])
    seen.check(checks)
    return checks.measured(
        f"{dict(seen.statuses)}, longest {seen.longest:.1f} s; hits and limits again {back:.1f} s after "
        "the first three; used limits were remembered, jobs run"
    )


def _await_hits(clients: list[httpx.Client]) -> float:
    """Wait until both servers answer from the cache in Redis and by the limits; returns the seconds that it took."""
    began = time.monotonic()

    def as_before() -> bool:
        answers = [client.get(SUMMARY) for client in clients]
        return all("ttl" in cache_status(a) and "hit" in cache_status(a) and "RateLimit" in a.headers for a in answers)

    await_that(as_before, "Redis does not decide again", BACK_WITHIN)
    return time.monotonic() - began


OBJECTIVES = (
    Objective(AREA, "Redis hangs", "Answers go on while Redis hangs, and limits hold again.", redis_hangs,
              turn=Turn.ALONE),
    Objective(AREA, "Redis killed", "Answers go on while Redis is killed and started again; it forgets nothing.",
              redis_killed, weight=2, turn=Turn.ALONE),
)  # fmt: skip
