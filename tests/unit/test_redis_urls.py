"""Addresses of Redis: what each form means for django-redis and RQ, and what is said of a wrong one."""

from __future__ import annotations

from typing import Any

import pytest

from perf.gate.connections import NO_RETRIES
from securenet.redis_urls import (
    Cluster,
    SentinelService,
    Server,
    UnusableUrl,
    parse_jobs_url,
    parse_redis_url,
)


@pytest.mark.parametrize(
    "url", ["redis://:pw@10.0.0.1:6380/2", "rediss://redis.example.org", "unix:///run/r.sock?db=1"]
)
def test_one_server_is_left_to_redis_py(url: str) -> None:
    address = parse_redis_url(url, "REDIS_URL")
    assert address == Server(url)
    assert address.cache_settings(0.5)["LOCATION"] == url
    assert parse_jobs_url(url, "REDIS_URL").queue_settings(0.5) == {"URL": url}


def test_a_sentinel_service_has_sentinels_a_name_a_database_and_both_passwords() -> None:
    address = parse_redis_url(
        "redis+sentinel://app:p%40ss%2Fw@s1:26380,10.0.0.2,[fd00::3]:26379/My-Service/3?sentinel_password=w%26tch", "X"
    )
    sentinels = (("s1", 26380), ("10.0.0.2", 26379), ("fd00::3", 26379))
    assert address == SentinelService(sentinels, "My-Service", 3, "app", "p@ss/w", "w&tch")


def test_database_and_passwords_of_a_sentinel_service_may_be_left_out() -> None:
    assert parse_redis_url("redis+sentinel://s1:26379/main", "X") == SentinelService((("s1", 26379),), "main")


def test_django_redis_and_rq_are_told_of_a_sentinel_service() -> None:
    address = SentinelService((("s1", 1), ("s2", 2)), "Main", 3, None, "pw", "watch")
    cache = address.cache_settings(0.5)
    assert cache["LOCATION"] == "redis://Main/3"
    assert options(cache, "SENTINELS", "PASSWORD", "SENTINEL_KWARGS", "SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT") == [
        [("s1", 1), ("s2", 2)], "pw", {"password": "watch"}, 0.5, 0.5,
    ]  # fmt: skip
    queue = address.queue_settings(0.5)
    assert (queue["SENTINELS"], queue["MASTER_NAME"], queue["DB"]) == ([("s1", 1), ("s2", 2)], "Main", 3)
    assert queue["CONNECTION_KWARGS"] == {"password": "pw"}
    assert queue["SENTINEL_KWARGS"]["password"] == "watch"
    assert queue["SENTINEL_KWARGS"]["retry"].get_retries() == NO_RETRIES.get_retries() == 0


def test_django_redis_is_told_of_a_cluster() -> None:
    address = parse_redis_url("redis+cluster://app:pw@n1:7000,n2,[fd00::3]:7002", "X")
    assert address == Cluster((("n1", 7000), ("n2", 6379), ("fd00::3", 7002)), "app", "pw")
    cache = address.cache_settings(0.5)
    assert cache["LOCATION"] == "redis://n1:7000"
    assert options(cache, "CLUSTER_NODES", "USERNAME", "PASSWORD") == [[("n2", 6379), ("fd00::3", 7002)], "app", "pw"]


def test_the_first_node_of_a_cluster_may_have_an_ipv6_address() -> None:
    address = parse_redis_url("redis+cluster://[fd00::3]:7002", "X")
    assert address.cache_settings(0.5)["LOCATION"] == "redis://[fd00::3]:7002"


def test_job_queues_are_refused_a_cluster_with_the_remedy() -> None:
    with pytest.raises(UnusableUrl) as refusal:
        parse_jobs_url("redis+cluster://app:pw@n1:7000", "REDIS_URL")
    assert "REDIS_URL is 'redis+cluster://app:***@n1:7000'" in str(refusal.value)
    assert "set JOBS_REDIS_URL to redis://" in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("http://user:pw@host", "it has to look like redis://host:6379/0"),
        ("redis+sentinel://:pw@s1:26379", "the service's name and a database"),
        ("redis+sentinel://s1:26379/main/two", "the service's name and a database"),
        ("redis+sentinel://s1:26379/main?db=2", "only sentinel_password"),
        ("redis+sentinel://s1:99999/main", "'s1:99999' is no host:port"),
        ("redis+sentinel://s1,,s2/main", "'' is no host:port"),
        ("redis+cluster://n1:7000/2", "only database 0"),
        ("redis+cluster://n1:", "'n1:' is no host:port"),
        ("redis+cluster://", "'' is no host:port"),
    ],
)
def test_a_wrong_address_is_named_with_its_remedy_and_without_its_password(url: str, remedy: str) -> None:
    with pytest.raises(UnusableUrl) as refusal:
        parse_redis_url(url, "REDIS_URL")
    assert str(refusal.value).startswith("REDIS_URL is '")
    assert remedy in str(refusal.value)
    assert "pw" not in str(refusal.value)


def test_the_password_of_the_sentinels_is_not_shown_either() -> None:
    with pytest.raises(UnusableUrl) as refusal:
        parse_redis_url("redis+sentinel://:pw@s1:0/main?sentinel_password=watchword", "REDIS_URL")
    assert "redis+sentinel://:***@s1:0/main?sentinel_password=***" in str(refusal.value)


def options(cache: dict[str, Any], *names: str) -> list[Any]:
    return [cache["OPTIONS"][name] for name in names]
