"""A warm hit, an admission and a rejection each cost one Redis command and no SQL.

Where entries have slots of their own, as on a Redis Cluster, the cache is asked by a second one, sent at the same time.
"""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from perf.conf import setting
from tests.integration.helpers import client_for, given_cache_policy, given_limit, redis_commands, undisturbed

pytestmark = pytest.mark.urls("tests.integration.site")

CACHE_COMMANDS = 1 if setting("CACHE_SHARDS") > 1 else 0


@pytest.fixture(autouse=True)
def policies() -> None:
    given_limit("wide", limit=1000)
    given_limit("narrow", scope="narrow", route="/api/uncached", methods=["GET"], limit=2)
    given_cache_policy()


def cost_of(path: str, status: int, wanted_cache_status: str) -> tuple[dict[str, int], int]:
    """Redis commands of one request, as INFO commandstats has them, and its SQL queries."""
    client = client_for()
    client.get(path)
    client.get(path)
    with undisturbed(), CaptureQueriesContext(connection) as queries, redis_commands() as commands:
        response = client.get(path)
    assert response.status_code == status
    assert wanted_cache_status in response.headers["Cache-Status"]
    outside_scripts = {name: n for name, n in commands.items() if name in ("evalsha", "eval", "script|load", "get|get")}
    return outside_scripts, len(queries)


def test_a_warm_hit() -> None:
    assert cost_of("/api/counter", 200, "hit") == ({"evalsha": 1 + CACHE_COMMANDS}, 0)


def test_a_rejection() -> None:
    assert cost_of("/api/uncached", 429, "fwd=bypass") == ({"evalsha": 1}, 0)


def test_an_admission() -> None:
    assert cost_of("/api/limited-by-policy", 200, "fwd=bypass") == ({"evalsha": 1}, 0)


def test_only_one_command_crosses_the_wire_by_redis_own_monitor() -> None:
    """MONITOR marks what scripts do inside with ``lua``; all else comes over the wire."""
    from django_redis import get_redis_connection

    client = client_for()
    client.get("/api/counter")
    with undisturbed(), get_redis_connection("default").monitor() as monitor:
        client.get("/api/counter")
        get_redis_connection("default").echo("end")
        over_the_wire = []
        for event in monitor.listen():
            if event["command"].startswith("ECHO"):
                break
            if event["client_type"] != "lua":
                over_the_wire.append(event["command"].split()[0])
    greeting_of_a_new_connection = {"HELLO", "CLIENT"}
    asked = [command for command in over_the_wire if command not in greeting_of_a_new_connection]
    assert asked in (["EVALSHA"], ["EVALSHA"] * (1 + CACHE_COMMANDS)), "the cache's may go to another node"


def test_a_miss_costs_one_more_to_store() -> None:
    client = client_for()
    client.get("/api/counter")
    with undisturbed(), redis_commands() as commands:
        response = client.get("/api/counter?new=1")
    assert "stored" in response.headers["Cache-Status"]
    assert commands["evalsha"] == 2 + CACHE_COMMANDS
