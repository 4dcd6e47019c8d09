"""The headers of every answer below /api, conditional requests, and errors as problem details."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.answers import cache_status, max_age, problem, rate_limits, server_timing
from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site

MAX_BODY = 5 * 1024 * 1024
JSON = {"Content-Type": "application/json"}

# Status, who asks, method, path, and what else is sent.
ANSWERS: list[tuple[int, str, str, str, dict[str, Any]]] = [
    (200, "viewer", "GET", "/api/dashboard", {}),
    (200, "viewer", "GET", "/api/dashboard/cached", {}),
    (200, "viewer", "HEAD", "/api/network/assets", {}),
    (200, "viewer", "OPTIONS", "/api/network/assets", {}),
    (200, "", "GET", "/api/schema", {}),
    (200, "", "GET", "/api/docs", {}),
    (201, "admin", "POST", "/api/logs", {"json": {"lines": ["a line for its headers"]}}),
    (202, "admin", "POST", "/api/performance/background-job", {"json": {"type": "log_analysis"}}),
    (400, "admin", "POST", "/api/logs", {"content": b"{", "headers": JSON}),
    (400, "", "POST", "/api/auth/token", {"json": {}}),
    (401, "", "GET", "/api/dashboard", {}),
    (401, "", "GET", "/api/network/assets", {}),
    (401, "", "GET", "/api/network/assets", {"headers": {"Authorization": "Bearer garbage"}}),
    (401, "", "POST", "/api/auth/token", {"json": {"username": "nobody", "password": "wrong"}}),
    (403, "viewer", "GET", "/api/performance/metrics", {}),
    (403, "viewer", "POST", "/api/logs", {"json": {"lines": []}}),
    (404, "viewer", "GET", "/api/network/assets/999999999", {}),
    (404, "viewer", "GET", f"/api/performance/background-job/{uuid.UUID(int=0)}", {}),
    (404, "viewer", "GET", "/api/no/such/path", {}),
    (405, "viewer", "DELETE", "/api/dashboard", {}),
    (406, "viewer", "GET", "/api/dashboard", {"headers": {"Accept": "image/png"}}),
    (413, "admin", "POST", "/api/logs", {"content": b"x" * (MAX_BODY + 1), "headers": {"Content-Type": "text/plain"}}),
    (413, "admin", "POST", "/api/network/assets", {"content": b'"' * (MAX_BODY + 1), "headers": JSON}),
    (415, "admin", "POST", "/api/network/assets", {"content": b"a=b", "headers": {"Content-Type": "text/csv"}}),
    (415, "admin", "POST", "/api/logs", {"content": b"x", "headers": {"Content-Encoding": "br", **JSON}}),
]


def answer_id(row: Any) -> str:
    status, who, method, path, sent = row
    return f"{status} {method} {path} {who or 'anonymous'} {'+'.join(sent)}"


@pytest.fixture(params=ANSWERS, ids=answer_id)
def answer(site: Site, request: pytest.FixtureRequest) -> httpx.Response:
    """An answer of each kind."""
    status, who, method, path, sent = request.param
    with site.client(who) as client:
        response = client.request(method, path, **sent)
    assert response.status_code == status, response.text[:500]
    return response


class TestEveryAnswer:
    def test_says_where_its_time_went(self, answer: httpx.Response) -> None:
        times = server_timing(answer)
        assert list(times) == ["gate", "app", "total"]
        assert 0 <= times["gate"] <= times["total"] < 20_000
        assert times["gate"] + times["app"] == pytest.approx(times["total"], abs=0.05)

    def test_has_an_id(self, answer: httpx.Response) -> None:
        assert len(answer.headers["X-Request-ID"]) >= 8

    def test_says_what_the_cache_did(self, answer: httpx.Response) -> None:
        status = cache_status(answer)
        if answer.status_code >= 400:
            assert status.get("fwd") in ("bypass", "miss"), status
            assert "stored" not in status

    def test_says_what_the_caller_may_still_do(self, answer: httpx.Response) -> None:
        limits = rate_limits(answer)
        is_sign_in = answer.request.url.path.startswith("/api/auth/")
        by_role = {"platform_owner", "security_admin"}
        assert limits.keys() <= {"authentication", "scans", "admin", "default", *by_role}
        assert ("authentication" in limits) == is_sign_in
        for limit in limits.values():
            assert limit["w"] == 60
            assert 0 <= limit["r"] <= limit["q"]
            assert 0 <= limit["t"] <= limit["w"]

    def test_that_is_an_error_is_a_problem(self, answer: httpx.Response) -> None:
        if answer.status_code < 400:
            assert answer.headers["Content-Type"].partition(";")[0] != "application/problem+json"
        else:
            problem(answer, answer.status_code)


class TestRequestId:
    def test_given_one_comes_back_also_in_a_problem(self, site: Site) -> None:
        given = f"test-{uuid.uuid4()}"
        with site.client("viewer") as client:
            client.headers["X-Request-ID"] = given
            assert client.get("/api/network/assets").headers["X-Request-ID"] == given
            refused = client.get("/api/performance/metrics")
            assert refused.headers["X-Request-ID"] == problem(refused, 403)["request_id"] == given

    def test_each_request_has_its_own_also_when_it_is_answered_from_the_cache(self, site: Site) -> None:
        with site.client("viewer") as client:
            assert len({client.get("/api/network/assets").headers["X-Request-ID"] for _ in range(5)}) == 5

    @pytest.mark.parametrize("given", ["short", "x" * 65, "with space in it", "semi;colon;inside", 'quo"ted-id'])
    def test_one_that_is_no_id_is_replaced(self, site: Site, given: str) -> None:
        with site.client("viewer") as client:
            answered = client.get("/api/network/assets", headers={"X-Request-ID": given}).headers["X-Request-ID"]
        assert answered != given
        assert len(answered) == 32


CACHED = [
    ("/api/dashboard/cached", 60),
    ("/api/security/findings", 120),
    ("/api/security/summary", 120),
    ("/api/network/assets", 180),
    ("/api/logs", 300),
    ("/api/notifications", 180),
]


@pytest.mark.parametrize(("path", "ttl"), CACHED, ids=[path for path, _ in CACHED])
class TestCacheableAnswer:
    def fresh(self, path: str) -> str:
        """A query of this test's own, so that nobody has asked it before."""
        return f"{path}?page_size=7&utm_nothing={uuid.uuid4()}&test={uuid.uuid4()}"

    def test_is_computed_once_and_then_a_hit_on_both_servers(self, site: Site, path: str, ttl: int) -> None:
        url = self.fresh(path)
        with site.client("viewer") as a, site.client("viewer", server="b") as b:
            first = a.get(url)
            assert first.status_code == 200, first.text
            status = cache_status(first)
            assert (status["fwd"], status["stored"], status["ttl"]) == ("miss", True, ttl)
            assert first.headers["Age"] == "0"
            for client in (a, b):
                again = client.get(url)
                status = cache_status(again)
                assert status["hit"] is True
                age = int(again.headers["Age"])
                assert 0 <= age < 30
                assert ttl - age - 1 <= status["ttl"] <= ttl
                assert again.content == first.content
                assert again.headers["ETag"] == first.headers["ETag"]
                assert again.headers["Content-Type"] == first.headers["Content-Type"] == "application/json"

    def test_tells_other_caches_for_how_long_and_for_whom(self, site: Site, path: str, ttl: int) -> None:
        url = self.fresh(path)
        with site.client("viewer") as client:
            for response in (client.get(url), client.get(url)):
                assert max_age(response) == ttl
                assert "private" in response.headers["Cache-Control"]
                assert "public" not in response.headers["Cache-Control"]
                assert {"authorization", "cookie"} <= {v.strip().lower() for v in response.headers["Vary"].split(",")}

    def test_is_304_for_a_client_that_has_it(self, site: Site, path: str, ttl: int) -> None:
        url = self.fresh(path)
        with site.client("viewer") as a, site.client("viewer", server="b") as b:
            etag = a.get(url).headers["ETag"]
            for client in (a, b):
                for given in (etag, f'"other", {etag}', "*", f"W/{etag.removeprefix('W/')}"):
                    same = client.get(url, headers={"If-None-Match": given})
                    assert (same.status_code, same.content) == (304, b""), given
                    assert same.headers["ETag"] == etag
                    assert max_age(same) == ttl
                    assert cache_status(same)["hit"] is True
                    assert "X-Request-ID" in same.headers and rate_limits(same)
                    server_timing(same)
            assert a.get(url, headers={"If-None-Match": '"something-else"'}).status_code == 200

    def test_head_has_the_headers_of_get_and_no_body(self, site: Site, path: str, ttl: int) -> None:
        url = self.fresh(path)
        with site.client("viewer") as client:
            get = client.get(url)
            for head in (client.head(url), client.head(url)):
                assert (head.status_code, head.content) == (200, b"")
                assert head.headers["Content-Type"] == get.headers["Content-Type"]
                assert max_age(head) == ttl
                assert head.headers["Content-Length"] == get.headers["Content-Length"]
                assert head.headers.get("Content-Encoding") == get.headers.get("Content-Encoding")


class TestUncacheableAnswer:
    @pytest.mark.parametrize("path", ["/api/performance/metrics", "/api/security/scans", "/api/dashboard"])
    def test_is_never_a_hit(self, site: Site, path: str) -> None:
        with site.client("admin") as client:
            for _ in range(2):
                response = client.get(path)
                assert cache_status(response) == {"fwd": "bypass"}
                assert "max-age" not in response.headers.get("Cache-Control", "")

    def test_tokens_are_not_stored_by_anybody(self, site: Site) -> None:
        with site.client() as client:
            answer = client.post("/api/auth/token", json={"username": "viewer", "password": site.password})
        assert answer.headers["Cache-Control"] == "no-store"


def test_rate_limits_on_a_cached_answer_are_the_callers_own(site: Site) -> None:
    path = f"/api/network/assets?test={uuid.uuid4()}"
    site.add_user(other := f"other-{uuid.uuid4().hex[:8]}", "viewer")
    with site.client("viewer") as viewer, site.client(other) as newcomer:
        viewer.get(path)
        before = rate_limits(viewer.get(path))["default"]
        theirs = newcomer.get(path)
        assert cache_status(theirs)["hit"] is True
        assert rate_limits(theirs)["default"]["r"] == rate_limits(theirs)["default"]["q"] - 1
        after = rate_limits(viewer.get(path))["default"]
        assert after["r"] == before["r"] - 1


class TestTooManyRequests:
    @pytest.fixture
    def limit(self, browser: AdminBrowser, site: Site) -> Iterator[str]:
        """Two requests in three seconds to the list of scan targets, in a scope of its own."""
        name = f"targets-{uuid.uuid4().hex[:6]}"
        pk = site.shell(
            "from perf.models import RateLimitPolicy\n"
            f"policy = RateLimitPolicy(name={name!r}, scope={name!r}, position=1, route='/api/network/targets')\n"
            "policy.limit, policy.period = 2, 3\n"
            "policy.full_clean(); policy.save(); print(policy.pk)"
        )
        yield name
        browser.delete("ratelimitpolicy", int(pk))

    def test_is_429_with_a_time_after_which_it_works(self, site: Site, limit: str) -> None:
        with site.client("admin") as a, site.client("admin", server="b") as b:
            assert rate_limits(a.get("/api/network/targets"))[limit] == {"q": 2, "w": 3, "r": 1, "t": 3}
            assert b.get("/api/network/targets").status_code == 200
            for client in (a, b):
                refused = client.get("/api/network/targets")
                body = problem(refused, 429)
                assert body["violated-policies"] == [limit]
                assert limit in body["detail"]
                assert body["type"].startswith("https://")
                assert rate_limits(refused)[limit]["r"] == 0
                assert cache_status(refused) == {"fwd": "bypass"}
                server_timing(refused)
            seconds = int(refused.headers["Retry-After"])
            assert 1 <= seconds <= 3
            time.sleep(seconds)
            assert b.get("/api/network/targets").status_code == 200

    def test_counts_requests_that_are_refused_for_other_reasons(self, site: Site, limit: str) -> None:
        with site.client("viewer") as viewer:
            assert [viewer.get("/api/network/targets").status_code for _ in range(3)] == [403, 403, 429]
        with site.client() as nobody:
            assert [nobody.get("/api/network/targets").status_code for _ in range(3)] == [401, 401, 429]


def test_full_queue_is_503_with_a_time_to_come_back(site: Site, browser: AdminBrowser) -> None:
    pk = int(site.shell("from perf.models import JobPolicy as p; print(p.objects.get(name='cache_warm').pk)"))
    browser.edit("jobpolicy", pk, capacity="0")
    try:
        with site.client("admin", server="b") as admin:
            full = admin.post("/api/performance/cache/warm", json={})
            body = problem(full, 503)
            assert body["title"] == "Queue full"
            assert int(full.headers["Retry-After"]) >= 1
            assert rate_limits(full)
    finally:
        browser.edit("jobpolicy", pk, capacity="100")
