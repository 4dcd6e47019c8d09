"""Jobs, side by side with bare RQ: submitting them, waiting for their start, and how many are done in a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import django_rq
import pytest
from django.conf import settings
from rq import Queue
from rq.job import Job as Message

from perf.jobs import Job, submit
from perf.models import JobPolicy
from securenet.run.redis_server import RedisServer
from tests.benchmarks import job_process
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Rounds
from tests.chaos.load import Servers, database_url
from tests.integration.helpers import eventually

pytestmark = pytest.mark.bench

WORKERS, ROUNDS = 2, 5
SUBMITTED, DRAINED, STARTED = 100, 60, 15  # a round
PERF, BARE = "perf: row first, capacity, timeline, lease", "bare RQ: a message in Redis"
TEXT = f"""
Jobs that do nothing, from one process to {WORKERS} workers, each of which forks for every job, as RQ's do. perf's jobs
are rows of the database (SQLite here), committed before RQ hears of them, and survive Redis; RQ's are messages.
*Submit to start* is from the row's, or the message's, own time of submission to the start of its run, one job at a
time.
"""


@pytest.fixture(autouse=True)
def job_types() -> None:
    job_process.register()
    for name in ("all", "bench_nothing"):
        JobPolicy.objects.create(name=name, capacity=100_000)


@pytest.fixture
def servers(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Servers:
    monkeypatch.setenv("SECRET_KEY", settings.SECRET_KEY)
    return Servers(redis.url, database_url(), tmp_path)


@contextmanager
def workers(servers: Servers, whose: str) -> Iterator[None]:
    children = [servers.child(f"{whose}-{n}", "tests.benchmarks.job_process", whose) for n in range(WORKERS)]
    for child in children:
        child.start()
    try:
        yield
    finally:
        for child in children:
            child.stop(grace=10)


def bare_queue() -> Queue:
    return Queue(job_process.BARE_QUEUE, connection=django_rq.get_connection())


def enqueue() -> Message:
    return bare_queue().enqueue(job_process.nothing, result_ttl=600)


def submit_one() -> Job:
    return submit("bench_nothing")


def seconds_per(work: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def drain(is_done: Callable[[], bool], submit: Callable[[], object]) -> float:
    """Seconds per job from the first submission to the last end."""
    began = time.perf_counter()
    for _ in range(DRAINED):
        submit()
    eventually(is_done)
    return (time.perf_counter() - began) / DRAINED


def perf_is_idle() -> bool:
    return not Job.objects.filter(status__in=Job.ACTIVE).exists()


def rq_is_idle() -> bool:
    queue = bare_queue()
    return queue.count == 0 and queue.started_job_registry.count == 0


def perf_start() -> float:
    """Seconds from submission to start of one job."""
    pk = submit_one().pk
    job: Job = eventually(lambda: Job.objects.filter(pk=pk, status="completed").first())
    assert job.started_at is not None
    return (job.started_at - job.submitted_at).total_seconds()


def rq_start() -> float:
    """The same for RQ, by its own notes."""
    message = enqueue()
    eventually(message.get_status)
    eventually(lambda: message.is_finished)
    message.refresh()
    assert message.started_at is not None
    assert message.enqueued_at is not None
    return float((message.started_at - message.enqueued_at).total_seconds())


def test_jobs_beside_bare_rq(servers: Servers) -> None:
    submitting: dict[str, list[float]] = {PERF: [], BARE: []}
    draining: dict[str, list[float]] = {PERF: [], BARE: []}
    starting: dict[str, list[float]] = {PERF: [], BARE: []}
    with workers(servers, "perf"), workers(servers, "rq"):
        perf_start()
        rq_start()
        for _ in range(ROUNDS):
            for label, one, is_idle, start in (
                (PERF, submit_one, perf_is_idle, perf_start),
                (BARE, enqueue, rq_is_idle, rq_start),
            ):
                submitting[label].append(seconds_per(one, SUBMITTED))
                eventually(is_idle)
                draining[label].append(drain(is_idle, one))
                starting[label] += [start() for _ in range(STARTED)]
    assert Job.objects.filter(status="completed").count() == 1 + ROUNDS * (SUBMITTED + DRAINED + STARTED)
    publish(
        "jobs",
        "Jobs",
        TEXT,
        Table(
            ["", "submissions/s", "jobs/s", "submit to start, median", "95 %"],
            [
                [
                    label,
                    f"{Rounds(submitting[label]).per_second:.0f}",
                    f"{Rounds(draining[label]).per_second:.1f}",
                    f"{statistics.median(starting[label]) * 1000:.1f} ms",
                    f"{statistics.quantiles(starting[label], n=20)[-1] * 1000:.1f} ms",
                ]
                for label in (PERF, BARE)
            ]
            + [
                [
                    "perf is",
                    str(Rounds(submitting[PERF]).speed_against(Rounds(submitting[BARE]))),
                    str(Rounds(draining[PERF]).speed_against(Rounds(draining[BARE]))),
                    f"{statistics.median(starting[PERF]) / statistics.median(starting[BARE]):.2f} x as long",
                    "",
                ]
            ],
        ),
    )
