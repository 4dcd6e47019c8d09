"""What a storm needs in the database, and what is there in the end. Runs in a Django process on the site's data."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from tests.chaos.job_worker import EFFECTS, QUEUES
from tests.chaos.storm import plan
from tests.chaos.storm.client import NOTICE

MANY = 1_000_000
FINDINGS = 5


def furnish() -> dict[str, Any]:
    """Make users, policies, findings and the table of effects; returns the ids of the findings."""
    from django.db import connection

    _make_users()
    _make_policies()
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {EFFECTS} (job varchar(36), attempt integer)")
    return {"findings": [_make_finding(number) for number in range(FINDINGS)]}


def _make_users() -> None:
    from django.contrib.auth.models import Group

    from securenet.accounts.models import User
    from securenet.notifications.models import Notification

    for role in plan.ROLES:
        for number in range(plan.USERS_PER_ROLE):
            name = plan.user_name(role, number)
            user = User.objects.create_user(name, password=plan.PASSWORD)
            user.groups.set([Group.objects.get(name=role)])
            Notification.objects.create(user=user, title=f"{NOTICE}{name}", body="", severity="low")


def _make_policies() -> None:
    from perf.models import JobPolicy, RateLimitPolicy
    from tests.chaos.storm.limits import LIMITS
    from tests.integration.helpers import given_cache_policy, given_limit

    # The limits of the first release would get into the way; those of the storm are in a scope of their own.
    RateLimitPolicy.objects.update(limit=MANY)
    for limit in LIMITS:
        limit.save()
    given_limit("open", route=plan.OPEN, limit=plan.OPEN_BASE, period=60, count_by="ip", on_store_error="allow")
    given_limit(
        "local", route=plan.LOCAL, limit=plan.LOCAL_LIMIT, period=plan.LOCAL_PERIOD, count_by="ip",
        on_store_error="local",
    )  # fmt: skip
    RateLimitPolicy.objects.filter(name__in=["open", "local", *plan.ALGORITHMS]).update(scope="storm")
    for name, shared_by in plan.CACHED.items():
        given_cache_policy(f"storm-{name}", route=f"/api/storm/{name}", ttl=plan.TTL, shared_by=shared_by)
    JobPolicy.objects.update_or_create(name="all", defaults={"capacity": 5000})
    for name in QUEUES:
        JobPolicy.objects.update_or_create(
            name=name, defaults={"capacity": 5000, "max_attempts": 100, "retry_backoff": 0}
        )


def _make_finding(number: int) -> int:
    from django.utils import timezone

    from securenet.security.findings import record_finding

    finding, _ = record_finding(
        fingerprint=uuid.uuid4().hex * 2, source="logs", check_id="logs.test", title=f"Finding {number}",
        description="", advice="", severity="low", confidence=90, evidence={}, seen_at=timezone.now(), subject="storm",
    )  # fmt: skip
    return int(finding.pk)


def jobs_at_work() -> int:
    """How many jobs of the storm have not ended."""
    from perf.models import Job

    return Job.objects.filter(type__in=QUEUES, status__in=["submitted", "processing"]).count()


def final_state() -> dict[str, Any]:
    """What `tests.chaos.storm.record.FinalState` is made of."""
    from django.db import connection

    from perf.models import Job
    from securenet.logs.models import LogEvent
    from securenet.security.models import Finding

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT job, COUNT(*) FROM {EFFECTS} GROUP BY job")
        effects = {str(uuid.UUID(job)): count for job, count in cursor.fetchall()}
    jobs = Job.objects.filter(type__in=QUEUES).values_list("pk", "status")
    lines: Counter[str] = Counter(LogEvent.objects.filter(source="storm").values_list("user_name", flat=True))
    notes = Finding.objects.filter(subject="storm").values_list("pk", "triage_note")
    return {
        "jobs": [{"id": str(pk), "status": status, "effects": effects.get(str(pk), 0)} for pk, status in jobs],
        "lines": dict(lines),
        "notes": {str(pk): int(note or 0) for pk, note in notes},
    }
