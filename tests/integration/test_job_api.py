"""Jobs for API clients: requests that are repeated while the first is being answered, and cheap polling."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import django_rq
import pytest
from django.db import DatabaseError, connection, connections
from django.test import override_settings

from perf.jobs import Job, job_type, states, submit
from perf.jobs.publish import waiting_messages
from perf.jobs.recovery import publish_again
from perf.models import JobPolicy
from perf.problems import as_problem
from securenet.run.redis_server import RedisServer
from tests.integration.helpers import client_for, eventually, given_user, undisturbed

URL = "/api/performance/background-job"
entered, hold = threading.Event(), threading.Event()


def slow_authorisation(user: Any, params: dict[str, Any]) -> None:
    """Keeps a submission in flight for as long as the test wishes."""
    entered.set()
    hold.wait(30)


@job_type("test_held", authorise=slow_authorisation)
def held(job: Any, params: dict[str, Any]) -> None:
    """Does nothing; its submission is what is slow."""


pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def site() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="securenet.urls"):
        yield


def post(client: Any, type: str = "test_held", key: str = "k") -> Any:
    return client.post(URL, {"type": type}, format="json", headers={"Idempotency-Key": key})


@pytest.fixture
def in_flight() -> Iterator[Callable[..., Future[Any]]]:
    """Sends a request that stays in flight until ``hold`` is set."""
    entered.clear()
    hold.clear()
    with ThreadPoolExecutor(1) as thread:

        def send(client: Any) -> Future[Any]:
            def work() -> Any:
                try:
                    return post(client)
                finally:
                    connections.close_all()

            answer = thread.submit(work)
            assert entered.wait(30)
            return answer

        try:
            yield send
        finally:
            hold.set()


class TestAnIdempotencyKey:
    def test_whose_request_is_in_flight_is_409_and_works_later(self, in_flight: Callable[..., Future[Any]]) -> None:
        user = given_user()
        first = in_flight(client_for(user))
        second = post(client_for(user))
        assert (second.status_code, second["Content-Type"]) == (409, "application/problem+json")
        assert second["Retry-After"] == "1"
        hold.set()
        assert first.result().status_code == 202
        third = post(client_for(user))
        assert (third.status_code, third["Location"]) == (202, first.result()["Location"])
        assert Job.objects.count() == 1

    def test_belongs_to_one_user(self, in_flight: Callable[..., Future[Any]]) -> None:
        in_flight(client_for(given_user()))
        hold.set()
        answer = post(client_for(given_user("ben")))
        assert answer.status_code == 202, answer.content

    def test_is_free_again_after_a_refusal(self) -> None:
        hold.set()
        client = client_for(given_user())
        policy = JobPolicy.objects.create(name="test_held", enabled=False)
        assert post(client).status_code == 403
        policy.enabled = True
        policy.save()
        assert post(client).status_code == 202


class TestPolling:
    def test_a_list_the_client_has_already_is_304(self) -> None:
        user = given_user()
        job = submit("cache_warm", by=user)
        client = client_for(user)
        first = client.get(URL)
        again = client.get(URL, headers={"If-None-Match": first["ETag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert again["Retry-After"] == "1"
        states.cancel(job)
        changed = client.get(URL, headers={"If-None-Match": first["ETag"]})
        assert changed.status_code == 200
        assert "Retry-After" not in changed.headers


@contextmanager
def database_away() -> Iterator[None]:
    """This thread's connection leads to where no database is."""
    place = connection.settings_dict
    kept = {name: place[name] for name in ("NAME", "PORT")}
    connection.close()
    place.update(NAME="/nowhere/at/all") if connection.vendor == "sqlite" else place.update(PORT="1")
    try:
        yield
    finally:
        place.update(kept)
        connection.close()


class TestWithoutTheDatabase:
    def test_a_submission_is_503_and_leaves_no_message_behind(self) -> None:
        client = client_for(given_user())
        assert post(client, "cache_warm").status_code == 202
        Job.objects.all().delete()
        django_rq.get_connection().flushall()
        with database_away():
            refused = post(client, "cache_warm", key="away")
        assert (refused.status_code, refused["Content-Type"]) == (503, "application/problem+json")
        assert int(refused["Retry-After"]) > 0
        assert waiting_messages() == set()
        assert post(client, "cache_warm", key="away").status_code == 202

    def test_faulty_sql_is_no_absence(self) -> None:
        with pytest.raises(DatabaseError) as error, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
        assert as_problem(error.value) is None


class TestWithoutRedis:
    def test_a_submission_is_accepted_and_starts_when_redis_returns(self, redis: RedisServer) -> None:
        client = client_for(given_user())
        with undisturbed():
            os.kill(redis.pid, signal.SIGSTOP)
            try:
                answer = post(client, "cache_warm")
            finally:
                os.kill(redis.pid, signal.SIGCONT)
        assert answer.status_code == 202
        job = Job.objects.get()
        assert (job.status, job.published_at) == ("submitted", None)
        assert eventually(publish_again) == 1
        assert waiting_messages() == {f"{job.pk}-1"}
