"""Everything that fails in a storm: Redis, web processes, job workers, the database. The clock is left alone."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.chaos.faults import Host, emptied, flushed, frozen, full, killed, read_only, without_scripts
from tests.chaos.storm.record import Incident
from tests.chaos.storm.world import World
from tests.servers.securenet import until

Happens = Callable[[World, random.Random], AbstractContextManager[None]]
HORSE_SECONDS = 30.0  # jobs come every second; one will run


@dataclass(frozen=True, slots=True)
class StormFault:
    """``happens`` takes something away at the beginning of its block and gives it back at the end, ``seconds`` later.

    The rest is as in `tests.chaos.storm.record.Incident`.
    """

    name: str
    happens: Happens
    seconds: float = 3.0
    is_outage: bool = False
    cuts_redis: bool = False
    forgets: bool = False
    hits_web: bool = False
    hits_database: bool = False
    is_silent: bool = False
    hides_policies: bool = False

    def incident(self, began: int, back: int, over: int) -> Incident:
        """The record of it."""
        return Incident(
            self.name, began, back, over, self.is_outage, self.cuts_redis, self.forgets, self.hits_web,
            self.hits_database, self.is_silent, self.hides_policies,
        )  # fmt: skip


def _redis(happens: Callable[[Host], AbstractContextManager[None]]) -> Happens:
    return lambda world, _: happens(world.host)


@contextmanager
def _clients_killed(host: Host) -> Iterator[None]:
    """Every connection is cut, once."""
    with host.admin() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    yield


@contextmanager
def _without_replicas(host: Host) -> Iterator[None]:
    """It asks for a replica before it takes a write, and there is none."""
    host.command("CONFIG", "SET", "min-replicas-to-write", 1)
    yield
    host.command("CONFIG", "SET", "min-replicas-to-write", 0)


@contextmanager
def _slow(host: Host) -> Iterator[None]:
    """It answers after a tenth of a second, which is less than anybody's time-out."""
    over = threading.Event()

    def slow_down() -> None:
        while not over.is_set():
            os.kill(host.server.pid, signal.SIGSTOP)
            over.wait(0.1)
            os.kill(host.server.pid, signal.SIGCONT)
            over.wait(0.01)

    thread = threading.Thread(target=slow_down)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _web_process_killed(world: World, chance: random.Random) -> Iterator[None]:
    """One of the web processes dies."""
    os.kill(chance.choice(world.web_processes), signal.SIGKILL)
    yield
    world.await_web()


@contextmanager
def _web_server_killed(world: World, _: random.Random) -> Iterator[None]:
    """All web processes die at once."""
    old = world.web_server
    os.kill(old, signal.SIGKILL)
    until(lambda: old not in world.run.processes(), 10, world.run.explain)
    yield
    world.await_web()


@contextmanager
def _web_server_ended(world: World, _: random.Random) -> Iterator[None]:
    """The web server is asked to end; it is started again."""
    old = world.web_server
    os.kill(old, signal.SIGTERM)
    until(lambda: old not in world.run.processes(), 30, world.run.explain)
    yield
    world.await_web()


@contextmanager
def _all_replaced(world: World, _: random.Random) -> Iterator[None]:
    """Web server and job workers are replaced by new ones, without a gap."""
    old = world.run.processes("securenet.run.web")
    world.restart()
    yield
    until(lambda: not old & world.run.processes("securenet.run.web"), 90, world.run.explain)
    world.await_web()


@contextmanager
def _worker_killed(world: World, chance: random.Random) -> Iterator[None]:
    """One of the job workers dies, and what it has started with it."""
    old = chance.choice(world.workers)
    os.kill(old, signal.SIGKILL)
    yield
    until(lambda: old not in world.workers and len(world.workers) > 1, 60, world.run.explain)


@contextmanager
def _worker_frozen(world: World, chance: random.Random) -> Iterator[None]:
    """A job worker stands still for longer than its lease, with the job it runs, and then goes on."""
    worker = chance.choice(world.workers)
    frozen_ones = [worker, *world.below(worker)]
    for pid in frozen_ones:
        _signal(pid, signal.SIGSTOP)
    yield
    for pid in frozen_ones:
        _signal(pid, signal.SIGCONT)


@contextmanager
def _horse_killed(world: World, _: random.Random) -> Iterator[None]:
    """The process that runs a job dies, three times."""
    for _attempt in range(3):
        found: list[int] = []
        until(lambda found=found: found.extend(_horses(world)) or found, HORSE_SECONDS, world.run.explain)  # type: ignore[misc]
        _signal(found[0], signal.SIGKILL)
    yield


def _horses(world: World) -> list[int]:
    """The processes that run jobs now: unlike recovery they lead a process group."""
    found = []
    for worker in world.workers:
        for pid in world.below(worker):
            try:
                if os.getpgid(pid) == pid:
                    found.append(pid)
            except ProcessLookupError:
                continue
    return found


def _signal(pid: int, signum: signal.Signals) -> None:
    """Send a signal to a process that may have ended just before."""
    try:
        os.kill(pid, signum)
    except ProcessLookupError:
        return


@contextmanager
def _database_locked(world: World, _: random.Random) -> Iterator[None]:
    """Somebody else holds the right to write."""
    if not world.is_sqlite:
        with psycopg.connect(world.database_url) as session:
            session.execute("LOCK TABLE perf_policyhead, perf_job, perf_jobcapacity IN ACCESS EXCLUSIVE MODE")
            yield
        return
    connection = sqlite3.connect(world.database_url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


@contextmanager
def _database_crashed(world: World, _: random.Random) -> Iterator[None]:
    """A process of PostgreSQL is killed: it ends all connections and recovers as after a crash."""
    folder = Path(dict(part.split("=") for part in urlsplit(world.database_url).query.split("&"))["host"])
    postmaster = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        os.kill(row[0], signal.SIGKILL)
    assert Path(f"/proc/{postmaster}").exists()
    yield
    until(lambda: _database_answers(world), 60, world.run.explain)


def _database_answers(world: World) -> bool:
    try:
        with psycopg.connect(world.database_url) as connection:
            return connection.execute("SELECT 1").fetchone() is not None
    except psycopg.OperationalError:
        return False


REDIS_FAULTS = (
    StormFault("Redis: SIGSTOP", _redis(frozen), 5.0, is_outage=True, cuts_redis=True, is_silent=True),
    StormFault("Redis: SIGKILL, restarted on its data", _redis(killed), is_outage=True, cuts_redis=True),
    StormFault("Redis: restarted empty", _redis(emptied), is_outage=True, cuts_redis=True, forgets=True),
    StormFault("Redis: FLUSHALL", _redis(flushed), 0.0, forgets=True),
    StormFault("Redis: CLIENT KILL", _redis(_clients_killed), 0.0, cuts_redis=True),
    StormFault("Redis: read-only", _redis(read_only), is_outage=True, cuts_redis=True),
    StormFault("Redis: min-replicas-to-write", _redis(_without_replicas), is_outage=True, cuts_redis=True),
    StormFault("Redis: full (maxmemory)", _redis(full), is_outage=True, cuts_redis=True),
    StormFault("Redis: slow (100 ms)", _redis(_slow)),
    StormFault("Redis: SCRIPT FLUSH", _redis(without_scripts), 0.0),
)
PROCESS_FAULTS = (
    StormFault("web process: SIGKILL", _web_process_killed, 1.0, hits_web=True),
    StormFault("web server: SIGKILL", _web_server_killed, 1.0, hits_web=True),
    StormFault("web server: SIGTERM", _web_server_ended, 1.0, hits_web=True),
    StormFault("all replaced (make restart)", _all_replaced, 1.0),
    StormFault("job worker: SIGKILL", _worker_killed, 1.0),
    StormFault("job worker: SIGSTOP, SIGCONT", _worker_frozen, 9.0),
    StormFault("work-horse: SIGKILL", _horse_killed, 1.0),
)
LOCKED = StormFault("database: locked", _database_locked, 4.0, hits_database=True)
CRASHED = StormFault("database: crashed (PostgreSQL)", _database_crashed, 1.0, hits_database=True, hides_policies=True)


def faults_of(world: World) -> list[StormFault]:
    """All that can happen to this site."""
    return [*REDIS_FAULTS, *PROCESS_FAULTS, LOCKED, *([] if world.is_sqlite else [CRASHED])]


def suffer(fault: StormFault, world: World, chance: random.Random, pause: float) -> Incident:
    """Let ``fault`` happen, and give the site ``pause`` seconds to recover."""
    began = time.monotonic_ns()
    with fault.happens(world, chance):
        time.sleep(fault.seconds)
    back = time.monotonic_ns()
    time.sleep(pause)
    return fault.incident(began, back, time.monotonic_ns())
