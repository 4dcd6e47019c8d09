"""Jobs survive: workers and their children killed at random, Redis restarted and wiped, more clients than places."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections
from django.test import override_settings
from django_redis import get_redis_connection

from perf.jobs import Job, submit
from perf.models import JobCapacity, JobEvent, JobPolicy
from securenet.run.child import Child
from securenet.run.redis_server import RedisServer
from tests.chaos import job_worker
from tests.chaos.job_worker import EFFECTS, QUEUES
from tests.chaos.load import Servers, database_url
from tests.chaos.tables import print_table
from tests.integration.helpers import client_for, eventually, given_user

pytestmark = pytest.mark.chaos

JOBS, WORKERS, KILLS = 1000, 4, 100
PATIENCE = 400.0  # seconds; a bound against hanging


@pytest.fixture(scope="module", autouse=True)
def job_types() -> None:
    job_worker.register()


@pytest.fixture
def servers(redis: RedisServer, empty_database: None, tmp_path: Path) -> Iterator[Servers]:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {EFFECTS} (job varchar(36), attempt integer)")
    yield Servers(redis.url, database_url(), tmp_path)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {EFFECTS}")


def effects() -> list[tuple[str, int]]:
    """What jobs have done: the job and the attempt, a row for each time."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT job, attempt FROM {EFFECTS}")
        return [(str(job), attempt) for job, attempt in cursor.fetchall()]


def places_taken() -> dict[str, int]:
    return {name: active for name, active in JobCapacity.objects.values_list("type", "active") if active}


@contextmanager
def workers(servers: Servers, count: int) -> Iterator[list[Child]]:
    """Workers, which are killed at the end if they have not been before."""
    children = [servers.child(f"worker-{number}", "tests.chaos.job_worker", "work") for number in range(count)]
    for child in children:
        child.start()
    try:
        yield children
    finally:
        for child in children:
            child.kill()


def children_of(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def work_horse_of(worker: Child) -> int | None:
    """The process that runs a job now: unlike the recovery process it leads a process group."""
    for pid in children_of(worker.pid):
        try:
            if os.getpgid(pid) == pid:
                return pid
        except ProcessLookupError:
            continue
    return None


@dataclass
class Assassin:
    """Kills workers, their work-horses, or both, and starts dead workers again."""

    workers: list[Child]
    chance: random.Random
    killed: Counter[str] = field(default_factory=Counter)

    def strike(self) -> None:
        """One kill, of something that runs."""
        worker = self.chance.choice(self.workers)
        if not worker.is_running:
            return
        what = self.chance.choice(("worker", "work-horse", "both"))
        horse = work_horse_of(worker)
        if what != "worker":
            if horse is None:
                return
            with_ignored_loss(lambda: os.kill(horse, signal.SIGKILL))
        if what != "work-horse":
            os.kill(worker.pid, signal.SIGKILL)
        self.killed[what] += 1

    def revive(self) -> None:
        """Start the workers that ended, however they did."""
        for worker in self.workers:
            if worker.poll() is not None:
                worker.start()


def with_ignored_loss(kill: Callable[[], None]) -> None:
    """Run ``kill``; the process may have ended just before."""
    try:
        kill()
    except ProcessLookupError:
        return


def submit_all(chance: random.Random) -> list[str]:
    """The jobs of the test, on both queues; a tenth of them fail at first."""
    names = list(QUEUES)
    return [
        str(submit(chance.choice(names), {"number": number, "fails_first": number % 10 == 0}).pk)
        for number in range(JOBS)
    ]


@pytest.mark.parametrize("round_", [0, 1])
def test_none_of_a_thousand_jobs_is_lost_and_none_has_its_effect_twice(
    servers: Servers, redis: RedisServer, seed: int, round_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_JOB_LEASE_SECONDS", "2")
    JobPolicy.objects.create(name="all", capacity=2 * JOBS)
    for name in QUEUES:
        JobPolicy.objects.create(name=name, capacity=2 * JOBS, max_attempts=100, retry_backoff=0)
    chance = random.Random(f"{seed}/{round_}")
    began = time.monotonic()
    with workers(servers, WORKERS) as running, ThreadPoolExecutor(1) as thread:
        submission = thread.submit(closing_connections, lambda: submit_all(chance))
        assassin, faults = Assassin(running, chance), {KILLS // 3: "restart", 2 * KILLS // 3: "wipe"}
        while is_anything_left() or not submission.done() or assassin.killed.total() < KILLS:
            assert time.monotonic() - began < PATIENCE, summary(assassin)
            match faults.pop(assassin.killed.total(), ""):
                case "restart":
                    redis.kill()
                    redis.start()
                case "wipe":
                    get_redis_connection("default").flushall()
            if is_anything_left() and assassin.killed.total() < 2 * KILLS:
                assassin.strike()
            elif submission.done() and not is_anything_left():
                # Everything is done before enough was killed: there is more to do.
                submission = thread.submit(closing_connections, lambda: submit_some(100, chance))
            assassin.revive()
            time.sleep(chance.uniform(0.05, 0.4))
    done = effects()
    attempts = JobEvent.objects.filter(kind="started").count()
    print_table(
        f"{Job.objects.count()} jobs on 2 queues and {WORKERS} workers ({connection.vendor})",
        ["killed", "attempts", "effects", "effects twice", "lost", "seconds"],
        [
            [
                ", ".join(f"{number} {what}" for what, number in sorted(assassin.killed.items())),
                attempts,
                len(done),
                len(done) - len({job for job, _ in done}),
                Job.objects.exclude(status="completed").count(),
                f"{time.monotonic() - began:.0f}",
            ]
        ],
    )
    assert not faults
    assert assassin.killed.total() >= KILLS
    assert set(Job.objects.values_list("status", flat=True)) == {"completed"}
    assert sorted(done) == sorted((str(pk), attempt) for pk, attempt in Job.objects.values_list("pk", "attempt"))
    assert places_taken() == {}


def is_anything_left() -> bool:
    return Job.objects.filter(status__in=Job.ACTIVE).exists()


def submit_some(count: int, chance: random.Random) -> list[str]:
    return [str(submit(chance.choice(list(QUEUES)), {"number": number}).pk) for number in range(count)]


def closing_connections(work: Callable[[], Any]) -> Any:
    try:
        return work()
    finally:
        connections.close_all()


def summary(assassin: Assassin) -> str:
    return f"{Counter(Job.objects.values_list('status', flat=True))}, {assassin.killed}"


def started(job: Job, attempt: int) -> float:
    """The time an attempt began, seconds since the epoch; waits for it."""
    event = eventually(lambda: job.events.filter(kind="started", attempt=attempt).first(), within=PATIENCE)
    return float(event.at.timestamp())


def test_the_job_of_a_killed_worker_runs_again_soon(servers: Servers, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = submit("test_effect", {"number": 1, "gate": str(gate)})
    with workers(servers, 2) as running:
        horse = int(eventually(lambda: gate.exists() and gate.read_text()))
        (owner,) = (worker for worker in running if horse in children_of(worker.pid))
        killed_at = time.time()
        owner.kill()
        again = started(job, attempt=2) - killed_at
        eventually(lambda: not Path(f"/proc/{horse}").exists())
        eventually(lambda: not is_anything_left())
    print(f"\n  A killed worker's job ran again after {again:.1f} s (promised: 15 s).")
    assert effects() == [(str(job.pk), 2)]


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOS_JOB_LEASE_SECONDS", "1")
    JobPolicy.objects.create(name="test_effect", retry_backoff=0)
    gate = tmp_path / "gate"
    job = submit("test_effect", {"number": 1, "gate": str(gate)})
    with workers(servers, 2) as running:
        horse = int(eventually(lambda: gate.exists() and gate.read_text()))
        (owner,) = (worker for worker in running if horse in children_of(worker.pid))
        frozen = [owner.pid, *children_of(owner.pid)]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        eventually(lambda: not is_anything_left(), within=PATIENCE)
        gate.unlink()  # the late attempt would go on to its effect
        for pid in frozen:
            with_ignored_loss(lambda pid=pid: os.kill(pid, signal.SIGCONT))  # type: ignore[misc]
        eventually(lambda: not Path(f"/proc/{horse}").exists())
    job.refresh_from_db()
    assert (job.status, job.attempt, job.result) == ("completed", 2, {"attempt": 2})
    assert effects() == [(str(job.pk), 2)]
    assert places_taken() == {}


def test_sixty_four_clients_never_get_a_hundred_and_first_place(servers: Servers, tmp_path: Path) -> None:
    until = time.monotonic() + 25
    files = [tmp_path / f"clients-{number}" for number in range(8)]
    clients = [
        servers.child(file.name, "tests.chaos.job_worker", "submit", "8", str(until), str(file)) for file in files
    ]
    most = 0
    try:
        with workers(servers, 2):
            for child in clients:
                child.start()
            while not all(file.exists() and file.read_text() for file in files):
                assert time.monotonic() < until + PATIENCE
                most = max(most, Job.objects.filter(status__in=Job.ACTIVE).count())
                time.sleep(0.01)
            eventually(lambda: not is_anything_left(), within=PATIENCE)
    finally:
        for child in clients:
            child.kill()
    accepted, full = map(sum, zip(*(map(int, file.read_text().split()) for file in files), strict=True))
    print_table(
        "64 clients in 8 processes, capacity 100, 2 workers",
        ["submissions", "accepted", "refused", "most active at once"],
        [[accepted + full, accepted, full, most]],
    )
    assert most == 100
    assert full > 0
    assert Job.objects.count() == accepted == len(effects())
    assert places_taken() == {}


@override_settings(ROOT_URLCONF="securenet.urls")
def test_fifty_identical_submissions_with_one_key_are_one_job(servers: Servers) -> None:
    user = given_user()
    begin = threading.Barrier(50)

    def post(_: int) -> Any:
        def request() -> Any:
            begin.wait(60)
            return client_for(user).post(
                "/api/performance/background-job",
                {"type": "test_effect", "params": {"number": 1}},
                format="json",
                headers={"Idempotency-Key": "fifty"},
            )

        return closing_connections(request)

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(post, range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    print(f"\n  50 identical submissions at once: {dict(statuses)}")
    assert set(statuses) <= {202, 409}
    assert statuses[202] >= 1
    assert len({answer["Location"] for answer in answers if answer.status_code == 202}) == 1
    assert Job.objects.count() == 1
