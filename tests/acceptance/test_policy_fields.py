"""Every field of every policy: edited in the admin on web server A, felt by the next request on web server B."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site
from tests.servers.securenet import until

CACHED = "/api/network/assets"


def policy_id(site: Site, model: str, name: str) -> int:
    """The primary key of a policy."""
    return int(site.shell(f"from perf.models import {model} as m; print(m.objects.get(name={name!r}).pk)"))


@pytest.fixture
def cache_policy(site: Site, browser: AdminBrowser) -> Iterator[int]:
    """A cache policy of its own for the assets, before all others; shared by role, 100 s."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    browser.add(
        "cachepolicy", name=name, position="1", route="/api/network/assets*", ttl="100", shared_by="role",
        methods=["GET", "HEAD"], enabled="on",
    )  # fmt: skip
    pk = policy_id(site, "CachePolicy", name)
    yield pk
    browser.delete("cachepolicy", pk)


@pytest.fixture
def limit(site: Site, browser: AdminBrowser) -> Iterator[int]:
    """A rate limit of its own, in a scope of its own: 1,000 a minute on the list of notifications."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    browser.add(
        "ratelimitpolicy", name=name, scope=name, position="1", route="/api/notifications", limit="1000", period="60",
        enabled="on",
    )  # fmt: skip
    pk = policy_id(site, "RateLimitPolicy", name)
    yield pk
    browser.delete("ratelimitpolicy", pk)


def cache_status(site: Site, path: str = CACHED, user: str = "viewer", method: str = "GET", **headers: str) -> str:
    """Cache-Status of one request to web server B."""
    with site.client(user, server="b") as client:
        response = client.request(method, path, headers=headers)
    assert response.status_code == 200, response.text
    return response.headers["Cache-Status"]


def warmed(site: Site, path: str = CACHED, user: str = "viewer", **headers: str) -> str:
    """Cache-Status of the second of two requests."""
    cache_status(site, path, user, **headers)
    return cache_status(site, path, user, **headers)


def quota(site: Site, user: str = "viewer") -> dict[str, str]:
    """The test's own limit as web server B tells it: name -> parameters of RateLimit-Policy and RateLimit."""
    with site.client(user, server="b") as client:
        response = client.get("/api/notifications")
    found: dict[str, str] = {}
    for field in ("RateLimit-Policy", "RateLimit"):
        for item in response.headers.get(field, "").split(", "):
            name, _, parameters = item.partition(";")
            found[name.strip('"')] = ";".join(filter(None, (found.get(name.strip('"'), ""), parameters)))
    return {name: parameters for name, parameters in found.items() if name.startswith("test-")}


def codes(site: Site, times: int, user: str = "viewer", **headers: str) -> list[int]:
    """Status codes of GETs of the notifications from web server B."""
    with site.client(user, server="b") as client:
        return [client.get("/api/notifications", headers=headers).status_code for _ in range(times)]


class TestCachePolicyFields:
    def test_ttl(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        assert "hit" in warmed(site)
        time.sleep(1.1)
        browser.edit("cachepolicy", cache_policy, ttl="1")
        assert "hit" not in cache_status(site)
        browser.edit("cachepolicy", cache_policy, ttl="500")
        status = cache_status(site)
        assert "hit" in status and int(status.rpartition("ttl=")[2]) > 100

    def test_ttl_jitter(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, ttl="10000", ttl_jitter="50")
        ttls = {cache_status(site, f"{CACHED}?page_size={n}").rpartition("ttl=")[2] for n in range(1, 7)}
        assert len(ttls) > 3

    def test_enabled(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, ttl="0")
        assert "hit" not in warmed(site)
        browser.edit("cachepolicy", cache_policy, enabled=False)
        assert "hit" in warmed(site)  # the policy of the first release decides now

    def test_position(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, ttl="0")
        assert "hit" not in warmed(site)
        browser.edit("cachepolicy", cache_policy, position="1000")
        assert "hit" in warmed(site)

    def test_route(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, ttl="0", route="/api/network/elsewhere")
        assert "hit" in warmed(site)
        browser.edit("cachepolicy", cache_policy, route="/api/network/assets*")
        assert "hit" not in warmed(site)

    def test_methods(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, ttl="0", methods=["HEAD"])
        assert "hit" in warmed(site)
        browser.edit("cachepolicy", cache_policy, methods=["GET"])
        assert "hit" not in warmed(site)

    @pytest.mark.parametrize("field", ["stale_while_revalidate", "stale_if_error"])
    def test_stale_times(self, site: Site, browser: AdminBrowser, cache_policy: int, field: str) -> None:
        browser.edit("cachepolicy", cache_policy, ttl="1")
        cache_status(site)
        time.sleep(1.1)
        assert "fwd=miss" in cache_status(site)
        browser.edit("cachepolicy", cache_policy, **{field: "600"})
        time.sleep(1.1)
        assert "fwd=stale" in cache_status(site)

    def test_negative_ttl(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        missing = f"{CACHED}/987654321"
        for seconds, is_remembered in (("60", True), ("0", False)):
            browser.edit("cachepolicy", cache_policy, negative_ttl=seconds)
            with site.client("viewer", server="b") as client:
                answers = [client.get(missing) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [404, 404]
            assert ("hit" in answers[1].headers["Cache-Status"]) == is_remembered

    def test_shared_by(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        site.token("viewer")
        cache_status(site, user="viewer")
        assert "fwd=miss" in cache_status(site, user="soc-analyst")
        browser.edit("cachepolicy", cache_policy, shared_by="everyone")
        cache_status(site, user="viewer")
        assert "hit" in cache_status(site, user="soc-analyst")
        browser.edit("cachepolicy", cache_policy, shared_by="user")
        assert "fwd=miss" in cache_status(site, user="soc-analyst")

    def test_vary_on_headers(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        cache_status(site, **{"X-Tenant": "a"})
        assert "hit" in cache_status(site, **{"X-Tenant": "b"})
        browser.edit("cachepolicy", cache_policy, vary_on_headers="X-Tenant")
        cache_status(site, **{"X-Tenant": "a"})
        assert "fwd=miss" in cache_status(site, **{"X-Tenant": "b"})

    def test_ignore_params(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, ignore_params="page_size")
        cache_status(site, f"{CACHED}?page_size=31")
        assert "hit" in cache_status(site, f"{CACHED}?page_size=32")
        browser.edit("cachepolicy", cache_policy, ignore_params="")
        assert "fwd=miss" in cache_status(site, f"{CACHED}?page_size=32")

    def test_max_body_bytes(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, max_body_bytes="1")
        assert "hit" not in warmed(site, f"{CACHED}?page_size=9")
        browser.edit("cachepolicy", cache_policy, max_body_bytes="1000000")
        assert "hit" in warmed(site, f"{CACHED}?page_size=10")

    def test_tags_and_name(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, tags="mine", name=f"renamed-{cache_policy}")
        assert "hit" in warmed(site)
        with site.client("admin") as admin:
            for what in ({"tags": ["mine"]}, {"policies": [f"renamed-{cache_policy}"]}):
                assert "hit" in warmed(site)
                assert admin.post("/api/performance/cache/invalidate", json=what).status_code == 200
                assert "fwd=miss" in cache_status(site)
            by_policy = admin.get("/api/performance/metrics").json()["api_cache"]["by_policy"]
        assert f"renamed-{cache_policy}" in by_policy

    def test_comment_is_kept_with_the_revision(self, site: Site, browser: AdminBrowser, cache_policy: int) -> None:
        browser.edit("cachepolicy", cache_policy, comment="because of the audit", change_reason="audit 7")
        assert "because of the audit" in _newest_revision(site)


class TestRateLimitPolicyFields:
    def test_limit_period_and_name(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        assert all("q=1000;w=60" in value for value in quota(site).values())
        browser.edit("ratelimitpolicy", limit, limit="500", period="3600", name=f"test-renamed-{limit}")
        assert "q=500;w=3600" in quota(site)[f"test-renamed-{limit}"]

    def test_enabled(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        assert len(quota(site)) == 1
        browser.edit("ratelimitpolicy", limit, enabled=False)
        assert quota(site) == {}

    def test_mode(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, limit="1", mode="observe")
        assert codes(site, 3) == [200, 200, 200]
        browser.edit("ratelimitpolicy", limit, mode="enforce")
        assert codes(site, 1) == [429]

    def test_scope_and_position(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, scope="default", position="1000")
        assert quota(site) == {}  # the policy of the first release comes first in its scope
        browser.edit("ratelimitpolicy", limit, position="0")
        assert len(quota(site)) == 1
        browser.edit("ratelimitpolicy", limit, position="1000", scope="another")
        assert len(quota(site)) == 1

    def test_route(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, route="/api/logs")
        assert quota(site) == {}
        browser.edit("ratelimitpolicy", limit, route="/api/notif*")
        assert len(quota(site)) == 1

    def test_methods(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, methods=["POST"])
        assert quota(site) == {}
        browser.edit("ratelimitpolicy", limit, methods=["POST", "GET"])
        assert len(quota(site)) == 1

    def test_roles(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, roles=["soc_analyst"])
        assert quota(site, "viewer") == {}
        assert len(quota(site, "soc-analyst")) == 1

    def test_count_by(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, limit="1")
        assert codes(site, 1, "viewer") + codes(site, 1, "soc-analyst") == [200, 200]
        for count_by in ("ip", "everyone"):
            browser.edit("ratelimitpolicy", limit, count_by=count_by)
            assert codes(site, 1, "viewer") + codes(site, 1, "soc-analyst") == [200, 429]
        browser.edit("ratelimitpolicy", limit, count_by="role")
        assert codes(site, 2, "viewer") == [200, 429]
        browser.edit("ratelimitpolicy", limit, count_by="user")
        assert codes(site, 1, "viewer") == [429]

    def test_algorithm_and_burst(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, limit="1", period="3600", algorithm="token_bucket", burst="3")
        assert codes(site, 4) == [200, 200, 200, 429]
        browser.edit("ratelimitpolicy", limit, burst="4")
        assert codes(site, 2) == [200, 429]
        browser.edit("ratelimitpolicy", limit, algorithm="fixed_window", burst="")
        assert codes(site, 2) == [200, 429]

    def test_cost(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, limit="10", cost="5")
        assert codes(site, 3) == [200, 200, 429]
        browser.edit("ratelimitpolicy", limit, cost="0")
        assert codes(site, 1) == [200]

    def test_penalty(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, limit="2", period="1", penalty="on")
        assert codes(site, 3) == [200, 200, 429]
        for _ in range(6):  # hammering goes on for longer than the period
            time.sleep(0.25)
            assert codes(site, 1) == [429]
        browser.edit("ratelimitpolicy", limit, penalty=False)
        deadline = time.monotonic() + 5
        while codes(site, 1) == [429]:
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def test_on_store_error(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, limit="3", on_store_error="deny")
        codes(site, 1)
        redis_pid = next(iter(site.run.processes("redis-server") | site.run.processes("valkey-server")))
        os.kill(redis_pid, signal.SIGSTOP)
        try:
            assert codes(site, 2) == [503, 503]
        finally:
            os.kill(redis_pid, signal.SIGCONT)
        _await_recovery(site)
        browser.edit("ratelimitpolicy", limit, on_store_error="local")
        codes(site, 1)
        os.kill(redis_pid, signal.SIGSTOP)
        try:
            assert codes(site, 5)[-2:] == [429, 429]
        finally:
            os.kill(redis_pid, signal.SIGCONT)
        _await_recovery(site)
        browser.edit("ratelimitpolicy", limit, on_store_error="allow")
        time.sleep(0.1)
        codes(site, 1)
        os.kill(redis_pid, signal.SIGSTOP)
        try:
            assert codes(site, 5) == [200] * 5
        finally:
            os.kill(redis_pid, signal.SIGCONT)
        _await_recovery(site)

    def test_comment_is_kept_with_the_revision(self, site: Site, browser: AdminBrowser, limit: int) -> None:
        browser.edit("ratelimitpolicy", limit, comment="agreed with the mobile team")
        assert "agreed with the mobile team" in _newest_revision(site)


class TestAccessRuleFields:
    @pytest.fixture
    def rule(self, site: Site, browser: AdminBrowser, limit: int) -> Iterator[int]:
        """Viewers are blocked."""
        name = f"rule-{uuid.uuid4().hex[:8]}"
        browser.edit("ratelimitpolicy", limit, limit="1", period="3600")
        browser.add("accessrule", name=name, effect="blocked", role="viewer", reason="test", enabled="on")
        pk = policy_id(site, "AccessRule", name)
        yield pk
        browser.delete("accessrule", pk)

    def test_effect_and_enabled(self, site: Site, browser: AdminBrowser, rule: int) -> None:
        assert codes(site, 1) == [403]
        browser.edit("accessrule", rule, effect="exempt")
        assert codes(site, 3) == [200, 200, 200]
        browser.edit("accessrule", rule, enabled=False)
        assert codes(site, 2) == [200, 429]

    def test_role_user_and_network(self, site: Site, browser: AdminBrowser, rule: int) -> None:
        browser.edit("accessrule", rule, role="soc_analyst")
        assert codes(site, 1, "viewer") == [200]
        assert codes(site, 1, "soc-analyst") == [403]
        user = site.shell(
            "from django.contrib.auth import get_user_model as u; print(u().objects.get(username='viewer').pk)"
        )
        browser.edit("accessrule", rule, role="", user=user.strip())
        assert codes(site, 1, "viewer") == [403]
        assert codes(site, 1, "soc-analyst") == [200]
        browser.edit("accessrule", rule, user="", network="192.0.2.0/24")
        assert 403 not in codes(site, 1, "viewer")
        browser.edit("accessrule", rule, network="127.0.0.2/32")
        with site.client("viewer", server="b", address="127.0.0.2") as client:
            assert client.get("/api/notifications").status_code == 403
        assert 403 not in codes(site, 1, "viewer")

    def test_network_of_the_person_who_saves_it_is_refused(self, browser: AdminBrowser, rule: int) -> None:
        with pytest.raises(AssertionError, match="would lock you out"):
            browser.edit("accessrule", rule, role="", network="127.0.0.0/8")

    def test_name_expiry_and_reason(self, site: Site, browser: AdminBrowser, rule: int) -> None:
        browser.edit("accessrule", rule, name=f"renamed-{rule}", reason="a new reason")
        with site.client("viewer", server="b") as client:
            assert client.get("/api/notifications").json()["rule"] == f"renamed-{rule}"
        assert "a new reason" in _newest_revision(site)
        browser.edit("accessrule", rule, expires_at_0="2001-01-01", expires_at_1="00:00:00")
        assert 403 not in codes(site, 1)


class TestJobPolicyFields:
    """Web server B obeys what is edited on A; the worker's fields are felt in its next run."""

    @pytest.fixture
    def policy(self, site: Site, browser: AdminBrowser) -> Iterator[int]:
        pk = policy_id(site, "JobPolicy", "log_analysis")
        yield pk
        browser.edit(
            "jobpolicy", pk, enabled="on", capacity="100", timeout="900", max_attempts="3", cron="", roles=[],
            retry_backoff="5", keep_results_for="604800",
        )  # fmt: skip

    def submit(self, site: Site, user: str = "soc-analyst", **params: Any) -> httpx.Response:
        with site.client(user, server="b") as client:
            return client.post("/api/performance/background-job", json={"type": "log_analysis", "params": params})

    def test_enabled(self, site: Site, browser: AdminBrowser, policy: int) -> None:
        browser.edit("jobpolicy", policy, enabled=False)
        assert self.submit(site).status_code == 403
        browser.edit("jobpolicy", policy, enabled="on")
        assert self.submit(site).status_code == 202

    def test_capacity(self, site: Site, browser: AdminBrowser, policy: int) -> None:
        browser.edit("jobpolicy", policy, capacity="0")
        full = self.submit(site)
        assert full.status_code == 503
        assert int(full.headers["Retry-After"]) >= 1

    def test_roles(self, site: Site, browser: AdminBrowser, policy: int) -> None:
        browser.edit("jobpolicy", policy, roles=["viewer"])
        assert self.submit(site, "soc-analyst").status_code == 403
        assert self.submit(site, "viewer").status_code == 202

    def test_cron(self, site: Site, browser: AdminBrowser, policy: int) -> None:
        before = self.count(site)
        browser.edit("jobpolicy", policy, cron="* * * * *")
        deadline = time.monotonic() + 75
        while self.count(site) == before:
            assert time.monotonic() < deadline, "no job at the tick"
            time.sleep(0.5)

    def test_keep_results_for(self, site: Site, browser: AdminBrowser, policy: int) -> None:
        accepted = self.submit(site)
        with site.client("admin") as admin:
            site.await_job(admin, accepted.headers["Location"])
            job = accepted.json()["id"]
            browser.edit("jobpolicy", policy, keep_results_for="60")
            site.shell(
                "from perf.models import Job; from datetime import timedelta; from django.db.models import F\n"
                f"Job.objects.filter(pk={job!r}).update(finished_at=F('finished_at') - timedelta(seconds=61))\n"
                "from perf.jobs.recovery import delete_old; delete_old()"
            )
            assert admin.get(accepted.headers["Location"]).status_code == 404

    def count(self, site: Site) -> int:
        return int(site.shell("from perf.models import Job; print(Job.objects.filter(type='log_analysis').count())"))


class TestJobPolicyFieldsInTheWorker:
    """What is edited on web server A governs the worker's run of a job that was submitted on B."""

    @pytest.fixture
    def policy(self, site: Site, browser: AdminBrowser) -> Iterator[int]:
        pk = policy_id(site, "JobPolicy", "security_scan")
        yield pk
        browser.edit("jobpolicy", pk, timeout="3600", max_attempts="3", retry_backoff="10", comment="")

    @pytest.fixture
    def analyst(self, site: Site) -> Iterator[httpx.Client]:
        with site.client("soc-analyst", server="b") as client:
            yield client

    def test_timeout(self, site: Site, browser: AdminBrowser, policy: int, analyst: httpx.Client) -> None:
        browser.edit("jobpolicy", policy, timeout="1")
        job = site.await_job(analyst, self.start_long_scan(analyst))
        assert (job["status"], job["attempt"]) == ("failed", 1)
        assert "Timed out after 1 s" in job["error"]

    def test_max_attempts(self, site: Site, browser: AdminBrowser, policy: int, analyst: httpx.Client) -> None:
        browser.edit("jobpolicy", policy, max_attempts="1")
        job = site.await_job(analyst, self.start_scan_and_kill_the_worker(site, analyst))
        assert (job["status"], job["attempt"]) == ("failed", 1)
        assert "worker died" in job["error"]

    def test_retry_backoff(self, site: Site, browser: AdminBrowser, policy: int, analyst: httpx.Client) -> None:
        browser.edit("jobpolicy", policy, max_attempts="2", retry_backoff="3000")
        location = self.start_scan_and_kill_the_worker(site, analyst)
        self.await_status(analyst, location, "submitted")
        seconds = site.shell(
            "from perf.models import Job; from django.utils import timezone\n"
            f"job = Job.objects.get(pk={location.rpartition('/')[2]!r})\n"
            "print((job.run_after - timezone.now()).total_seconds())"
        )
        assert 2000 < float(seconds) < 4000
        analyst.delete(location)

    def test_comment_is_kept_with_the_revision(self, site: Site, browser: AdminBrowser, policy: int) -> None:
        browser.edit("jobpolicy", policy, comment="the night shift scans")
        assert "the night shift scans" in _newest_revision(site)

    def start_long_scan(self, client: httpx.Client) -> str:
        """Submit a scan that takes minutes, but for the policy; returns its address."""
        params = {"targets": ["127.0.1.0/24"], "ports": "1-65535"}
        accepted = client.post("/api/performance/background-job", json={"type": "security_scan", "params": params})
        assert accepted.status_code == 202, accepted.text
        return accepted.headers["Location"]

    def start_scan_and_kill_the_worker(self, site: Site, client: httpx.Client) -> str:
        location = self.start_long_scan(client)
        self.await_status(client, location, "processing")
        worker = site.run.child("rqworker")
        os.kill(worker, signal.SIGKILL)  # its work-horse dies with it, and the supervisor starts another
        return location

    def await_status(self, client: httpx.Client, location: str, status: str) -> None:
        until(lambda: client.get(location).json()["status"] == status, 30, lambda: client.get(location).text)


def _newest_revision(site: Site) -> str:
    code = "from perf.models import Revision; import json; r = Revision.objects.first(); print(json.dumps(r.policies))"
    text = site.shell(code)
    json.loads(text)
    return text


def _await_recovery(site: Site) -> None:
    """Until both web servers use Redis again."""
    deadline = time.monotonic() + 15
    while not all(_uses_redis(site, server) for server in ("a", "b")):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _uses_redis(site: Site, server: str) -> bool:
    with site.client("admin", server=server) as client:
        state: str = client.get("/api/performance/metrics").json()["store"]["state"]
    return state == "up"
