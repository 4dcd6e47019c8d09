"""What Prometheus scrapes: counters that only rise, over all processes, minutes and jobs; bounded labels."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django_redis import get_redis_connection
from prometheus_client.parser import text_string_to_metric_families

from perf.gate import keys
from perf.gate.store import store
from perf.jobs import JobFailed, RunningJob, job_type, states, submit
from perf.jobs.recovery import take_back_expired
from perf.jobs.run import run_job
from perf.metrics.totals import read_totals
from perf.models import Job, JobPolicy
from securenet.run.redis_server import RedisServer
from tests.integration.helpers import client_for, eventually, given_cache_policy, given_limit, statuses

pytestmark = pytest.mark.urls("tests.integration.scraped_site")
works: list[Callable[[RunningJob], Any]] = []


@job_type("test_scraped")
def scraped(job: RunningJob, params: dict[str, Any]) -> Any:
    """Does what the test has put into `works`."""
    return works.pop(0)(job) if works else None


def failing(job: RunningJob) -> None:
    raise JobFailed("no such host")


def scrape() -> dict[tuple[str, ...], float]:
    """All samples: the name and the sorted values of the labels, and the number."""
    response = Client().get("/metrics")
    assert response.status_code == 200, response.content
    return {
        (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


class TestCounters:
    def test_count_what_limits_and_caches_decided(self) -> None:
        given_limit("few", route="/api/uncached", limit=3)
        given_cache_policy("short", route="/api/counter")
        before = scrape()
        statuses(client_for(), "/api/uncached", 5)
        statuses(client_for(), "/api/counter", 3)
        after = scrape()
        assert difference(before, after, "securenet_limit_decisions_total", "allowed", "few") == 3
        assert difference(before, after, "securenet_limit_decisions_total", "blocked", "few") == 2
        assert difference(before, after, "securenet_cache_lookups_total", "short", "hit") == 2
        assert difference(before, after, "securenet_cache_lookups_total", "short", "miss") == 1
        assert difference(before, after, "securenet_requests_total", "limited") == 2

    def test_count_each_minute_once_when_it_is_over(self) -> None:
        redis, minute = get_redis_connection("default"), int(time.time() // 60)
        before = read_totals()["test:event"]
        redis.hincrby(f"{keys.statistics()}{minute + 1}", "test:event", 5)  # not over yet
        assert read_totals()["test:event"] == before + 5
        assert read_totals()["test:event"] == before + 5
        redis.rename(f"{keys.statistics()}{minute + 1}", f"{keys.statistics()}{minute - 1}")
        redis.hset(keys.totals(), "folded", minute - 2)
        assert read_totals()["test:event"] == before + 5
        assert read_totals()["test:event"] == before + 5
        redis.delete(f"{keys.statistics()}{minute - 1}")  # it expires some day
        assert read_totals()["test:event"] == before + 5

    def test_are_exact_however_many_scrape_at_once(self) -> None:
        redis, minute = get_redis_connection("default"), int(time.time() // 60)
        before = read_totals()["test:event"]
        for ago in range(1, 200):
            redis.hincrby(f"{keys.statistics()}{minute - ago}", "test:event", 1)
        redis.hset(keys.totals(), "folded", minute - 500)
        seen: list[int] = []

        def read() -> None:
            try:
                seen.append(read_totals()["test:event"])
            finally:
                connections.close_all()

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8
        assert read_totals()["test:event"] == before + 199
        assert all(number <= before + 199 for number in seen)

    def test_begin_with_the_statistics_of_the_day_where_nobody_has_scraped_yet(self) -> None:
        redis, minute = get_redis_connection("default"), int(time.time() // 60)
        redis.delete(keys.totals())
        redis.hincrby(f"{keys.statistics()}{minute - 1400}", "test:event", 7)
        assert read_totals()["test:event"] >= 7
        assert 0 < redis.ttl(keys.totals()) <= 30 * 24 * 3600


class TestHistograms:
    def test_have_every_request_once_in_buckets_that_only_rise(self) -> None:
        given_limit(limit=1000)
        before = scrape()
        statuses(client_for(), "/api/uncached", 7)
        after = scrape()
        assert difference(before, after, "securenet_request_duration_seconds_count", "uncached") == 7
        assert difference(before, after, "securenet_request_duration_seconds_sum", "uncached") > 0
        buckets = [
            (float(key[1]), value)
            for key, value in after.items()
            if key[0] == "securenet_request_duration_seconds_bucket" and key[2] == "uncached"
        ]
        assert [value for _, value in sorted(buckets)] == sorted(value for _, value in buckets)
        assert max(buckets)[0] == float("inf")


class TestJobs:
    def test_count_events_waits_and_runs(self) -> None:
        JobPolicy.objects.create(name="test_scraped", max_attempts=2, retry_backoff=0)
        before = scrape()
        works[:] = [lambda job: None, failing]
        for _ in range(2):
            run_job(str(submit("test_scraped").pk))
        states.cancel(submit("test_scraped"))
        after = scrape()
        events = {key[1]: after[key] - before.get(key, 0) for key in after if is_event(key)}
        happened = {event: count for event, count in events.items() if count}
        assert happened == {"submitted": 3, "started": 2, "completed": 1, "failed": 1, "cancelled": 1}
        assert difference(before, after, "securenet_job_wait_seconds_count", "test_scraped") == 2
        assert difference(before, after, "securenet_job_run_seconds_count", "test_scraped") == 2
        assert after["securenet_jobs", "completed", "test_scraped"] == 1

    def test_taken_back_from_dead_workers_are_counted(self) -> None:
        before = scrape()
        job = states.claim(str(submit("test_scraped").pk))
        Job.objects.filter(pk=job.pk).update(lease_expires_at=job.submitted_at)
        assert take_back_expired() == 1
        assert difference(before, scrape(), "securenet_job_recoveries_total", "taken_back") == 1


class TestLabels:
    def test_hold_nothing_that_clients_chose(self) -> None:
        given_limit(limit=2)
        client = client_for()
        for number in range(4):
            client.get(f"/api/uncached?made-up={number}", REMOTE_ADDR=f"192.0.2.{number}", HTTP_X_NAME="made-up")
            client.get(f"/api/made-up-{number}")
        text = Client().get("/metrics").content.decode()
        assert "made-up" not in text
        assert "192.0.2" not in text


class TestWithoutRedis:
    def test_what_it_counts_is_left_out_and_the_rest_is_told(self, redis: RedisServer) -> None:
        given_limit(limit=1000)
        client_for().get("/api/uncached")
        assert scrape()[("securenet_store_up",)] == 1
        os.kill(redis.pid, signal.SIGSTOP)
        try:
            client_for().get("/api/uncached")
            found = scrape()
            assert found[("securenet_store_up",)] == 0
            assert found[("securenet_database_up",)] == 1
            assert not any(name.endswith("_total") for name, *_ in found)
        finally:
            os.kill(redis.pid, signal.SIGCONT)
        eventually(lambda: not store.is_open)
        assert scrape()["securenet_requests_total", "allowed"] >= 1


def is_event(key: tuple[str, ...]) -> bool:
    return key[0] == "securenet_job_events_total" and key[2] == "test_scraped"


def difference(before: dict[tuple[str, ...], float], after: dict[tuple[str, ...], float], *sample: str) -> float:
    """By how much a sample has risen; its labels are sorted by their names."""
    return after[sample] - before.get(sample, 0)
