"""Ties scans to their jobs: a scan is there from the moment its job is submitted, and stays when the job goes."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import post_save, pre_delete

from perf.caching import invalidate
from perf.models import Job
from securenet.security.models import Scan

SECURITY_SCAN = "security_scan"
_PREFIX = "securenet.security"


def connect() -> None:
    """Called once, when the app is ready."""
    post_save.connect(job_submitted, sender=Job, dispatch_uid=f"{_PREFIX}.job_submitted")
    pre_delete.connect(job_deleted, sender=Job, dispatch_uid=f"{_PREFIX}.job_deleted")


def job_submitted(instance: Job, created: bool, **_: Any) -> None:
    """Write the scan with its job, whichever way that was submitted."""
    if created and instance.type == SECURITY_SCAN:
        Scan.objects.create(
            job=instance,
            targets=instance.params["targets"],
            ports=instance.params["ports"],
            started_by_id=instance.submitted_by_id,
        )
        invalidate(tags=["scans"])


def job_deleted(instance: Job, **_: Any) -> None:
    """Keep what only the job knew."""
    if instance.type == SECURITY_SCAN:
        Scan.objects.filter(job=instance).update(
            kept_state=instance.status,
            kept_started_at=instance.started_at,
            kept_finished_at=instance.finished_at,
        )
