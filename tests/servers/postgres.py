"""A throw-away PostgreSQL: `with postgres_server() as url:`, or `python -m tests.servers.postgres -- command …`.

It listens on a private socket only, does not wait for the disk, and is gone when the process that started it is.
PostgreSQL refuses to run as root, so root runs it as `postgres` or `nobody`.
"""

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from securenet.run.child import Child
from securenet.run.messages import log_excerpt

NAME = "securenet"
# Speed instead of safety: this data never outlives the test run.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "autovacuum_naptime": "10min",
}


class PostgresMissing(Exception):
    """There is no PostgreSQL server on this machine."""


def binary_dir() -> Path:
    """Return the folder of `initdb` and `postgres`: on PATH, else the newest Debian keeps under /usr/lib.

    Raises:
        PostgresMissing: There is none.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not installed:
        raise PostgresMissing("No PostgreSQL server here: install it, for example with apt-get install postgresql.")
    return max(installed, key=lambda path: float(path.parent.name))


def is_available() -> bool:
    """True if `postgres_server` can work here."""
    try:
        binary_dir()
    except PostgresMissing:
        return False
    return True


@contextmanager
def postgres_server(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server for the length of the block; yields its DATABASE_URL, of an empty database.

    Args:
        settings: More settings of postgresql.conf, for example ``{"max_connections": "20"}``.

    Raises:
        PostgresMissing: There is no PostgreSQL on this machine.
    """
    binaries = binary_dir()
    # Short, because the socket goes there, and in a place that the other user can reach.
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        credentials = _unprivileged()
        if credentials:
            os.chown(folder, credentials["user"], credentials["group"])
        _make_cluster(binaries, folder, credentials)
        server = Child(
            "PostgreSQL",
            [binaries / "postgres", "-D", folder / "data", "-k", folder, *_options(settings)],
            log=folder / "postgres.log",
            environment=_environment(),
            directory=folder,
            death_signal=signal.SIGQUIT,
            credentials=credentials,
        )
        server.start()
        try:
            _await_answer(binaries, folder, server)
            yield f"postgresql://{NAME}@/{NAME}?host={folder}"
        finally:
            server.stop(grace=5, signum=signal.SIGINT)


@contextmanager
def own_database(server_url: str, name: str) -> Iterator[str]:
    """An empty database beside the one of ``server_url``, for the length of the block; yields its DATABASE_URL."""
    address = urlsplit(server_url)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunsplit(address._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _unprivileged() -> dict[str, Any]:
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise PostgresMissing("PostgreSQL cannot run as root, and there is neither a user postgres nor nobody.")


def _environment() -> dict[str, str]:
    """The environment without what would point PostgreSQL's programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C.UTF-8"}


def _make_cluster(binaries: Path, folder: Path, credentials: Mapping[str, Any]) -> None:
    command = [f"{binaries}/initdb", "-D", f"{folder}/data", "-U", NAME, "-A", "trust", "-E", "UTF8", "--no-sync"]
    made = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=_environment(), check=False, **credentials
    )
    if made.returncode != 0:
        raise RuntimeError(f"initdb failed with exit code {made.returncode}:\n{made.stdout}{made.stderr}")


def _options(settings: Mapping[str, str] | None) -> list[str]:
    return [part for name, value in (SETTINGS | dict(settings or {})).items() for part in ("-c", f"{name}={value}")]


def _await_answer(binaries: Path, folder: Path, server: Child, within: float = 30.0) -> None:
    create = [f"{binaries}/createdb", "-h", str(folder), "-U", NAME, NAME]
    deadline = time.monotonic() + within
    while True:
        created = subprocess.run(create, capture_output=True, text=True, env=_environment(), check=False)
        if created.returncode == 0:
            return
        if server.wait(0.05) or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {created.stderr}\n{log_excerpt(folder / 'postgres.log')}")


def main() -> int:
    """Run a command with DATABASE_URL set, and stop the server after it; returns the command's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.servers.postgres", description="Run a command with a throw-away PostgreSQL."
    )
    parser.add_argument("command", nargs="+", help="what to run, after --")
    command = parser.parse_args().command
    signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        with postgres_server() as url:
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, check=False).returncode
    except PostgresMissing as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _exit_on_signal(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


if __name__ == "__main__":
    sys.exit(main())
