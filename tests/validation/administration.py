"""Policies of each kind are added, edited and deleted in the admin on one server, and felt on the other."""

from __future__ import annotations

import httpx

from tests.acceptance.answers import cache_status, rate_limits
from tests.validation.asking import both_servers, unasked
from tests.validation.jobs import submit
from tests.validation.objectives import Checks, Measured, Objective
from tests.validation.site import MeasuredSite

AREA = "Administration"
ASSETS = "/api/network/assets"


def cache_policy(site: MeasuredSite) -> Measured:
    """Added before that of the first release, edited, deleted."""
    checks = Checks()
    with site.client(site.new_user("viewer"), server="b") as client:

        def ttl() -> int:
            return int(cache_status(client.get(unasked(ASSETS)))["ttl"])

        site.browser.add(
            "cachepolicy", name="mine", position="1", route=f"{ASSETS}*", ttl="33", methods=["GET"], shared_by="role",
            enabled="on",
        )  # fmt: skip
        policy = site.policy_id("CachePolicy", "mine")
        seen = [ttl()]
        site.browser.edit("cachepolicy", policy, ttl="44")
        seen.append(ttl())
        site.browser.edit("cachepolicy", policy, enabled=False)
        seen.append(ttl())
        site.browser.delete("cachepolicy", policy)
        seen.append(ttl())
    checks.equal("TTLs on the other server", seen, [33, 44, 180, 180])
    return checks.measured(f"added, edited, switched off, deleted: TTL {seen}")


def rate_limit_policy(site: MeasuredSite) -> Measured:
    """In a scope of its own, beside that of the first release."""
    checks = Checks()
    with site.client(site.new_user("viewer"), server="b") as client:

        def quota() -> int | None:
            return rate_limits(client.get(ASSETS)).get("mine", {}).get("q")

        site.browser.add(
            "ratelimitpolicy", name="mine", scope="mine", position="1", route=ASSETS, limit="50", period="60",
            enabled="on",
        )  # fmt: skip
        policy = site.policy_id("RateLimitPolicy", "mine")
        seen = [quota()]
        site.browser.edit("ratelimitpolicy", policy, limit="60")
        seen.append(quota())
        site.browser.edit("ratelimitpolicy", policy, limit="1")
        checks.equal("beyond the edited limit", client.get(ASSETS).status_code, 429)
        site.browser.edit("ratelimitpolicy", policy, mode="observe")
        checks.equal("while it only observes", client.get(ASSETS).status_code, 200)
        site.browser.delete("ratelimitpolicy", policy)
        seen.append(quota())
    checks.equal("quotas on the other server", seen, [50, 60, None])
    return checks.measured(f"added, edited, deleted: quota {seen}; limit 1 refused, observing did not")


def job_policy(site: MeasuredSite) -> Measured:
    """Switched off and on again, and its capacity set to none."""
    checks = Checks()
    policy = site.policy_id("JobPolicy", "log_analysis")
    seen: list[int] = []
    with site.client(site.new_user("soc_analyst"), server="b") as analyst:
        try:
            for edit in ({"enabled": False}, {"enabled": "on", "capacity": "0"}, {"capacity": "100"}):
                site.browser.edit("jobpolicy", policy, **edit)
                seen.append(submit(analyst, "log_analysis").status_code)
        finally:
            site.browser.edit("jobpolicy", policy, enabled="on", capacity="100")
    checks.equal("answers to a submission", seen, [403, 503, 202])
    return checks.measured(f"off, capacity 0, capacity 100: {seen}")


def access_rule(site: MeasuredSite) -> Measured:
    """A user is blocked, exempt, and neither."""
    checks = Checks()
    name = site.new_user("viewer")
    number = site.shell(
        f"from django.contrib.auth import get_user_model as u; print(u().objects.get(username={name!r}).pk)"
    ).strip()
    with both_servers(site, name) as (a, b):

        def answers() -> list[int]:
            return [client.get(ASSETS).status_code for client in (a, b)]

        site.browser.add("accessrule", name="mine", effect="blocked", user=number, reason="Test.", enabled="on")
        rule = site.policy_id("AccessRule", "mine")
        seen = answers()
        site.browser.edit("accessrule", rule, effect="exempt")
        exempt: httpx.Response = b.get(ASSETS)
        checks.expect("default" not in exempt.headers.get("RateLimit", ""), "a limit concerns who is exempt")
        seen.append(exempt.status_code)
        site.browser.delete("accessrule", rule)
        seen += answers()
        checks.equal("left of the limit afterwards", rate_limits(b.get(ASSETS))["default"]["r"], 97)
    checks.equal("answers", seen, [403, 403, 200, 200, 200])
    return checks.measured(f"blocked on both servers, exempt, deleted: {seen}")


def revisions(site: MeasuredSite) -> Measured:
    """Each change makes the next revision, and an earlier one can be looked at."""
    checks = Checks()
    policy = site.policy_id("JobPolicy", "cache_warm")
    with both_servers(site, site.new_user("security_admin")) as clients:

        def numbers() -> list[int]:
            return [client.get("/api/performance/metrics").json()["revision"] for client in clients]

        before = numbers()
        for attempts in ("3", "2"):
            site.browser.edit("jobpolicy", policy, max_attempts=attempts)
        after = numbers()
    checks.equal("revisions told by both servers", after, [number + 2 for number in before])
    page = site.browser.http.get("/admin/perf/revision/")
    checks.equal("the list of revisions", page.status_code, 200)
    checks.expect(str(after[0]) in page.text, "the newest revision is not in the list")
    return checks.measured(f"two edits: revision {before[0]} → {after[0]} on both servers, listed in the admin")


OBJECTIVES = (
    Objective(AREA, "cache policies", "A cache policy is edited in the admin and obeyed at once.", cache_policy),
    Objective(AREA, "rate-limit policies", "A limit is edited in the admin and obeyed at once.", rate_limit_policy),
    Objective(AREA, "job policies", "A job policy is edited in the admin and obeyed at once.", job_policy),
    Objective(AREA, "access rules", "An access rule is edited in the admin and obeyed at once.", access_rule),
    Objective(AREA, "revisions", "Every change is a numbered revision.", revisions),
)
