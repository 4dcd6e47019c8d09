"""Redis fails: each policy says what happens, no request waits or breaks, and recovery needs no restart."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest
from django_redis import get_redis_connection

from perf.gate.revision import current
from perf.gate.store import store
from perf.models import RateLimitPolicy
from securenet.run.redis_server import RedisServer
from tests.integration.helpers import client_for, given_cache_policy, given_limit, statuses

pytestmark = pytest.mark.urls("tests.integration.site")


@pytest.fixture
def frozen_redis(redis: RedisServer) -> Iterator[None]:
    """Redis hangs: it takes connections and answers nothing."""
    current.get()
    client_for().get("/api/uncached")
    os.kill(redis.pid, signal.SIGSTOP)
    yield
    os.kill(redis.pid, signal.SIGCONT)
    wait_until_closed()


def wait_until_closed() -> None:
    """Until the process asks Redis again."""
    deadline = time.monotonic() + 5
    while store.is_open:
        assert time.monotonic() < deadline, "the breaker did not close"
        time.sleep(0.02)


class TestOnStoreError:
    @pytest.fixture(autouse=True)
    def policies(self) -> None:
        given_limit("open", route="/api/counter", limit=1, on_store_error="allow")
        given_limit("closed", route="/api/uncached", limit=1000, on_store_error="deny")
        given_limit("local", route="/api/private", limit=2, on_store_error="local")

    def test_each_policy_says_what_happens(self, frozen_redis: None) -> None:
        client = client_for()
        assert statuses(client, "/api/counter", 3) == [200, 200, 200]
        refused = client.get("/api/uncached")
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.json()["violated-policies"] == ["closed"]

    def test_local_limits_each_process_to_its_share(self, frozen_redis: None, settings: object) -> None:
        settings.PERF_PROCESSES = 2  # type: ignore[attr-defined]
        codes = statuses(client_for(), "/api/private", 3)
        assert 429 in codes
        assert 200 not in codes  # it is for signed-in users: counted all the same

    def test_an_edit_takes_effect_while_redis_is_away(self, frozen_redis: None) -> None:
        RateLimitPolicy.objects.filter(name="closed").update(on_store_error="allow")
        current.forget()
        assert client_for().get("/api/uncached").status_code == 200


def test_only_the_first_request_pays_for_a_redis_that_hangs(frozen_redis: None) -> None:
    before = store.failures
    given_limit(limit=1000)  # publishing it fails, and that was the one time-out
    assert statuses(client_for(), "/api/uncached", 50) == [200] * 50
    assert store.failures == before + 1, "a time-out was paid more than once"
    assert store.is_open


def test_limits_hold_again_when_redis_is_back_and_edits_made_meanwhile_count(redis: RedisServer) -> None:
    policy = given_limit(limit=1000)
    client = client_for()
    client.get("/api/uncached")
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        assert client.get("/api/uncached").status_code == 200
        policy.limit = 1
        policy.save()
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    wait_until_closed()
    assert "q=1;" in client.get("/api/uncached").headers["RateLimit-Policy"]
    assert client.get("/api/uncached").status_code == 429


def test_a_full_redis_breaks_nothing(redis: RedisServer) -> None:
    given_limit(limit=1000)
    given_cache_policy()
    client = client_for()
    admin = get_redis_connection("default")
    admin.config_set("maxmemory", "1")
    try:
        assert {client.get(f"/api/counter?n={n}").status_code for n in range(10)} == {200}
    finally:
        admin.config_set("maxmemory", "0")
    wait_until_closed()
    assert "RateLimit" in client.get("/api/uncached").headers


def test_scripts_that_redis_forgot_are_sent_again() -> None:
    given_limit(limit=3)
    client = client_for()
    client.get("/api/uncached")
    get_redis_connection("default").script_flush()
    assert "r=1" in client.get("/api/uncached").headers["RateLimit"]


def test_a_held_body_is_served_while_redis_is_away_if_the_policy_says_so(redis: RedisServer) -> None:
    policy = given_cache_policy(stale_if_error=600)
    client = client_for()
    first = client.get("/api/counter")
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        held = client.get("/api/counter")
        assert held.content == first.content
        assert held.headers["Cache-Status"] == "securenet; hit", "why is for admins"
        policy.stale_if_error = 0
        policy.save()
        current.forget()
        assert client.get("/api/counter").content != first.content
    finally:
        os.kill(redis.pid, signal.SIGCONT)
        wait_until_closed()


def test_a_held_404_is_not_served_for_as_long_as_a_response(redis: RedisServer) -> None:
    given_cache_policy(stale_if_error=600, negative_ttl=60)
    client = client_for()
    client.get("/api/unstorable?how=missing")
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        assert "hit" not in client.get("/api/unstorable?how=missing").headers["Cache-Status"]
    finally:
        os.kill(redis.pid, signal.SIGCONT)
        wait_until_closed()
