"""Submission: the row is written with the caller's transaction; Redis hears of it once that has committed."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from perf import tracing
from perf.conf import setting
from perf.gate.callers import roles_of
from perf.gate.keys import digest
from perf.jobs import admission, timeline
from perf.jobs.errors import IdempotencyMismatch, JobForbidden, JobTypeDisabled, UnknownJobType
from perf.jobs.policy import JobTerms, terms_for
from perf.jobs.publish import publish_after_commit
from perf.jobs.registry import JobType, find_job_type, job_type_names
from perf.models import Job, JobEvent


def submit(
    type: str, params: Any = None, *, by: Any = None, unique: bool | None = None, idempotency_key: str = ""
) -> Job:
    """Accept a job.

    Args:
        type: a registered job type.
        params: its parameters, as JSON data.
        by: the submitting user; None for the system itself, which needs no role.
        unique: join an identical job that waits or runs; by default as the type says.
        idempotency_key: the same key and parameters from the same user give the same job.

    Raises:
        UnknownJobType, JobTypeDisabled, JobForbidden, QueueFull, IdempotencyMismatch: as problems for a client.
        ValidationError: DRF's, naming each parameter.
    """
    job_type = find_job_type(type)
    if job_type is None:
        raise UnknownJobType(type, job_type_names())
    terms = terms_for(type)
    _check_submitter(job_type, terms, by)
    accepted = job_type.validated({} if params is None else params)
    if job_type.authorise is not None and by is not None:
        job_type.authorise(by, accepted)
    fingerprint = _fingerprint(type, accepted)
    key = digest(("idempotency", str(by.pk) if by is not None else "", idempotency_key)) if idempotency_key else None
    join = job_type.unique if unique is None else unique
    try:
        return _insert(job_type, terms, accepted, by, fingerprint, key, join)
    except IntegrityError:
        # A twin was committed between look and insert: it is the one to return.
        known = _known_twin(fingerprint, key, join)
        if known is None:
            raise
        return known


def _check_submitter(job_type: JobType, terms: JobTerms, by: Any) -> None:
    if not terms.enabled:
        raise JobTypeDisabled(job_type.name)
    if by is None or getattr(by, "is_superuser", False) or not terms.roles:
        return
    if not terms.roles & roles_of(by):
        raise JobForbidden(job_type.name, sorted(terms.roles))


def _insert(
    job_type: JobType,
    terms: JobTerms,
    params: dict[str, Any],
    by: Any,
    fingerprint: str,
    key: str | None,
    join: bool,
) -> Job:
    with transaction.atomic():
        if known := _known_twin(fingerprint, key, join):
            return known
        admission.take_place(job_type.name, terms)
        job = Job.objects.create(
            type=job_type.name,
            params=params,
            submitted_by_id=by.pk if by is not None else None,
            queue=job_type.queue,
            fingerprint=fingerprint,
            unique_key=fingerprint if join else None,
            idempotency_key=key,
            trace_parent=tracing.parent_of_job(),
        )
        timeline.note(job, JobEvent.Kind.SUBMITTED, by.get_username() if by is not None else "")
        publish_after_commit(job)
    return job


def _known_twin(fingerprint: str, key: str | None, join: bool) -> Job | None:
    if key is not None and (known := Job.objects.filter(idempotency_key=key).first()):
        remembered_since = timezone.now() - timedelta(seconds=setting("IDEMPOTENCY_SECONDS"))
        if known.submitted_at < remembered_since:
            Job.objects.filter(pk=known.pk).update(idempotency_key=None)
        elif known.fingerprint != fingerprint:
            raise IdempotencyMismatch
        else:
            return known
    if join:
        return Job.objects.filter(unique_key=fingerprint, status__in=Job.ACTIVE).first()
    return None


def _fingerprint(type: str, params: dict[str, Any]) -> str:
    canonical = json.dumps([type, params], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
