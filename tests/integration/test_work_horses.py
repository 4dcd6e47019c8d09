"""The process of a job ends when the job has, whatever it is doing; what happened to it is known at once.

With a real worker, on a lease so long that nothing here can have waited for its end.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perf.jobs import Job, states, submit
from perf.models import JobCapacity, JobPolicy
from securenet.run.redis_server import RedisServer
from tests.chaos.load import Servers, database_url
from tests.integration import obstinate_jobs
from tests.integration.helpers import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def job_types() -> None:
    obstinate_jobs.register()


@pytest.fixture
def worker(redis: RedisServer, tmp_path: Path) -> Iterator[None]:
    child = Servers(redis.url, database_url(), tmp_path).child("worker", "tests.integration.obstinate_jobs")
    child.start()
    yield
    child.stop(grace=20)


def ended(job: Job) -> Job:
    """The job as it is once it has ended."""
    return eventually(lambda: Job.objects.exclude(status__in=Job.ACTIVE).filter(pk=job.pk).first())


def process_of(job: Job) -> int:
    """The process that runs the job, once it has told."""
    return int(eventually(lambda: job.events.filter(kind="message").first()).text)


def is_running(pid: int) -> bool:
    """False for one that has ended, also if nobody has asked for its exit code yet."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("job_type", ["test_lock_holder", "test_swallower"])
def test_a_cancelled_job_is_over_at_once_and_its_process_soon(worker: None, job_type: str) -> None:
    job = submit(job_type)
    pid = process_of(job)
    assert states.cancel(job)
    assert Job.objects.get(pk=job.pk).status == "cancelled"
    began = time.monotonic()
    eventually(lambda: not is_running(pid))
    print(f"\n{job_type}: its process was gone {time.monotonic() - began:.2f} s after the cancel")
    assert Job.objects.get(pk=job.pk).status == "cancelled"
    assert JobCapacity.objects.get(type="").active == 0


@pytest.mark.parametrize("job_type", ["test_lock_holder", "test_swallower"])
def test_a_time_out_ends_what_cannot_be_told_to_end(worker: None, job_type: str) -> None:
    JobPolicy.objects.create(name=job_type, timeout=1)
    job = submit(job_type)
    pid = process_of(job)
    assert "Timed out after 1 s" in ended(job).error
    eventually(lambda: not is_running(pid))
    assert JobCapacity.objects.get(type="").active == 0


def test_a_job_gets_no_more_memory_than_it_may_have(worker: None) -> None:
    assert "PERF_JOB_MEMORY_BYTES" in ended(submit("test_glutton")).error


def test_a_job_whose_process_was_killed_is_run_again_before_its_lease_is_over(worker: None) -> None:
    JobPolicy.objects.create(name="test_victim", retry_backoff=0)
    job = submit("test_victim")
    os.kill(process_of(job), signal.SIGKILL)
    done = ended(job)
    assert (done.status, done.result) == ("completed", {"attempt": 2})
    assert "SIGKILL" in job.events.get(kind="retry").text
