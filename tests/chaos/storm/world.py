"""The site of a storm: a SecureNet as `make run` starts it, with a Redis of its own that can be broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from securenet.run.child import Child
from securenet.run.config import PROJECT_DIR
from tests.acceptance.shell import Shell
from tests.chaos.faults import Host
from tests.chaos.storm import plan
from tests.servers.postgres import postgres_server
from tests.servers.securenet import COMMAND, SecureNet, parent, securenet, until

RESTARTED = "SecureNet has been restarted.\n"
WITHIN = 120.0  # seconds; a bound against hanging


class World:
    """Everything that can fail. Process ids are asked for anew each time, because processes are replaced."""

    def __init__(self, folder: Path, run: SecureNet, host: Host, database_url: str) -> None:
        self.folder, self.run, self.host, self.database_url = folder, run, host, database_url
        self.shell = Shell(self.environment)
        self.restarts = 0

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that works on the site's data."""
        return {**self.run.environment, "REDIS_URL": self.host.url}

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def ask(self, function: str) -> Any:
        """What a function of `tests.chaos.storm.furnish` returns in a Django process on the site's data."""
        code = f"import json; from tests.chaos.storm import furnish; print(json.dumps(furnish.{function}()))"
        return json.loads(self.shell.run(code))

    def tokens(self) -> dict[str, str]:
        """An access token for each user."""
        names = [plan.user_name(role, number) for role in plan.ROLES for number in range(plan.USERS_PER_ROLE)]
        return {name: self._token(name) for name in names}

    def _token(self, name: str) -> str:
        answer = httpx.post(
            f"{self.run.url}/api/auth/token", json={"username": name, "password": plan.PASSWORD}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access"])

    def child(self, name: str, *arguments: str) -> Child:
        """A process of this package, not started yet."""
        return Child(
            name,
            [sys.executable, "-m", *arguments],
            log=self.folder / f"{name}.log",
            environment=self.environment,
            directory=PROJECT_DIR,
        )

    @property
    def web_server(self) -> int:
        """The process that has started the web processes."""
        return self.run.child("securenet.run.web")

    @property
    def web_processes(self) -> list[int]:
        server = self.web_server
        return sorted(pid for pid in self.run.processes("securenet.run.web") if parent(pid) == server)

    @property
    def workers(self) -> list[int]:
        """The job workers themselves, without what they have started."""
        return sorted(pid for pid in self.run.processes("rqworker") if parent(pid) == self.run.process.pid)

    def below(self, pid: int) -> list[int]:
        """The processes of a job worker: recovery, and the work-horse where there is one."""
        return sorted(child for child in self.run.processes("rqworker") if parent(child) == pid)

    def await_web(self) -> None:
        """Wait until all web processes are there and answer."""
        until(self._web_answers, WITHIN, self.run.explain)

    def _web_answers(self) -> bool:
        servers = [pid for pid in self.run.processes("securenet.run.web") if parent(pid) == self.run.process.pid]
        if len(servers) != 1 or len(self.web_processes) < plan.WEB_PROCESSES:
            return False
        try:
            return all(
                httpx.get(f"{self.run.url}/livez", timeout=5).status_code == 200 for _ in range(plan.WEB_PROCESSES)
            )
        except httpx.HTTPError:
            return False

    def restart(self) -> None:
        """What `make restart` does, until it is done."""
        self.restarts += 1
        done = subprocess.run(
            [*COMMAND, "--restart"],
            cwd=PROJECT_DIR, env=self.run.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        until(lambda: self.run.output.count(RESTARTED) >= self.restarts, WITHIN, self.run.explain)

    def await_rest(self) -> None:
        """Wait until every job has ended, for `WITHIN` seconds; whether they have is for the judge to say."""
        deadline = time.monotonic() + WITHIN
        while self.ask("jobs_at_work") and time.monotonic() < deadline:
            time.sleep(0.5)


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start everything, with users, policies and findings; stop everything."""
    host = Host(folder / "redis")
    try:
        with _database(folder) as database_url:
            environment = {
                "DJANGO_SETTINGS_MODULE": "tests.chaos.storm.settings",
                "REDIS_URL": host.url,
                "DATABASE_URL": database_url,
                "REDIS_TIMEOUT": str(plan.REDIS_TIMEOUT),
                "WEB_WORKERS": str(plan.WEB_PROCESSES),
                "JOB_WORKERS": str(plan.JOB_WORKERS),
                "ACCESS_TOKEN_MINUTES": "120",
                "STORM_ORIGINS": str(folder / "origins"),
            }
            with securenet(folder / "data", **environment) as run:
                run.await_ready()
                made = World(folder, run, host, database_url)
                try:
                    yield made
                finally:
                    made.shell.close()
                    _let_all_go_on(made)
                    run.send(signal.SIGTERM)
                    run.await_end(90)
    finally:
        host.stop()


def _let_all_go_on(made: World) -> None:
    """Wake what a fault that was cut short has left frozen."""
    for pid in made.run.processes("rqworker"):
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """SQLite in a file, or with CHAOS_DATABASE=postgres a PostgreSQL of its own."""
    match os.environ.get("CHAOS_DATABASE") or "sqlite":
        case "sqlite":
            yield f"sqlite:///{folder / 'storm.sqlite3'}"
        case "postgres":
            # What was acknowledged has to outlive a crash, unlike where tests only want speed.
            with postgres_server({"synchronous_commit": "on"}) as url:
                yield url
        case other:
            raise ValueError(f"CHAOS_DATABASE is {other!r}; set it to 'sqlite' or 'postgres'.")
