"""What admins see and do through the API: metrics, the cache, and background jobs of everybody."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.acceptance.answers import all_results, cache_status, invalid_fields, problem
from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site

METRICS = "/api/performance/metrics"
WARM = "/api/performance/cache/warm"
INVALIDATE = "/api/performance/cache/invalidate"
JOBS = "/api/performance/background-job"
JOB_MEMBERS = {
    "id", "type", "status", "progress", "message", "attempt", "result", "error", "submitted_at", "started_at",
    "finished_at",
}  # fmt: skip


@pytest.fixture
def admin(site: Site) -> Iterator[httpx.Client]:
    with site.client("security-admin") as client:
        yield client


@pytest.fixture
def analyst(site: Site) -> Iterator[httpx.Client]:
    """Of the other web server."""
    with site.client("soc-analyst", server="b") as client:
        yield client


class TestMetrics:
    def test_have_every_member(self, admin: httpx.Client) -> None:
        admin.get("/api/network/assets")
        metrics = admin.get(METRICS).json()
        assert metrics.keys() >= {
            "api_cache", "rate_limiting", "background_jobs", "store", "latency", "revision", "timestamp", "series",
        }  # fmt: skip
        assert metrics["api_cache"].keys() >= {"hits", "misses", "stale", "total", "hit_rate", "by_policy"}
        assert metrics["rate_limiting"].keys() >= {
            "total", "blocked", "observed", "block_rate", "by_policy", "top_blocked_clients",
        }  # fmt: skip
        jobs = metrics["background_jobs"]
        assert jobs.keys() >= {
            "submitted", "processing", "completed", "failed", "cancelled", "queue_size", "capacity", "by_type",
            "workers",
        }  # fmt: skip
        assert (jobs["capacity"], jobs["workers"]) == (100, 1)
        assert metrics["store"]["state"] == "up"
        assert 0 < metrics["store"]["round_trip_ms"] < 1000
        assert metrics["revision"] >= 1
        assert abs(datetime.fromisoformat(metrics["timestamp"]).timestamp() - time.time()) < 60
        assert metrics["latency"]
        for route, latency in metrics["latency"].items():
            assert route
            assert 0 <= latency["p50"] <= latency["p95"] <= latency["p99"]

    def test_count_the_requests_of_both_web_servers(self, site: Site, admin: httpx.Client) -> None:
        path = f"/api/network/assets?test={uuid.uuid4()}"
        before = admin.get(METRICS).json()
        with site.client("viewer") as a, site.client("viewer", server="b") as b:
            for client in (a, b):
                for _ in range(5):
                    assert client.get(path).status_code == 200
        expected = {"hits": 9, "misses": 1, "total": 10}
        for client in (admin, site.client("security-admin", server="b")):
            after = client.get(METRICS).json()
            for counts in (lambda m: m["api_cache"], lambda m: m["api_cache"]["by_policy"]["network"]):
                assert {name: counts(after)[name] - counts(before)[name] for name in expected} == expected
            assert after["rate_limiting"]["total"] - before["rate_limiting"]["total"] >= 10
            by_policy = [report["rate_limiting"]["by_policy"] for report in (before, after)]
            allowed = [policies.get("default", {"allowed": 0})["allowed"] for policies in by_policy]
            assert allowed[1] - allowed[0] == 10
        assert after["api_cache"]["hit_rate"] == pytest.approx(
            (after["api_cache"]["hits"] + after["api_cache"]["stale"]) / after["api_cache"]["total"], abs=0.001
        )

    def test_name_blocked_clients_and_policies(self, site: Site, browser: AdminBrowser, admin: httpx.Client) -> None:
        name = f"blocked-{uuid.uuid4().hex[:6]}"
        browser.add(
            "ratelimitpolicy", name=name, scope=name, position="1", route="/api/security/summary", limit="1",
            period="3600", count_by="user", enabled="on",
        )  # fmt: skip
        before = admin.get(METRICS).json()["rate_limiting"]
        site.add_user(blocked := f"greedy-{uuid.uuid4().hex[:6]}", "viewer")
        with site.client(blocked) as client:
            assert [client.get("/api/security/summary").status_code for _ in range(4)] == [200, 429, 429, 429]
        after = admin.get(METRICS).json()["rate_limiting"]
        assert after["by_policy"][name] == {"allowed": 1, "blocked": 3, "observed": 0}
        assert after["blocked"] - before["blocked"] == 3
        assert any(blocked in row["client"] and row["blocked"] == 3 for row in after["top_blocked_clients"]), after
        pk = site.shell(f"from perf.models import RateLimitPolicy as p; print(p.objects.get(name={name!r}).pk)")
        browser.delete("ratelimitpolicy", int(pk))

    @pytest.mark.parametrize("window", ["5m", "1h", "24h"])
    def test_have_a_series_for_each_window(self, admin: httpx.Client, window: str) -> None:
        metrics = admin.get(METRICS, params={"window": window}).json()
        assert metrics["window"] == window
        assert 1 <= len(metrics["series"]) <= 60
        times = [point["time"] for point in metrics["series"]]
        assert times == sorted(times)
        assert sum(point["requests"] for point in metrics["series"]) == metrics["rate_limiting"]["total"]
        assert all(point.keys() == {"time", "requests", "blocked", "hits", "misses"} for point in metrics["series"])

    @pytest.mark.parametrize("window", ["2h", "-1h", "", "1h\0", "5M"])
    def test_unknown_window_is_named(self, admin: httpx.Client, window: str) -> None:
        assert invalid_fields(admin.get(METRICS, params={"window": window})) == {"window"}

    def test_revision_rises_with_each_edit(self, site: Site, admin: httpx.Client, browser: AdminBrowser) -> None:
        before = admin.get(METRICS).json()["revision"]
        pk = int(site.shell("from perf.models import JobPolicy as p; print(p.objects.get(name='cache_warm').pk)"))
        browser.edit("jobpolicy", pk, max_attempts="3")
        browser.edit("jobpolicy", pk, max_attempts="2")
        with site.client("security-admin", server="b") as other:
            assert admin.get(METRICS).json()["revision"] == other.get(METRICS).json()["revision"] == before + 2


class TestWarming:
    def warm(self, site: Site, client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
        accepted = client.post(WARM, json=body)
        assert accepted.status_code == 202, accepted.text
        assert accepted.json()["type"] == "cache_warm"
        job = site.await_job(client, accepted.headers["Location"])
        assert job["status"] == "completed", job
        result: dict[str, Any] = job["result"]
        return result

    def test_fills_what_the_role_asks_for_next(self, site: Site, admin: httpx.Client) -> None:
        paths = ("/api/security/findings", "/api/security/summary")
        assert admin.post(INVALIDATE, json={"policies": ["security"]}).status_code == 200
        result = self.warm(site, admin, {"policies": ["security"], "roles": ["viewer"]})
        assert result["filled"] == len(paths)
        with site.client("viewer") as a, site.client("viewer", server="b") as b, site.client("soc-analyst") as other:
            for path in paths:
                assert cache_status(a.get(path))["hit"] is True, path
                assert cache_status(b.get(path))["hit"] is True, path
                assert cache_status(other.get(path))["fwd"] == "miss", path

    def test_of_everything_reports_by_policy(self, site: Site, admin: httpx.Client) -> None:
        admin.post(INVALIDATE, json={"everything": True})
        result = self.warm(site, admin, {})
        assert result["by_policy"].keys() == {"dashboard", "security", "network", "logs"}
        assert result["filled"] > 0
        assert "notifications" in result["not_shared_by_role"]
        with site.client("soc-analyst", server="b") as client:
            for path in ("/api/dashboard/cached", "/api/network/assets", "/api/logs"):
                assert cache_status(client.get(path))["hit"] is True, path

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({"policies": ["no-such"]}, "policies"),
            ({"roles": ["emperor"]}, "roles"),
            ({"policies": "security"}, "policies"),
            ({"roles": [None]}, "roles"),
            ({"policies": ["with space"]}, "policies"),
            ({"ttl": 5}, "ttl"),
        ],
    )
    def test_of_something_unknown_is_named(self, admin: httpx.Client, body: dict[str, Any], wrong: str) -> None:
        (field,) = invalid_fields(admin.post(WARM, json=body))
        assert wrong in field.split(".")


class TestInvalidation:
    @pytest.mark.parametrize(
        ("body", "dropped"),
        [
            ({"tags": ["findings"]}, {"/api/security/summary", "/api/dashboard/cached"}),
            ({"tags": ["assets"]}, {"/api/network/assets", "/api/dashboard/cached"}),
            ({"policies": ["network"]}, {"/api/network/assets"}),
            ({"paths": ["/api/logs"]}, {"/api/logs"}),
            (
                {"paths": ["/api/security/*"], "tags": ["notifications"]},
                {"/api/security/summary", "/api/notifications"},
            ),
            ({"tags": ["of nothing"]}, set()),
            (
                {"everything": True},
                {
                    "/api/security/summary", "/api/dashboard/cached", "/api/network/assets", "/api/logs",
                    "/api/notifications",
                },
            ),
        ],
    )  # fmt: skip
    def test_drops_what_it_names_and_nothing_else(
        self, site: Site, admin: httpx.Client, body: dict[str, Any], dropped: set[str]
    ) -> None:
        paths = {
            "/api/security/summary", "/api/dashboard/cached", "/api/network/assets", "/api/logs", "/api/notifications",
        }  # fmt: skip
        with site.client("viewer", server="b") as viewer:
            for path in paths:
                viewer.get(path)
                assert cache_status(viewer.get(path)).get("hit") is True, path
            answer = admin.post(INVALIDATE, json=body)
            assert answer.status_code == 200, answer.text
            assert {path for path in paths if "hit" not in cache_status(viewer.get(path))} == dropped

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, ""),
            ({"everything": False}, ""),
            ({"tags": []}, ""),
            ({"tags": "findings"}, "tags"),
            ({"tags": [""]}, "tags.0"),
            ({"tags": ["x" * 101]}, "tags.0"),
            ({"tags": ["t"] * 101}, "tags"),
            ({"policies": ["no-such"]}, "policies"),
            ({"paths": ["/api/performance/metrics"]}, "paths"),
            ({"paths": ["/no/such/path"]}, "paths"),
            ({"everything": "perhaps"}, "everything"),
            ({"keys": ["*"]}, "keys"),
        ],
    )
    def test_of_something_unknown_is_named(self, admin: httpx.Client, body: dict[str, Any], wrong: str) -> None:
        assert invalid_fields(admin.post(INVALIDATE, json=body)) == {wrong}


@contextmanager
def worker_asleep(site: Site) -> Iterator[None]:
    """No job is begun, as if all workers were busy."""
    workers = site.run.processes("rqworker")
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def submit(client: httpx.Client, type_: str = "log_analysis", key: str = "", **params: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(JOBS, json={"type": type_, "params": params}, headers=headers)


class TestJobs:
    def test_is_accepted_watched_and_listed(self, site: Site, analyst: httpx.Client) -> None:
        with worker_asleep(site):
            accepted = submit(analyst, source=f"nothing-{uuid.uuid4().hex}")
            assert accepted.status_code == 202, accepted.text
            job, location = accepted.json(), accepted.headers["Location"]
            assert location == f"{JOBS}/{job['id']}"
            assert int(accepted.headers["Retry-After"]) >= 1
            assert job.keys() == JOB_MEMBERS
            assert (job["type"], job["status"]) == ("log_analysis", "submitted")
            assert (job["progress"], job["attempt"]) == (0.0, 0)
            assert job["result"] is None and job["started_at"] is None and job["finished_at"] is None
            waiting = analyst.get(location)
            assert waiting.json() == job
            assert int(waiting.headers["Retry-After"]) >= 1
            etag = waiting.headers["ETag"]
            unchanged = analyst.get(location, headers={"If-None-Match": etag})
            assert (unchanged.status_code, unchanged.content) == (304, b"")
            assert unchanged.headers["ETag"] == etag and unchanged.headers["Retry-After"]
            assert job["id"] in {each["id"] for each in all_results(analyst, JOBS, status="submitted")}
        ended = site.await_job(analyst, location)
        assert (ended["status"], ended["progress"], ended["attempt"], ended["error"]) == ("completed", 1.0, 1, "")
        assert ended["result"]["events"] == 0
        assert ended["submitted_at"] <= ended["started_at"] <= ended["finished_at"]
        changed = analyst.get(location, headers={"If-None-Match": etag})
        assert changed.status_code == 200
        assert "Retry-After" not in changed.headers
        assert "private" in changed.headers["Cache-Control"]
        assert ended in all_results(analyst, JOBS, status="completed", type="log_analysis", page_size=500)

    def test_tells_its_progress_while_it_runs(self, site: Site, analyst: httpx.Client) -> None:
        """A scan of some seconds, watched every 50 ms."""
        accepted = submit(analyst, "security_scan", targets=["127.0.0.0/28"], ports="1-1000")
        assert accepted.status_code == 202, accepted.text
        location, seen = accepted.headers["Location"], []
        deadline = time.monotonic() + 60
        while (job := analyst.get(location)).json()["status"] in ("submitted", "processing"):
            assert "Retry-After" in job.headers
            seen.append(job.json()["progress"])
            assert time.monotonic() < deadline, job.text
            time.sleep(0.05)
        assert job.json()["status"] == "completed", job.text
        assert seen == sorted(seen)
        assert any(0 < progress < 1 for progress in seen), seen

    def test_waiting_one_is_cancelled_and_never_runs(self, site: Site, analyst: httpx.Client) -> None:
        with worker_asleep(site):
            location = submit(analyst).headers["Location"]
            cancelled = analyst.delete(location)
            assert cancelled.status_code == 200, cancelled.text
            assert cancelled.json()["status"] == "cancelled"
            assert cancelled.json()["finished_at"]
        assert site.await_job(analyst, submit(analyst).headers["Location"])["status"] == "completed"
        job = analyst.get(location).json()
        assert (job["status"], job["attempt"], job["started_at"]) == ("cancelled", 0, None)
        again = problem(analyst.delete(location), 409)
        assert "cancelled" in again["detail"]

    def test_running_one_is_cancelled_and_stops(self, site: Site, analyst: httpx.Client) -> None:
        location = submit(analyst, "security_scan", targets=["127.0.0.0/24"], ports="1-20000").headers["Location"]
        deadline = time.monotonic() + 30
        while analyst.get(location).json()["status"] != "processing":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert analyst.delete(location).json()["status"] == "cancelled"
        after = site.await_job(analyst, submit(analyst).headers["Location"])  # the worker is free again
        assert after["status"] == "completed"
        assert analyst.get(location).json()["status"] == "cancelled"

    def test_of_others_do_not_exist_but_for_admins(
        self, site: Site, analyst: httpx.Client, admin: httpx.Client
    ) -> None:
        location = submit(admin).headers["Location"]
        number = location.rpartition("/")[2]
        problem(analyst.get(location), 404)
        problem(analyst.delete(location), 404)
        assert number not in {job["id"] for job in all_results(analyst, JOBS, page_size=500)}
        own = submit(analyst).headers["Location"]
        assert admin.get(own).status_code == 200
        assert own.rpartition("/")[2] in {job["id"] for job in all_results(admin, JOBS, page_size=500)}
        assert {number, own.rpartition("/")[2]} <= {job["id"] for job in all_results(admin, JOBS, page_size=2)}
        site.await_job(admin, location)
        site.await_job(admin, own)

    @pytest.mark.parametrize("number", [str(uuid.UUID(int=7)), "7", "not-a-uuid", "../metrics"])
    def test_unknown_one_is_404(self, admin: httpx.Client, number: str) -> None:
        problem(admin.get(f"{JOBS}/{number.replace('../', '%2e%2e/')}"), 404)

    def test_of_an_unknown_type_lists_the_known_ones(self, analyst: httpx.Client) -> None:
        refused = submit(analyst, "make_coffee")
        assert invalid_fields(refused) == {"type"}
        for name in ("cache_warm", "log_analysis", "security_scan"):
            assert name in refused.json()["detail"]

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {"type"}),
            ({"type": ""}, {"type"}),
            ({"type": ["log_analysis"]}, {"type"}),
            ({"type": "x" * 65}, {"type"}),
            ({"type": "log_analysis\0"}, {"type"}),
            ({"type": "log_analysis", "priority": 1}, {"priority"}),
            ({"type": "log_analysis", "params": [1]}, {"params"}),
            ({"type": "log_analysis", "params": "x"}, {"params"}),
            ({"type": "log_analysis", "params": None}, {"params"}),
            ({"type": "log_analysis", "params": {"since": "yesterday"}}, {"params.since"}),
            ({"type": "log_analysis", "params": {"since": 10**30}}, {"params.since"}),
            ({"type": "log_analysis", "params": {"source": "x" * 101}}, {"params.source"}),
            ({"type": "log_analysis", "params": {"source": "nul\0"}}, {"params.source"}),
            ({"type": "log_analysis", "params": {"sauce": "x"}}, {"params.sauce"}),
            ({"type": "security_scan"}, {"params.targets"}),
            ({"type": "security_scan", "params": {"targets": ["127.0.0.1"], "ports": "0"}}, {"params.ports"}),
            ({"type": "security_scan", "params": {"targets": ["127.0.0.1", "?"]}}, {"params.targets.1"}),
        ],
    )
    def test_parameters_that_make_no_sense_are_named_and_no_job_is_made(
        self, analyst: httpx.Client, body: dict[str, Any], wrong: set[str]
    ) -> None:
        before = len(all_results(analyst, JOBS, page_size=500))
        assert invalid_fields(analyst.post(JOBS, json=body)) == wrong
        assert len(all_results(analyst, JOBS, page_size=500)) == before

    def test_filters_of_the_list_are_checked(self, analyst: httpx.Client) -> None:
        assert invalid_fields(analyst.get(JOBS, params={"status": "asleep"})) == {"status"}
        assert invalid_fields(analyst.get(JOBS, params={"type": "make_coffee"})) == {"type"}


class TestIdempotencyKey:
    def test_same_request_again_is_the_same_job(self, site: Site, analyst: httpx.Client) -> None:
        key = uuid.uuid4().hex
        first = submit(analyst, key=key, source="idempotent")
        with site.client("soc-analyst") as other_server:
            again = submit(other_server, key=key, source="idempotent")
        assert first.status_code == again.status_code == 202
        assert first.json()["id"] == again.json()["id"]
        assert first.headers["Location"] == again.headers["Location"]
        site.await_job(analyst, first.headers["Location"])
        assert submit(analyst, key=key, source="idempotent").json()["status"] == "completed"

    def test_another_request_with_the_key_is_422(self, analyst: httpx.Client) -> None:
        key = uuid.uuid4().hex
        assert submit(analyst, key=key, source="one").status_code == 202
        before = len(all_results(analyst, JOBS, page_size=500))
        problem(submit(analyst, key=key, source="two"), 422)
        problem(submit(analyst, "security_scan", key=key, targets=["127.0.0.1"], ports="1"), 422)
        assert len(all_results(analyst, JOBS, page_size=500)) == before

    def test_keys_of_different_people_are_different(self, analyst: httpx.Client, admin: httpx.Client) -> None:
        key = uuid.uuid4().hex
        assert submit(analyst, key=key).json()["id"] != submit(admin, key=key, source="other").json()["id"]

    def test_too_long_a_key_is_named(self, analyst: httpx.Client) -> None:
        assert invalid_fields(submit(analyst, key="k" * 256)) == {"Idempotency-Key"}
