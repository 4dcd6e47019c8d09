"""Starts the processes of a load and of edits, each a fresh interpreter, and reads what they recorded.

They end by themselves: at their plan's end, on SIGTERM, and when the process that started them dies.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connection
from django_redis import get_redis_connection

from perf.gate.revision import current
from perf.policies.revisions import POLICY_MODELS
from securenet import environment
from securenet.run.child import Child
from securenet.run.config import PROJECT_DIR
from securenet.run.messages import log_excerpt
from tests.chaos.answers import SECOND, Answer, read_answers
from tests.chaos.editor import Edit, read_edits
from tests.chaos.plans import Edits, Load

START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Servers:
    """What all processes share: Redis and database by URL, and a folder for their records and logs."""

    redis_url: str
    database_url: str
    folder: Path
    processes: int = 8
    redis_timeout: float = 2.0  # seconds; a busy test machine is not a Redis that hangs

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "securenet.settings",
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "REDIS_TIMEOUT": str(self.redis_timeout),
            "WEB_WORKERS": str(self.processes),
        }

    def child(self, name: str, *arguments: str) -> Child:
        """A process of this package, not started yet."""
        return Child(
            name,
            [sys.executable, "-m", *arguments],
            log=self.folder / f"{name}.log",
            environment=self.environment,
            directory=PROJECT_DIR,
        )


class Editor:
    """A process that carries out edits; use it in a ``with`` block."""

    def __init__(self, servers: Servers, plan: Edits, name: str = "editor") -> None:
        self._records = servers.folder / f"{name}.edits"
        self._plan = plan
        self._child = servers.child(name, "tests.chaos.editor", str(self._records), plan.to_json())

    def __enter__(self) -> Editor:
        self._child.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._child.stop(grace=20)

    def await_edits(self) -> list[Edit]:
        """Wait until all edits are made; returns them."""
        deadline = time.monotonic() + self._plan.seconds + START_SECONDS
        while len(edits := self.edits()) < self._plan.count:
            assert time.monotonic() < deadline, f"{self._child.name} made {len(edits)} edits and no more."
            time.sleep(0.02)
        return edits

    def ends_by_itself(self, within: float = 5.0) -> bool:
        """True if the process has ended ``within`` seconds; otherwise it is killed."""
        has_ended = self._child.wait(within)
        self._child.kill()
        return has_ended

    def edits(self) -> list[Edit]:
        """The edits made so far."""
        assert self._child.poll() in (None, 0), _why_it_ended(self._child)
        return read_edits(self._records) if self._records.exists() else []


@dataclass
class Run:
    """A load that runs, or has run. ``drift`` is by how many nanoseconds the system's two clocks disagreed after it."""

    children: Sequence[Child]
    records: Sequence[Path]
    epoch: int = field(default_factory=lambda: time.time_ns() - time.monotonic_ns())  # of CLOCK_MONOTONIC
    drift: int = 0
    answers: list[Answer] = field(default_factory=list)

    def await_first_answers(self) -> None:
        """Wait until every process has answered a request."""
        deadline = time.monotonic() + START_SECONDS
        while not all(file.exists() and file.stat().st_size for file in self.records):
            self._check()
            assert time.monotonic() < deadline, "The load did not begin in time."
            time.sleep(0.05)

    def await_end(self, seconds: float) -> None:
        """Wait until the plan's end, which is ``seconds`` away."""
        for child in self.children:
            assert child.wait(seconds + START_SECONDS), f"{child.name} did not end by itself."
        self._check()

    def finish(self) -> None:
        """Let the requests under way end, stop, and read the records."""
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            assert child.wait(20), f"{child.name} did not end after SIGTERM."
        self._check()
        self.drift = abs(time.time_ns() - time.monotonic_ns() - self.epoch)
        assert self.drift < SECOND // 100, "The clock was set during the run, so times cannot be compared."
        self.answers = read_answers(self.records)

    def kill(self) -> None:
        """End what is left, whatever went wrong."""
        for child in self.children:
            child.kill()

    def _check(self) -> None:
        for child in self.children:
            assert child.poll() in (None, 0), _why_it_ended(child)


def _why_it_ended(child: Child) -> str:
    assert child.log is not None
    return f"{child.name} ended: {child.how_it_ended()}.\n{log_excerpt(child.log)}"


@contextmanager
def running(load: Load, servers: Servers) -> Iterator[Run]:
    """Keep the load up for the length of the block; its answers can be read after it."""
    names = [f"worker-{number}" for number in range(servers.processes)]
    records = [servers.folder / f"{name}.answers" for name in names]
    children = [
        servers.child(name, "tests.chaos.worker", str(number), str(file), load.to_json())
        for number, (name, file) in enumerate(zip(names, records, strict=True))
    ]
    run = Run(children, records)
    try:
        for child in children:
            child.start()
        run.await_first_answers()
        yield run
        run.finish()
    finally:
        run.kill()


def database_url() -> str:
    """DATABASE_URL of the database that this process is connected to."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


@contextmanager
def no_policies() -> Iterator[None]:
    """Begin and end without policies, and with an empty Redis."""
    _clear()
    try:
        yield
    finally:
        _clear()


def _clear() -> None:
    assert str(connection.settings_dict["NAME"]) != str(environment.database()["NAME"]), (
        "This is not a test database: mark the tests with django_db, so that there is one."
    )
    for model in POLICY_MODELS:
        model.objects.all().delete()
    get_redis_connection("default").flushall()
    current.forget()
