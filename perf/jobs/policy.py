"""The terms jobs of a type run under: its JobPolicy as it is now, or the defaults where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from perf.models import JobPolicy


@dataclass(frozen=True, slots=True)
class JobTerms:
    """A `JobPolicy` as it was when asked. Times in seconds."""

    enabled: bool
    capacity: int
    timeout: int
    max_attempts: int
    retry_backoff: int
    keep_results_for: int
    roles: frozenset[str]
    cron: str


def terms_for(job_type: str) -> JobTerms:
    """Read the policy of a job type."""
    return terms_of(JobPolicy.objects.filter(name=job_type).first() or JobPolicy(name=job_type))


def terms_of(policy: JobPolicy) -> JobTerms:
    """The terms that ``policy`` states."""
    return JobTerms(
        enabled=policy.enabled,
        capacity=policy.capacity,
        timeout=policy.timeout,
        max_attempts=policy.max_attempts,
        retry_backoff=policy.retry_backoff,
        keep_results_for=policy.keep_results_for,
        roles=frozenset(policy.roles),
        cron=policy.cron,
    )
