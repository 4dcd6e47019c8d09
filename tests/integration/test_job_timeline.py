"""What jobs leave behind for people: a timeline; and what people do with jobs that ended: run them again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone

from perf.jobs import Job, JobFailed, QueueFull, RunningJob, job_type, states, submit
from perf.jobs.errors import JobTypeDisabled
from perf.jobs.publish import waiting_messages
from perf.jobs.recovery import delete_old, take_back_expired
from perf.jobs.run import run_job
from perf.models import JobCapacity, JobEvent, JobPolicy
from tests.integration.helpers import given_user

works: list[Callable[[RunningJob], Any]] = []


@job_type("test_errand")
def errand(job: RunningJob, params: dict[str, Any]) -> Any:
    """Does what the test has put into `works`, one for each attempt."""
    return works.pop(0)(job) if works else None


def failing(job: RunningJob) -> None:
    raise JobFailed("no such host")


def raising(job: RunningJob) -> None:
    raise ValueError("no luck")


def story(job: Job) -> list[tuple[str, int]]:
    """The kinds of a job's events, each with the number of the attempt."""
    return [(event.kind, event.attempt) for event in job.events.all()]


def text_of(job: Job, kind: str) -> str:
    return job.events.get(kind=kind).text


class TestTimeline:
    def test_tells_who_submitted_which_worker_ran_it_and_how_it_ended(self) -> None:
        job = submit("test_errand", by=given_user("ada"))
        run_job(str(job.pk))
        assert story(job) == [("submitted", 0), ("started", 1), ("completed", 1)]
        assert text_of(job, "submitted") == "ada"
        host, _, pid = text_of(job, "started").rpartition(":")
        assert host
        assert pid.isdigit()

    def test_tells_of_every_attempt_and_why_it_failed(self) -> None:
        JobPolicy.objects.create(name="test_errand", max_attempts=2, retry_backoff=0)
        works[:] = [raising, failing]
        job = submit("test_errand")
        run_job(str(job.pk))
        run_job(str(job.pk))
        assert story(job) == [("submitted", 0), ("started", 1), ("retry", 1), ("started", 2), ("failed", 2)]
        assert "ValueError: no luck" in text_of(job, "retry")
        assert text_of(job, "failed") == "no such host"

    def test_tells_of_a_worker_that_died(self) -> None:
        job = submit("test_errand")
        states.claim(str(job.pk))
        Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        take_back_expired()
        assert "The worker died" in text_of(job, "retry")

    def test_tells_who_cancelled(self) -> None:
        job = submit("test_errand")
        states.cancel(job, by="ben")
        assert story(job) == [("submitted", 0), ("cancelled", 0)]
        assert text_of(job, "cancelled") == "ben"

    def test_tells_nothing_that_was_rolled_back(self) -> None:
        def late(running: RunningJob) -> None:
            states.cancel(Job.objects.get(pk=running.job.pk))
            states.complete(running.job, None)

        works[:] = [late]
        job = submit("test_errand")
        run_job(str(job.pk))
        assert ("completed", 1) not in story(job)

    def test_goes_with_its_job(self) -> None:
        job = submit("test_errand")
        run_job(str(job.pk))
        Job.objects.update(finished_at=timezone.now() - timedelta(days=365))
        assert delete_old() == 1
        assert not JobEvent.objects.exists()


class TestRunningAgain:
    def test_a_failed_job_gets_one_more_attempt(self) -> None:
        works[:] = [failing]
        job = submit("test_errand")
        run_job(str(job.pk))
        assert states.run_again(job, by="root")
        assert waiting_messages() >= {f"{job.pk}-2"}
        run_job(str(job.pk))
        job.refresh_from_db()
        assert (job.status, job.attempt, job.error) == ("completed", 2, "")
        assert text_of(job, "rerun") == "root"
        assert JobCapacity.objects.get(type="").active == 0

    def test_neither_a_completed_nor_a_waiting_job_is_run_again(self) -> None:
        job = submit("test_errand")
        assert not states.run_again(job)
        run_job(str(job.pk))
        assert not states.run_again(job)
        assert JobCapacity.objects.get(type="").active == 0

    @override_settings(PERF_JOB_CAPACITY=1)
    def test_a_job_that_is_run_again_needs_a_place(self) -> None:
        job = submit("test_errand")
        states.cancel(job)
        submit("test_errand")
        with pytest.raises(QueueFull):
            states.run_again(job)
        job.refresh_from_db()
        assert job.status == "cancelled"


class TestThePolicyOfAllTypes:
    def test_bounds_the_jobs_of_all_types_together_at_once(self) -> None:
        policy = JobPolicy.objects.create(name="all", capacity=1)
        JobPolicy.objects.create(name="test_errand", capacity=50)
        submit("test_errand")
        with pytest.raises(QueueFull, match="1 jobs of all types"):
            submit("test_errand")
        policy.capacity = 2
        policy.save()
        submit("test_errand")
        with pytest.raises(QueueFull):
            submit("test_errand")

    def test_stops_submissions_of_every_type(self) -> None:
        JobPolicy.objects.create(name="all", enabled=False)
        JobPolicy.objects.create(name="test_errand")
        with pytest.raises(JobTypeDisabled):
            submit("test_errand")

    def test_holds_for_types_without_a_policy_of_their_own(self) -> None:
        JobPolicy.objects.create(name="all", max_attempts=1)
        works[:] = [raising]
        job = submit("test_errand")
        run_job(str(job.pk))
        job.refresh_from_db()
        assert job.status == "failed"

    def test_leaves_types_with_a_policy_of_their_own_alone(self) -> None:
        JobPolicy.objects.create(name="all", max_attempts=1)
        JobPolicy.objects.create(name="test_errand", max_attempts=2)
        works[:] = [raising]
        job = submit("test_errand")
        run_job(str(job.pk))
        job.refresh_from_db()
        assert job.status == "submitted"

    def test_leaves_its_name_to_no_job_type(self) -> None:
        with pytest.raises(ValueError, match="choose another name"):
            job_type("all")(errand)
