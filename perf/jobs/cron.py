"""Jobs on a schedule: each tick of a policy's cron expression is one job, however many processes look."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from croniter import croniter
from django.utils import timezone
from rest_framework.exceptions import APIException

from perf.jobs.registry import find_job_type
from perf.jobs.submit import submit
from perf.models import Job, JobPolicy

log = logging.getLogger(__name__)

# A tick that nobody looked at for longer is not made up for.
LATEST = timedelta(seconds=60)


def submit_due(now: datetime | None = None) -> list[Job]:
    """Submit the jobs whose last tick is due; a tick that was submitted already gives its job again."""
    now = now or timezone.now()
    jobs = []
    for policy in JobPolicy.objects.filter(enabled=True).exclude(cron=""):
        tick = last_tick(policy.cron, now)
        if now - tick <= LATEST and find_job_type(policy.name) is not None:
            try:
                jobs.append(submit(policy.name, {}, idempotency_key=f"cron:{policy.name}:{tick.isoformat()}"))
            except APIException as problem:
                log.warning("The tick %s of %s was not submitted: %s", tick, policy.name, problem)
    return jobs


def last_tick(expression: str, now: datetime) -> datetime:
    """The latest time at or before ``now`` that a cron expression names, in UTC."""
    after_now = now.astimezone(UTC) + timedelta(microseconds=1)
    tick: datetime = croniter(expression, after_now).get_prev(datetime)
    return tick
