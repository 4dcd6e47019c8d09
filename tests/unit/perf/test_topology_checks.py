"""What `manage.py check` says of Redis as a Cluster and as a Sentinel service."""

from __future__ import annotations

from typing import Any

from perf.checks import check_redis_topology
from securenet.redis_urls import parse_redis_url

CLUSTER = parse_redis_url("redis+cluster://n1:7000", "REDIS_URL").cache_settings(0.5)
SENTINEL = parse_redis_url("redis+sentinel://s1:26379/main/0", "REDIS_URL").cache_settings(0.5)


def found(**checked: Any) -> list[str]:
    return [message.id or "" for message in check_redis_topology(**checked)]


def test_the_settings_that_our_addresses_make_are_in_order(settings: Any) -> None:
    for cache in (CLUSTER, SENTINEL):
        settings.CACHES = {"default": cache}
        assert found() == []


def test_a_queue_on_a_cluster_is_an_error(settings: Any) -> None:
    settings.CACHES = {"default": CLUSTER}
    settings.RQ_QUEUES = {"high": {"URL": "redis://h"}, "low": {"USE_REDIS_CACHE": "default"}}
    (message,) = check_redis_topology()
    assert message.id == "perf.E005"
    assert "RQ_QUEUES['low']" in message.msg


def test_a_queue_may_share_the_cache_of_a_sentinel_service(settings: Any) -> None:
    settings.CACHES = {"default": SENTINEL}
    settings.RQ_QUEUES = {"low": {"USE_REDIS_CACHE": "default"}}
    assert found() == []


def test_django_redis_own_factory_for_sentinels_is_warned_of_wherever_it_is_set(settings: Any) -> None:
    own = "django_redis.pool.SentinelConnectionFactory"
    settings.CACHES = {"default": {**SENTINEL, "OPTIONS": {**SENTINEL["OPTIONS"], "CONNECTION_FACTORY": own}}}
    assert found() == ["perf.W003"]
    settings.CACHES = {"default": {**SENTINEL, "OPTIONS": {}}}
    settings.DJANGO_REDIS_CONNECTION_FACTORY = own
    assert found() == ["perf.W003"]
