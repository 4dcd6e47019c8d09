"""The response cache: the TTLs of the first release, what clients see of it, and what ends an entry early.

Measured alone: a scan that ends elsewhere would end entries as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import httpx

from tests.acceptance.answers import cache_status, max_age
from tests.validation.asking import at_once, both_servers, getting, unasked
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import MeasuredSite

AREA = "Caching"
FIRST_RELEASE = {
    "dashboard": (60, ("/api/dashboard/cached",)),
    "security": (120, ("/api/security/findings", "/api/security/summary")),
    "network": (180, ("/api/network/assets",)),
    "logs": (300, ("/api/logs",)),
    "notifications": (180, ("/api/notifications",)),
}
ASSETS = "/api/network/assets"
EDITED_TTL = 500


def cached_endpoint(site: MeasuredSite, name: str) -> Measured:
    """Miss, hits on both servers, ages, conditional requests, by the TTL of the first release."""
    checks = Checks()
    ttl, paths = FIRST_RELEASE[name]
    with both_servers(site, site.new_user("viewer")) as (a, b):
        for path in map(unasked, paths):
            _check_miss_and_hits(checks, path, ttl, a, b)
            _check_conditional(checks, path, ttl, a, b)
    return checks.measured(f"{', '.join(paths)}: miss with ttl={ttl}, hits in both processes, 304")


def _check_miss_and_hits(checks: Checks, path: str, ttl: int, a: httpx.Client, b: httpx.Client) -> None:
    first = a.get(path)
    checks.equal(f"status of {path}", first.status_code, 200)
    checks.equal("the first answer", cache_status(first), {"fwd": "miss", "stored": True, "ttl": ttl})
    checks.equal("its Age", first.headers["Age"], "0")
    checks.equal("its max-age", max_age(first), ttl)
    time.sleep(1.0)  # so that an Age that is not counted shows
    for server, client in (("A", a), ("B", b)):
        again = client.get(path)
        status, age = cache_status(again), int(again.headers["Age"])
        checks.expect(status.get("hit"), f"no hit on server {server}: {status}")
        checks.expect(age >= 1, f"Age of {age} s on server {server} after a second")
        checks.expect(ttl - age - 1 <= status.get("ttl", -1) <= ttl - age, f"ttl {status.get('ttl')} at age {age}")
        checks.equal(f"body on server {server}", again.content, first.content)
        checks.equal(f"ETag on server {server}", again.headers["ETag"], first.headers["ETag"])


def _check_conditional(checks: Checks, path: str, ttl: int, a: httpx.Client, b: httpx.Client) -> None:
    etag = a.get(path).headers["ETag"]
    for client in (a, b):
        same = client.get(path, headers={"If-None-Match": etag})
        checks.equal("answer to who has it", (same.status_code, same.content), (304, b""))
        checks.equal("max-age of the 304", max_age(same), ttl)
    other = b.get(path, headers={"If-None-Match": '"another"'})
    checks.equal("answer to who has another", other.status_code, 200)


def stale_while_one_refreshes(site: MeasuredSite) -> Measured:
    """An entry past its TTL: one request computes, the others need not wait."""
    checks = Checks()
    policy = site.policy_id("CachePolicy", "network")
    site.browser.edit("cachepolicy", policy, ttl="1")
    try:
        with both_servers(site, site.new_user("viewer")) as clients:
            path = unasked(ASSETS)
            before = clients[0].get(path)
            checks.equal("the first answer", cache_status(before).get("fwd"), "miss")
            time.sleep(1.2)
            found = [cache_status(answer) for answer in at_once(clients, getting(path), 16)]
    finally:
        site.browser.edit("cachepolicy", policy, ttl="180")
    refreshed = sum(status.get("fwd") == "stale" for status in found)
    hits = [status["ttl"] for status in found if status.get("hit")]
    checks.expect(refreshed >= 1, f"nobody refreshed: {found}")
    checks.expect(refreshed <= 2, f"{refreshed} of 16 refreshed")  # a second one where all took longer than the TTL
    checks.equal("hits and refreshes", len(hits) + refreshed, 16)
    stale = sum(ttl <= 0 for ttl in hits)
    return checks.measured(
        f"16 requests at once, 1.2 s after storing with a TTL of 1 s: {refreshed} refreshed, {stale} got the stale "
        f"entry, {len(hits) - stale} the fresh one"
    )


def one_origin_call(site: MeasuredSite) -> Measured:
    """Simultaneous misses of one entry."""
    checks = Checks()
    rounds, requests = 3, 24
    stored: list[int] = []
    for _ in range(rounds):
        with both_servers(site, site.new_user("viewer")) as clients:
            answers = at_once(clients, getting(unasked("/api/security/summary")), requests, threads=requests)
        stored.append(sum("stored" in cache_status(answer) for answer in answers))
        checks.equal("computed", stored[-1], 1)
        checks.equal("different bodies", len({answer.content for answer in answers}), 1)
    return checks.measured(f"{rounds} × {requests} simultaneous misses over two processes: computed {stored}")


def ttl_edited(site: MeasuredSite) -> Measured:
    """A TTL that is edited on server A governs the next request to server B, also of what is stored already."""
    checks = Checks()
    seen: list[str] = []
    policies = {name: site.policy_id("CachePolicy", name) for name in FIRST_RELEASE}
    stored = {name: unasked(paths[0]) for name, (_, paths) in FIRST_RELEASE.items()}
    with both_servers(site, site.new_user("viewer")) as (a, b):
        for name, (ttl, _) in FIRST_RELEASE.items():
            a.get(stored[name])
            site.browser.edit("cachepolicy", policies[name], ttl=str(EDITED_TTL))
            status = cache_status(b.get(stored[name]))
            checks.expect(status.get("hit"), f"{name}: the entry was not kept: {status}")
            checks.expect(ttl < status.get("ttl", 0) <= EDITED_TTL, f"{name}: {status} after ttl={EDITED_TTL}")
            seen.append(f"{name} {status.get('ttl')}")
        time.sleep(1.1)
        for name, (ttl, _) in FIRST_RELEASE.items():
            site.browser.edit("cachepolicy", policies[name], ttl="1")
            status = cache_status(b.get(stored[name]))
            checks.expect("hit" not in status, f"{name}: {status} after ttl=1")
            site.browser.edit("cachepolicy", policies[name], ttl=str(ttl))
            status = cache_status(b.get(unasked(stored[name])))
            checks.equal(f"{name}: ttl of a new entry", status.get("ttl"), ttl)
    return checks.measured(
        f"edited to {EDITED_TTL}, ttl at the next request elsewhere: {', '.join(seen)}; edited to 1: expired"
    )


def invalidated_by_writes(site: MeasuredSite) -> Measured:
    """What people change shows in the next answer of the other server; a flood of log events empties nothing."""
    checks = Checks()
    analyst = site.new_user("soc_analyst")
    finding = f"/api/security/findings/{site.add_finding('validation')}"
    site.shell(
        "from securenet.notifications.notify import notify\n"
        "notify(roles=['soc_analyst'], title='for validation', body='b', severity='low')"
    )
    with both_servers(site, analyst) as (a, b):
        note = f"/api/notifications/{b.get('/api/notifications').json()['results'][0]['id']}"
        address = site.new_address()
        writes: list[tuple[Callable[[], httpx.Response], list[str]]] = [
            (lambda: a.post(ASSETS, json={"address": address}), [ASSETS, "/api/dashboard/cached"]),
            (lambda: a.patch(finding, json={"state": "acknowledged"}),
             [finding, "/api/security/findings", "/api/security/summary", "/api/dashboard/cached"]),
            (lambda: a.patch(note, json={"read": True}), ["/api/notifications"]),
        ]  # fmt: skip
        for write, paths in writes:
            for path in paths:
                b.get(path)
                checks.expect(cache_status(b.get(path)).get("hit"), f"{path} was not cached before the write")
            checks.expect(write().is_success, "the write failed")
            for path in paths:
                status = cache_status(b.get(path))
                checks.equal(f"{path} after the write", status.get("fwd"), "miss")
        listed = {row["address"] for row in b.get(f"{ASSETS}?address={address}").json()["results"]}
        checks.equal("the new asset in the list", listed, {address})
        b.get("/api/logs")
        checks.equal("log events", a.post("/api/logs", json={"lines": ["a line of validation"]}).status_code, 201)
        checks.expect(cache_status(b.get("/api/logs")).get("hit"), "a log event emptied the cache")
    return checks.measured("asset added, finding triaged, notification read on A: next answers of B computed anew")


def invalidated_by_admins(site: MeasuredSite) -> Measured:
    """Entries are dropped by tag, policy and path."""
    checks = Checks()
    paths = {ASSETS, "/api/security/summary", "/api/logs"}
    cases = [
        ({"tags": ["findings"]}, {"/api/security/summary"}),
        ({"policies": ["network"]}, {ASSETS}),
        ({"paths": ["/api/logs"]}, {"/api/logs"}),
        ({"everything": True}, paths),
    ]
    with both_servers(site, site.new_user("viewer")) as (_, b), site.client(site.new_user("security_admin")) as admin:
        for body, expected in cases:
            for path in paths:
                b.get(path)
            answer = admin.post("/api/performance/cache/invalidate", json=body)
            checks.equal(f"{body}", answer.status_code, 200)
            dropped = {path for path in paths if "hit" not in cache_status(b.get(path))}
            checks.equal(f"dropped by {body}", dropped, expected)
    return checks.measured(f"{len(cases)} requests to drop entries on A dropped what they named on B and nothing else")


OBJECTIVES = (
    *(
        Objective(
            AREA,
            f"{name} for {ttl} s",
            f"Answers of {name} are cached for {ttl} seconds, with Cache-Status, Age, ETag, Cache-Control and 304.",
            partial(cached_endpoint, name=name),
            turn=Turn.ALONE,
        )
        for name, (ttl, _) in FIRST_RELEASE.items()
    ),
    Objective(
        AREA, "stale while one refreshes", "Past its TTL an entry serves the others while one request refreshes it.",
        stale_while_one_refreshes, turn=Turn.ALONE,
    ),
    Objective(
        AREA, "one origin call", "However many miss an entry at once, one computes it.", one_origin_call,
        turn=Turn.ALONE,
    ),
    Objective(
        AREA, "TTL edited", "A TTL edited in the admin governs the next request in another process.", ttl_edited,
        weight=2, turn=Turn.ALONE,
    ),
    Objective(
        AREA, "invalidated by writes", "What people change is in the very next answer.", invalidated_by_writes,
        weight=2, turn=Turn.ALONE,
    ),
    Objective(
        AREA, "invalidated by admins", "Admins drop entries by tag, policy and path.", invalidated_by_admins,
        turn=Turn.ALONE,
    ),
)  # fmt: skip
