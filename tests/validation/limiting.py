"""The rate limits of the first release: held exactly over both processes, told in headers, obeyed when edited."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import httpx

from tests.acceptance.answers import problem, rate_limits
from tests.validation.asking import Ask, at_once, both_servers, getting, remaining, statuses
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import MeasuredSite

AREA = "Rate limiting"
ASSETS = "/api/network/assets"
MINUTE = 60
BURST_WITHIN = 50.0  # seconds; a burst that takes longer says nothing about a minute


def authentication(site: MeasuredSite) -> Measured:
    """Ten sign-ins a minute from one address; somebody else at another address is not concerned.

    Names are counted beside addresses, so nobody else signs in by these two.
    """
    checks = Checks()
    name, other = site.new_user("viewer"), site.new_user("viewer")

    def sign_in(client: httpx.Client, username: str = name) -> httpx.Response:
        return client.post("/api/auth/token", json={"username": username, "password": site.password})

    def elsewhere() -> None:
        with site.client(address=site.new_address()) as client:
            checks.equal("another person elsewhere", sign_in(client, other).status_code, 200)
            checks.equal("the same name elsewhere", sign_in(client).status_code, 429)

    with both_servers(site, address=site.new_address()) as clients:
        evidence = _check_limit(checks, clients, sign_in, "authentication", 10, threads=3, meanwhile=elsewhere)
    return checks.measured(evidence)


def scans(site: MeasuredSite) -> Measured:
    """Five scans a minute; the same user may still ask for everything else."""
    checks = Checks()

    def scan(client: httpx.Client) -> httpx.Response:
        return client.post("/api/security/scans", json={"targets": ["127.0.0.1"], "ports": "1"})

    with both_servers(site, site.new_user("soc_analyst")) as clients:

        def other_requests() -> None:
            checks.equal("reading while scans are refused", clients[0].get(ASSETS).status_code, 200)

        evidence = _check_limit(checks, clients, scan, "scans", 5, threads=3, meanwhile=other_requests)
    return checks.measured(evidence)


def admins(site: MeasuredSite) -> Measured:
    """200 requests a minute of an admin."""
    checks = Checks()
    with both_servers(site, site.new_user("security_admin")) as clients:
        evidence = _check_limit(checks, clients, getting(ASSETS), "admin", 200, threads=6, meanwhile=lambda: None)
    return checks.measured(evidence)


def everybody_else(site: MeasuredSite) -> Measured:
    """100 requests a minute of anybody else; another user is not concerned."""
    checks = Checks()
    other = site.new_user("viewer")

    def somebody_else() -> None:
        with site.client(other) as client:
            checks.equal("another user", client.get(ASSETS).status_code, 200)

    with both_servers(site, site.new_user("viewer")) as clients:
        evidence = _check_limit(checks, clients, getting(ASSETS), "default", 100, threads=6, meanwhile=somebody_else)
    return checks.measured(evidence)


def _check_limit(
    checks: Checks,
    clients: Sequence[httpx.Client],
    ask: Ask,
    policy: str,
    limit: int,
    *,
    threads: int,
    meanwhile: Callable[[], None],
) -> str:
    """A burst of more than ``limit`` over both processes, then a request after Retry-After; returns the evidence."""
    began = time.monotonic()
    answers = at_once(clients, ask, limit + max(4, limit // 10), threads)
    took = time.monotonic() - began
    if took > BURST_WITHIN:
        raise TimeoutError(f"{len(answers)} requests took {took:.0f} s: too slow a machine to judge a minute")
    admitted = [answer for answer in answers if answer.is_success]
    refused = [answer for answer in answers if answer.status_code == 429]
    checks.equal("admitted", len(admitted), limit)
    checks.equal("admitted or refused", len(admitted) + len(refused), len(answers))
    checks.equal("RateLimit of those admitted", remaining(answers, policy), list(range(limit))[::-1])
    for answer in (admitted[0], refused[0]):
        checks.equal("quota and window", {rate_limits(answer)[policy][name] for name in "qw"}, {limit, MINUTE})
    checks.equal("policies a 429 names", problem(refused[0], 429)["violated-policies"], [policy])
    meanwhile()
    last = ask(clients[0])
    checks.equal("one more", last.status_code, 429)
    wait = int(last.headers.get("Retry-After", MINUTE))
    checks.expect(1 <= wait <= MINUTE, f"Retry-After {wait}")
    time.sleep(wait)
    checks.expect(ask(clients[1]).is_success, f"refused after Retry-After ({wait} s)")
    return (
        f"{len(answers)} requests over two processes in {took:.1f} s: {statuses(answers)}; "
        f"Retry-After {wait} s, then admitted"
    )


def a_hundred_a_minute(site: MeasuredSite) -> Measured:
    """100 requests spread evenly over a minute, to both processes in turn."""
    checks = Checks()
    answers: list[httpx.Response] = []
    with both_servers(site, site.new_user("viewer")) as clients:
        began = time.monotonic()
        for number in range(100):
            time.sleep(max(0.0, began + number * 0.57 - time.monotonic()))
            answers.append(clients[number % 2].get(ASSETS))
        took = time.monotonic() - began
        one_more = clients[0].get(ASSETS) if took < MINUTE - 1 else None
    checks.equal("answers", statuses(answers), {200: 100})
    if one_more is not None:
        checks.equal("the 101st within the minute", one_more.status_code, 429)
    return checks.measured(f"100 requests, one each 0.57 s, over {took:.1f} s: {statuses(answers)}; the next: 429")


def limit_edited(site: MeasuredSite) -> Measured:
    """The limit of everybody else, edited on server A ten times; each process's very next request obeys."""
    checks = Checks()
    policy = site.policy_id("RateLimitPolicy", "default")
    seen: list[int] = []
    try:
        with both_servers(site, site.new_user("viewer")) as clients:
            for quota in (37, 250, 64, 500, 81):
                site.browser.edit("ratelimitpolicy", policy, limit=str(quota))
                for client in clients:
                    seen.append(rate_limits(client.get(ASSETS))["default"]["q"])
                    checks.equal("quota after the edit", seen[-1], quota)
            used = len(seen)
            site.browser.edit("ratelimitpolicy", policy, limit=str(used + 1))
            checks.equal("up to the edited limit", clients[1].get(ASSETS).status_code, 200)
            checks.equal("beyond it", [client.get(ASSETS).status_code for client in clients], [429, 429])
            site.browser.edit("ratelimitpolicy", policy, limit=str(used + 3))
            checks.equal("raised", [client.get(ASSETS).status_code for client in clients], [200, 200])
    finally:
        site.browser.edit("ratelimitpolicy", policy, limit="100")
    return checks.measured(
        f"7 edits, the next request of each process told {seen}, then refused from request {used + 2} on, and was "
        "admitted when the limit was raised: what was used before counts"
    )


OBJECTIVES = (
    Objective(
        AREA, "authentication 10/min by address", "Ten sign-ins a minute from one address, exactly, then 429.",
        authentication, turn=Turn.BESIDE,
    ),
    Objective(AREA, "scans 5/min", "Five scans a minute, exactly, then 429.", scans, turn=Turn.BESIDE),
    Objective(AREA, "admin 200/min", "200 requests a minute of an admin, exactly, then 429.", admins, turn=Turn.BESIDE),
    Objective(
        AREA, "default 100/min", "100 requests a minute of anybody else, exactly, then 429.", everybody_else,
        turn=Turn.BESIDE,
    ),
    Objective(
        AREA, "100 requests a minute pass", "Who keeps to the limit is never refused.", a_hundred_a_minute,
        turn=Turn.BESIDE,
    ),
    Objective(
        AREA, "limit edited", "An edited limit decides the very next request in every process.", limit_edited,
        weight=2, turn=Turn.ALONE,
    ),
)  # fmt: skip
