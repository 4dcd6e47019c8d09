"""`DATABASE_POOL_SIZE` on a PostgreSQL of the tests' own: threads share connections, forks share nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from securenet.run.config import PROJECT_DIR
from tests.servers.postgres import is_available, postgres_server

pytestmark = pytest.mark.skipif(not is_available(), reason="needs PostgreSQL (Debian: apt-get install postgresql)")

PREAMBLE = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
from django.db import OperationalError, connection, connections

def backend(seconds=0.0):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), pg_sleep(%s)", [seconds])
        (pid, _), = cursor.fetchall()
    connection.close()  # what Django does at the end of a request
    return pid
"""


@pytest.fixture(scope="module")
def database_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


def django(code: str, tmp_path: Path, **environment: str) -> str:
    """Run code in a process with SecureNet's settings; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code],
        cwd=PROJECT_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "securenet.settings",
            "SECURENET_DATA_DIR": str(tmp_path),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


THREADS = """
with ThreadPoolExecutor(12) as threads:
    print(len(set(threads.map(backend, [0.05] * 24))))
"""


def test_threads_share_the_connections_of_the_pool(database_url: str, tmp_path: Path) -> None:
    assert int(django(THREADS, tmp_path, DATABASE_URL=database_url, DATABASE_POOL_SIZE="3")) in (1, 2, 3)


def test_without_a_pool_each_thread_has_a_connection(database_url: str, tmp_path: Path) -> None:
    assert int(django(THREADS, tmp_path, DATABASE_URL=database_url, DATABASE_POOL_SIZE="")) > 3


def test_forked_process_uses_no_connection_of_its_parent(database_url: str, tmp_path: Path) -> None:
    code = """
before = backend()
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, str(backend()).encode())
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert backend() == before, "the parent lost its connection"
assert int(os.read(read, 20)) != before, "the child used the connection of its parent"
print("apart")
"""
    assert django(code, tmp_path, DATABASE_URL=database_url, DATABASE_POOL_SIZE="2") == "apart"


def test_request_that_gets_no_connection_fails_as_if_the_database_were_away(database_url: str, tmp_path: Path) -> None:
    code = """
from perf.problems import DatabaseUnavailable, as_problem
with connection.cursor():  # the one connection there is
    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(backend).exception()
print(type(as_problem(error)).__name__)
"""
    answer = django(code, tmp_path, DATABASE_URL=database_url, DATABASE_POOL_SIZE="1")
    assert answer.splitlines()[-1] == "DatabaseUnavailable"


def test_connection_that_the_server_closed_is_replaced(database_url: str, tmp_path: Path) -> None:
    code = """
import psycopg
first = backend()
with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
    server.execute("SELECT pg_terminate_backend(%s)", [first])
print(backend() != first)
"""
    assert django(code, tmp_path, DATABASE_URL=database_url, DATABASE_POOL_SIZE="1") == "True"


def test_options_of_the_address_hold_beside_the_pool(database_url: str, tmp_path: Path) -> None:
    code = """
with connection.cursor() as cursor:
    cursor.execute("SHOW application_name")
    print(cursor.fetchone()[0])
"""
    url = f"{database_url}&application_name=scanner"
    assert django(code, tmp_path, DATABASE_URL=url, DATABASE_POOL_SIZE="1") == "scanner"


def test_size_that_is_no_number_is_refused_with_the_remedy(tmp_path: Path) -> None:
    code = "import securenet.settings"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_DIR,
        env={**os.environ, "DATABASE_URL": "postgres://db/securenet", "DATABASE_POOL_SIZE": "many"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "DATABASE_POOL_SIZE is 'many'; set it to a number of connections, or to 0." in done.stderr
