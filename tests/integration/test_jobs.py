"""The life of a job: accepted, claimed, carried out, retried, cancelled, recovered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import django_rq
import pytest
from django.contrib.auth.models import Group
from django.db import connections, transaction
from django.test import override_settings
from django.utils import timezone
from rest_framework import serializers

from perf.jobs import Job, JobFailed, LeaseLost, QueueFull, RunningJob, job_type, states, submit
from perf.jobs.admission import recount
from perf.jobs.cron import submit_due
from perf.jobs.errors import IdempotencyMismatch, JobForbidden, JobTypeDisabled, UnknownJobType
from perf.jobs.publish import waiting_messages
from perf.jobs.recovery import delete_old, publish_again, take_back_expired
from perf.jobs.run import run_job
from perf.models import JobCapacity, JobPolicy
from tests.integration.helpers import given_user

steps: dict[str, Callable[[RunningJob, dict[str, Any]], Any]] = {}


class StepParams(serializers.Serializer[Any]):
    step = serializers.CharField(required=False)
    number = serializers.IntegerField(required=False, min_value=1)


@job_type("test_step", params=StepParams)
def test_step(job: RunningJob, params: dict[str, Any]) -> Any:
    """Does what the test has put into `steps`."""
    return steps[params["step"]](job, params) if "step" in params else {"done": True}


test_step.__test__ = False  # type: ignore[attr-defined]


def given_step(name: str, work: Callable[[RunningJob, dict[str, Any]], Any]) -> Job:
    """A submitted job that will do ``work``."""
    steps[name] = work
    return submit("test_step", {"step": name})


def now_is(job: Job) -> Job:
    """The job as the database has it."""
    return Job.objects.get(pk=job.pk)


def active() -> int:
    """Places taken, all types together."""
    row = JobCapacity.objects.filter(type="").first()
    return row.active if row else 0


class TestSubmission:
    def test_the_row_is_there_and_a_worker_is_woken(self) -> None:
        job = submit("test_step", {"number": 3})
        assert now_is(job).status == "submitted"
        assert now_is(job).params == {"number": 3}
        assert waiting_messages() == {f"{job.pk}-1"}

    def test_a_rollback_leaves_neither_row_nor_message_nor_place(self) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            submit("test_step")
            raise RuntimeError
        assert not Job.objects.exists()
        assert waiting_messages() == set()
        assert active() == 0

    def test_messages_are_json(self) -> None:
        job = submit("test_step")
        data = django_rq.get_connection().hget(f"rq:job:{job.pk}-1", "data")
        import json
        import zlib

        assert json.loads(zlib.decompress(data))[0] == "perf.jobs.run.run_job"

    def test_unknown_types_and_parameters_are_refused(self) -> None:
        with pytest.raises(UnknownJobType, match="test_step"):
            submit("no_such_type")
        with pytest.raises(serializers.ValidationError) as refused:
            submit("test_step", {"numbr": 1})
        assert "numbr" in str(refused.value.detail)
        with pytest.raises(serializers.ValidationError):
            submit("test_step", {"number": 0})
        assert not Job.objects.exists()

    def test_capacity_of_the_type_is_never_exceeded(self) -> None:
        JobPolicy.objects.create(name="test_step", capacity=2)
        submit("test_step")
        submit("test_step")
        with pytest.raises(QueueFull) as full:
            submit("test_step")
        assert full.value.status_code == 503
        assert int(full.value.headers["Retry-After"]) > 0
        assert Job.objects.count() == 2

    @override_settings(PERF_JOB_CAPACITY=1)
    def test_capacity_in_all_is_never_exceeded(self) -> None:
        submit("test_step")
        with pytest.raises(QueueFull):
            submit("test_step")
        assert active() == 1

    def test_many_at_once_never_exceed_the_capacity(self) -> None:
        JobPolicy.objects.create(name="test_step", capacity=10)
        results: list[str] = []

        def submit_some() -> None:
            try:
                for _ in range(4):
                    try:
                        submit("test_step")
                        results.append("accepted")
                    except QueueFull:
                        results.append("full")
            finally:
                connections.close_all()

        threads = [threading.Thread(target=submit_some) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results.count("accepted") == 10
        assert results.count("full") == 22
        assert Job.objects.count() == active() == 10

    def test_the_first_jobs_of_all_never_find_the_queue_full(self) -> None:
        begin = threading.Barrier(4)

        def submit_first() -> None:
            try:
                begin.wait(30)
                submit("test_step")
            finally:
                connections.close_all()

        for _ in range(10):
            JobCapacity.objects.all().delete()
            with ThreadPoolExecutor(4) as threads:
                for submitted in [threads.submit(submit_first) for _ in range(4)]:
                    submitted.result()
            assert active() == 4

    def test_roles_of_the_policy_decide_who_may_submit(self) -> None:
        JobPolicy.objects.create(name="test_step", roles=["security_admin"])
        with pytest.raises(JobForbidden, match="security_admin"):
            submit("test_step", by=given_user("ann", "viewer"))
        assert submit("test_step", by=given_user("ben", "security_admin"))

    def test_a_disabled_type_is_refused(self) -> None:
        JobPolicy.objects.create(name="test_step", enabled=False)
        with pytest.raises(JobTypeDisabled):
            submit("test_step")

    def test_the_same_idempotency_key_gives_the_same_job(self) -> None:
        user = given_user()
        first = submit("test_step", {"number": 1}, by=user, idempotency_key="k")
        assert submit("test_step", {"number": 1}, by=user, idempotency_key="k").pk == first.pk
        with pytest.raises(IdempotencyMismatch):
            submit("test_step", {"number": 2}, by=user, idempotency_key="k")
        assert submit("test_step", {"number": 1}, by=given_user("ben"), idempotency_key="k").pk != first.pk
        assert active() == 2

    def test_unique_jobs_are_joined_while_they_wait_or_run(self) -> None:
        first = submit("test_step", {"number": 1}, unique=True)
        assert submit("test_step", {"number": 1}, unique=True).pk == first.pk
        assert submit("test_step", {"number": 2}, unique=True).pk != first.pk
        run_job(str(first.pk))
        assert submit("test_step", {"number": 1}, unique=True).pk != first.pk


class TestRunning:
    def test_a_job_completes_with_its_result_and_gives_its_place_back(self) -> None:
        job = given_step("fine", lambda job, params: {"answer": 42})
        run_job(str(job.pk))
        done = now_is(job)
        assert (done.status, done.result, done.attempt, done.progress) == (
            "completed",
            {"answer": 42},
            1,
            1.0,
        )
        assert done.started_at and done.finished_at
        assert active() == 0

    def test_a_second_message_for_the_same_job_does_nothing(self) -> None:
        ran: list[int] = []
        job = given_step("once", lambda job, params: ran.append(1))
        run_job(str(job.pk))
        run_job(str(job.pk))
        assert ran == [1]

    def test_progress_is_seen_while_it_runs(self) -> None:
        seen: list[tuple[float, str]] = []

        def work(job: RunningJob, params: dict[str, Any]) -> None:
            job.progress(0.5, "half")
            seen.append((now_is(job.job).progress, now_is(job.job).message))

        run_job(str(given_step("progress", work).pk))
        assert seen == [(0.5, "half")]

    def test_a_failure_is_retried_after_the_back_off_until_the_last_attempt(self) -> None:
        JobPolicy.objects.create(name="test_step", max_attempts=2, retry_backoff=100)

        def work(job: RunningJob, params: dict[str, Any]) -> None:
            raise ValueError("no luck")

        job = given_step("failing", work)
        run_job(str(job.pk))
        waiting = now_is(job)
        assert waiting.status == "submitted"
        assert waiting.error == "ValueError: no luck"
        assert 70 < (waiting.run_after - timezone.now()).total_seconds() < 130
        run_job(str(job.pk))
        assert now_is(job).attempt == 1, "it is not due yet"
        Job.objects.update(run_after=timezone.now())
        run_job(str(job.pk))
        assert now_is(job).status == "failed"
        assert active() == 0

    def test_a_job_that_cannot_succeed_is_not_retried(self) -> None:
        def work(job: RunningJob, params: dict[str, Any]) -> None:
            raise JobFailed("the network is not authorised any more")

        job = given_step("hopeless", work)
        run_job(str(job.pk))
        assert (now_is(job).status, now_is(job).error) == ("failed", "the network is not authorised any more")

    def test_effects_and_completion_are_one_transaction(self) -> None:
        def work(job: RunningJob, params: dict[str, Any]) -> None:
            with job.transaction():
                Group.objects.create(name="effect")
                job.complete({"groups": 1})
                raise RuntimeError("after both")

        job = given_step("together", work)
        run_job(str(job.pk))
        assert not Group.objects.filter(name="effect").exists()
        assert now_is(job).status == "submitted"
        assert active() == 1

    def test_a_worker_that_lost_the_job_writes_nothing(self) -> None:
        def work(job: RunningJob, params: dict[str, Any]) -> None:
            Job.objects.filter(pk=job.job.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
            take_back_expired()
            Job.objects.filter(pk=job.job.pk).update(run_after=None)
            assert states.claim(str(job.job.pk)) is not None
            with pytest.raises(LeaseLost), job.transaction():
                Group.objects.create(name="late")
            with pytest.raises(LeaseLost):
                job.complete({"late": True})

        job = given_step("late", work)
        run_job(str(job.pk))
        assert not Group.objects.filter(name="late").exists()
        assert (now_is(job).status, now_is(job).attempt) == ("processing", 2)

    def test_a_time_out_stops_the_job(self) -> None:
        JobPolicy.objects.create(name="test_step", timeout=1)

        def work(job: RunningJob, params: dict[str, Any]) -> None:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    job.progress(0.1, "busy")
                except Exception:  # what a careless job would do
                    continue
                time.sleep(0.01)

        job = given_step("endless", work)
        started = time.monotonic()
        run_job(str(job.pk))
        assert time.monotonic() - started < 9  # the job itself would go on for 10 s
        assert now_is(job).status == "failed"
        assert "Timed out after 1 s" in now_is(job).error


class TestCancelling:
    def test_a_waiting_job_never_runs(self) -> None:
        job = submit("test_step")
        assert states.cancel(job)
        run_job(str(job.pk))
        assert now_is(job).status == "cancelled"
        assert active() == 0
        assert not states.cancel(job)

    def test_a_running_job_stops_and_has_no_effect_afterwards(self) -> None:
        def work(job: RunningJob, params: dict[str, Any]) -> None:
            states.cancel(job.job)
            with job.transaction():
                Group.objects.create(name="after cancel")

        job = given_step("cancelled", work)
        run_job(str(job.pk))
        assert now_is(job).status == "cancelled"
        assert not Group.objects.filter(name="after cancel").exists()
        assert active() == 0


class TestRecovery:
    def test_a_dead_workers_job_goes_back_to_the_queue(self) -> None:
        JobPolicy.objects.create(name="test_step", retry_backoff=0)
        job = submit("test_step")
        django_rq.get_queue("default").empty()
        states.claim(str(job.pk))
        assert take_back_expired() == 0, "the lease still holds"
        Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        assert take_back_expired() == 1
        assert publish_again() == 1
        assert waiting_messages() == {f"{job.pk}-2"}

    def test_a_job_that_kills_its_workers_fails_in_the_end(self) -> None:
        JobPolicy.objects.create(name="test_step", max_attempts=1)
        job = submit("test_step")
        states.claim(str(job.pk))
        Job.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
        take_back_expired()
        assert now_is(job).status == "failed"
        assert "worker died" in now_is(job).error
        assert active() == 0

    def test_jobs_that_redis_forgot_are_published_again(self) -> None:
        job = submit("test_step")
        django_rq.get_connection().flushall()
        Job.objects.update(published_at=timezone.now() - timedelta(seconds=10))
        assert publish_again() == 1
        assert publish_again() == 0, "it waits in the queue now"
        assert waiting_messages() == {f"{job.pk}-1"}

    def test_results_are_kept_as_long_as_the_policy_says(self) -> None:
        policy = JobPolicy.objects.create(name="test_step", keep_results_for=3600)
        job = submit("test_step")
        run_job(str(job.pk))
        Job.objects.update(finished_at=timezone.now() - timedelta(seconds=1800))
        assert delete_old() == 0
        policy.keep_results_for = 600
        policy.save()
        assert delete_old() == 1

    def test_counts_that_were_meddled_with_are_put_right(self) -> None:
        submit("test_step")
        JobCapacity.objects.update(active=50)
        recount()
        assert active() == 1


class TestCron:
    def test_each_tick_is_one_job_however_many_look(self) -> None:
        JobPolicy.objects.create(name="test_step", cron="*/5 * * * *")
        tick = timezone.now().replace(minute=10, second=0, microsecond=0)
        for seconds in (0, 1, 30):
            submit_due(tick + timedelta(seconds=seconds))
        assert Job.objects.count() == 1
        submit_due(tick + timedelta(minutes=5))
        assert Job.objects.count() == 2

    def test_types_with_the_same_schedule_each_get_their_job(self) -> None:
        for name in ("test_step", "cache_warm"):
            JobPolicy.objects.create(name=name, cron="*/15 * * * *")
        submit_due(timezone.now().replace(minute=15, second=1))
        assert set(Job.objects.values_list("type", flat=True)) == {"test_step", "cache_warm"}

    def test_missed_ticks_are_not_made_up_for(self) -> None:
        JobPolicy.objects.create(name="test_step", cron="0 0 1 1 *")
        submit_due(timezone.now().replace(month=6, day=1))
        assert not Job.objects.exists()
