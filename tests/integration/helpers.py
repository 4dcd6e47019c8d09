"""Words for the settings of tests: policies, users, clients, and what Redis was asked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django_redis import get_redis_connection
from redis.cluster import RedisCluster
from rest_framework.test import APIClient

from perf.gate.keeper import keeper
from perf.models import CachePolicy, RateLimitPolicy


def given_limit(name: str = "limit", **fields: Any) -> RateLimitPolicy:
    """A saved rate-limit policy: 5 a minute on every route unless said otherwise.

    The windows of a `fixed_window` last a day, so that none ends in the middle of a test.
    """
    period = 24 * 3600 if fields.get("algorithm") == "fixed_window" else 60
    return RateLimitPolicy.objects.create(**{"name": name, "route": "*", "limit": 5, "period": period, **fields})


def given_cache_policy(name: str = "cache", **fields: Any) -> CachePolicy:
    """A saved cache policy: 60 s for everyone on /api/* unless said otherwise."""
    return CachePolicy.objects.create(**{"name": name, "route": "/api/*", "ttl": 60, "shared_by": "everyone", **fields})


def given_user(name: str = "alice", *roles: str, **fields: Any) -> Any:
    """A saved user with these roles."""
    user = get_user_model().objects.create_user(username=name, password="correct horse battery", **fields)
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    return get_user_model().objects.get(pk=user.pk)


def staff_with(*permissions: str) -> Client:
    """A browser in which somebody of the staff is signed in who has these permissions, such as view_cachepolicy."""
    user = given_user(f"staff-{get_user_model().objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def client_for(user: Any = None, **headers: str) -> APIClient:
    """An API client, signed in as ``user`` if given."""
    client = APIClient(raise_request_exception=False, headers=headers or None)
    if user is not None:
        client.force_authenticate(user)
    return client


def statuses(client: APIClient, path: str, times: int) -> list[int]:
    """The status codes of ``times`` GETs in a row."""
    return [client.get(path).status_code for _ in range(times)]


def eventually(happens: Callable[[], Any], within: float = 60) -> Any:
    """What ``happens`` returns once that is true. ``within`` seconds bound a hang; nothing may depend on them."""
    deadline = time.monotonic() + within
    while not (value := happens()):
        assert time.monotonic() < deadline, "It did not happen."
        time.sleep(0.02)
    return value


@contextmanager
def redis_commands() -> Iterator[Counter[str]]:
    """Counts the commands Redis executes for clients inside the block, by INFO commandstats.

    What scripts call inside is counted, too, under its own name.
    """
    client = get_redis_connection("default")
    counted: Counter[str] = Counter()
    before = _calls(client)
    yield counted
    after = _calls(client)
    counted.update(after - before)


def _calls(client: Any) -> Counter[str]:
    """Calls since the start; on a cluster those of all its primaries together."""
    nodes = [{"target_nodes": node} for node in client.get_primaries()] if isinstance(client, RedisCluster) else [{}]
    calls: Counter[str] = Counter()
    for node in nodes:
        for name, stats in client.info("commandstats", **node).items():
            calls[name.removeprefix("cmdstat_")] += stats["calls"]
    return calls


@contextmanager
def undisturbed() -> Iterator[None]:
    """Deliver what the process has noted, then keep its background thread from asking Redis inside the block."""
    settle()
    look_after, keeper._look_after = keeper._look_after, lambda: None
    try:
        yield
    finally:
        keeper._look_after = look_after


def settle() -> None:
    """Deliver what the process still has to tell Redis."""
    keeper._look_after()
