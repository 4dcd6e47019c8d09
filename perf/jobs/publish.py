"""Handing jobs to RQ. The message is only a wake-up: losing or doubling it does no harm."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import django_rq
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from redis.exceptions import RedisError

from perf.gate.store import store
from perf.models import Job

log = logging.getLogger(__name__)

RUN_JOB = "perf.jobs.run.run_job"
# RQ's own time-out only ends what the minder of a run could not; see `perf.jobs.run`.
RQ_TIMEOUT_SECONDS = 25 * 3600


def publish_after_commit(job: Job) -> None:
    """Publish once the running transaction has committed; at once outside of one."""
    transaction.on_commit(lambda: publish([job]))


def publish(jobs: Iterable[Job]) -> int:
    """Wake workers for ``jobs``; returns for how many. Where Redis is away, recovery publishes them later."""
    published = 0
    for job in jobs:
        if store.is_open:
            break
        try:
            django_rq.get_queue(job.queue, commit_mode="auto").enqueue_call(
                RUN_JOB,
                args=(str(job.pk),),
                job_id=message_id(job),
                timeout=RQ_TIMEOUT_SECONDS,
                result_ttl=0,
                failure_ttl=3600,
                description=f"{job.type} {job.pk}",
            )
        except (RedisError, OSError) as error:
            log.warning("Job %s is published as soon as Redis is back (%s).", job.pk, error)
            break
        Job.objects.filter(pk=job.pk).update(published_at=timezone.now())
        published += 1
    return published


def message_id(job: Job) -> str:
    """RQ's id for waking a worker for the next attempt of ``job``."""
    return f"{job.pk}-{job.attempt + 1}"


def waiting_messages() -> set[str]:
    """The ids of all messages in RQ's queues. Raises RedisError."""
    return {message for name in queue_names() for message in django_rq.get_queue(name).job_ids}


def queue_names() -> list[str]:
    """The queues of RQ_QUEUES in their order: the first is served first."""
    return list(getattr(settings, "RQ_QUEUES", {}))
