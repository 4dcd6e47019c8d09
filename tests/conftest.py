"""What all tests share: a Redis server of their own, and a database file of their own. Both are real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import django_rq
import pytest
from django.conf import settings
from django.core.management.color import no_style
from django.db import connections
from django.test import TransactionTestCase
from django.test.signals import clear_cache_handlers
from django_redis import get_redis_connection

from securenet.redis_urls import parse_jobs_url, parse_redis_url
from securenet.run.redis_server import RedisServer
from tests.servers.cluster import LIMITS_KEY, RedisCluster, redis_cluster
from tests.servers.redis import redis_server


def pytest_configure() -> None:
    """What takes time and protects nothing here: rounds of hashing, and reading all static files for each client."""
    settings.WHITENOISE_AUTOREFRESH = True
    names = ("MD5", "PBKDF2", "PBKDF2SHA1")
    if os.environ.get("SECURENET_TEST_REDIS") == "cluster":
        settings.PERF_CACHE_SHARDS = 16  # as the settings have it for such a REDIS_URL
    settings.PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}PasswordHasher" for name in names]
    TransactionTestCase._fixture_teardown = _delete_rows  # type: ignore[method-assign]


# Made by the migrations, the same for every test. Django's own tear-down deletes them as well and makes them anew each
# time, which takes as long as most tests.
KEPT_TABLES = {"auth_permission", "django_content_type"}


def _delete_rows(case: TransactionTestCase) -> None:
    """Leave the database as the migrations left it, but for the rows they wrote outside of `KEPT_TABLES`."""
    for alias in case._databases_names(include_mirrors=False):
        connection = connections[alias]
        quoted = {name: connection.ops.quote_name(name) for name in _tables(alias)}
        union = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {quoted[name]})" for name in quoted)
        with connection.cursor() as cursor:
            cursor.execute(union)
            used = [name for (name,) in cursor.fetchall()]
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), used, allow_cascade=True))


@cache
def _tables(alias: str) -> list[str]:
    names = connections[alias].introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(names) - KEPT_TABLES)


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer | RedisCluster]:
    """A Redis for this test process; Django's cache and RQ are pointed at it.

    ``SECURENET_TEST_REDIS=cluster`` makes it a cluster of three nodes, and RQ gets a server beside it.
    """
    match os.environ.get("SECURENET_TEST_REDIS") or "server":
        case "server":
            with redis_server() as server:
                use_redis(server.url, jobs_url=server.url)
                yield server
        case "cluster":
            with (
                redis_cluster() as cluster,
                redis_server(persistent=False) as jobs,
                pytest.MonkeyPatch.context() as patch,
            ):
                # Processes that a test starts with REDIS_URL=redis.url need one for jobs as well.
                patch.setenv("JOBS_REDIS_URL", jobs.url)
                use_redis(cluster.url, jobs_url=jobs.url)
                yield cluster
        case other:
            raise pytest.UsageError(f"SECURENET_TEST_REDIS is {other!r}; set it to 'server' or 'cluster'.")


@pytest.fixture(autouse=True)
def whole_cluster(request: pytest.FixtureRequest) -> None:
    """What a test asks of Redis as a whole, it asks of every node of a cluster; RQ begins with an empty server."""
    if "redis" not in request.fixturenames or not isinstance(request.getfixturevalue("redis"), RedisCluster):
        return
    client = get_redis_connection("default")
    client.command_flags.update({"KEYS": client.PRIMARIES, "CONFIG SET": client.PRIMARIES, "ECHO": client.DEFAULT_NODE})
    # MONITOR, and ECHO with it, look at the node with the limits.
    client.replace_default_node(client.get_node_from_key(LIMITS_KEY))
    django_rq.get_connection().flushall()


def use_redis(url: str, jobs_url: str) -> None:
    """Point Django's cache and RQ at servers, given as in REDIS_URL and JOBS_REDIS_URL."""
    # A busy test machine is not a Redis that hangs.
    settings.CACHES["default"] = parse_redis_url(url, "REDIS_URL").cache_settings(time_out=2.0)
    for queue in settings.RQ_QUEUES.values():
        queue.update(parse_jobs_url(jobs_url, "JOBS_REDIS_URL").queue_settings(time_out=2.0))
    clear_cache_handlers(setting="CACHES")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file: threads and commits behave as in production, unlike in memory."""
    database = settings.DATABASES["default"]
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    if database["ENGINE"].endswith("sqlite3"):
        folder: Path = tmp_path_factory.mktemp("database")
        database["TEST"] = {**database.get("TEST", {}), "NAME": str(folder / f"{worker}.sqlite3")}
    elif worker != "main":
        database["TEST"] = {**database.get("TEST", {}), "NAME": f"test_{database['NAME']}_{worker}"}
