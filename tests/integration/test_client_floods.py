"""A flood of new addresses takes a bounded part of Redis, and known clients keep their own counters."""

from __future__ import annotations

import time

import pytest
from django_redis import get_redis_connection

from perf.gate import keys
from perf.models import RateLimitPolicy
from tests.integration.helpers import client_for, given_limit, given_user

pytestmark = pytest.mark.urls("tests.integration.site")

ALGORITHMS = RateLimitPolicy.Algorithm.values


def counters() -> int:
    """Living counters, those that are shared included."""
    return len(get_redis_connection("default").keys("*:limit:*"))


def come_from(number: int) -> int:
    """One request from the address with this number; its status."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    return int(client_for().get("/api/uncached", REMOTE_ADDR=address).status_code)


@pytest.fixture
def few_clients(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 20 clients have counters of their own, further ones share 4."""
    settings.PERF_MAX_CLIENTS = 20  # type: ignore[attr-defined]
    monkeypatch.setattr(keys, "SHARED_COUNTERS", 4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_number_of_counters_is_bounded(few_clients: None, algorithm: str) -> None:
    given_limit(limit=5, algorithm=algorithm)
    for number in range(60):
        come_from(number)
    assert counters() <= 20 + 4


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_known_clients_keep_their_counter_in_a_flood(few_clients: None, algorithm: str) -> None:
    given_limit(limit=5, algorithm=algorithm)
    assert come_from(1) == 200
    for number in range(100, 160):
        come_from(number)
    assert [come_from(1) for _ in range(5)] == [200, 200, 200, 200, 429]


def test_what_is_shared_refuses_more_and_never_less(few_clients: None) -> None:
    given_limit(limit=5)
    for number in range(20):
        come_from(number)
    assert sum(come_from(number) == 200 for number in range(1000, 1100)) == 4 * 5


def test_signed_in_users_are_not_concerned(few_clients: None) -> None:
    given_limit(limit=5)
    for number in range(60):
        come_from(number)
    client = client_for(given_user())
    assert [client.get("/api/uncached").status_code for _ in range(6)] == [200] * 5 + [429]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_after_the_flood_newcomers_have_counters_of_their_own_again(few_clients: None, algorithm: str) -> None:
    given_limit(limit=1, period=1, algorithm=algorithm)
    for number in range(60):
        come_from(number)
    time.sleep(4.2)  # two spans of the tally, which are two periods each for a bucket
    assert [come_from(number) for number in range(2000, 2010)] == [200] * 10


def test_a_client_that_stays_is_counted_once_in_each_span(few_clients: None) -> None:
    given_limit(limit=1000, period=60)
    for _ in range(50):
        come_from(1)
    assert [come_from(number) for number in range(2, 21)] == [200] * 19
    assert counters() == 20


def test_the_tally_expires_by_itself(few_clients: None) -> None:
    given_limit(limit=5)
    come_from(1)
    redis = get_redis_connection("default")
    assert all(redis.ttl(key) > 0 for key in redis.keys("*:clients:*") + redis.keys("*:limit:*"))
