"""What all tests share: a Redis server of their own, and a database file of their own. Both are real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test.signals import clear_cache_handlers

from securenet.run.redis_server import RedisServer
from tests.servers.redis import redis_server


def pytest_configure() -> None:
    """Passwords of tests need no protection, and thousands of rounds of hashing would be most of their time."""
    names = ("MD5", "PBKDF2", "PBKDF2SHA1")
    settings.PASSWORD_HASHERS = [f"django.contrib.auth.hashers.{name}PasswordHasher" for name in names]


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis server for this test process; Django's cache and RQ are pointed at it."""
    with redis_server() as server:
        settings.CACHES["default"]["LOCATION"] = server.url
        # A busy test machine is not a Redis that hangs.
        settings.CACHES["default"]["OPTIONS"].update(SOCKET_TIMEOUT=2.0, SOCKET_CONNECT_TIMEOUT=2.0)
        for queue in settings.RQ_QUEUES.values():
            queue["URL"] = server.url
        clear_cache_handlers(setting="CACHES")
        yield server


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
