"""The terms jobs of a type run under: its JobPolicy as it is now, or the defaults where there is none.

The policy named ``all`` is about all types together: its capacity is what they may have in all, none is accepted while
it is disabled, and the rest of it holds for types without a policy of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from perf.conf import setting
from perf.models import JobPolicy


@dataclass(frozen=True, slots=True)
class JobTerms:
    """Policies as they were when asked. Times in seconds; ``total_capacity`` is that of all types together."""

    enabled: bool
    capacity: int
    total_capacity: int
    timeout: int
    max_attempts: int
    retry_backoff: int
    keep_results_for: int
    roles: frozenset[str]


def terms_for(job_type: str) -> JobTerms:
    """Read the policies of a job type."""
    return terms_of_types([job_type])[job_type]


def terms_of_types(job_types: Iterable[str]) -> dict[str, JobTerms]:
    """Read the policies of several job types at once."""
    names = list(job_types)
    policies = {policy.name: policy for policy in JobPolicy.objects.filter(name__in=[*names, JobPolicy.ALL_TYPES])}
    of_all = policies.get(JobPolicy.ALL_TYPES)
    return {name: _terms(policies.get(name), of_all) for name in names}


def total_capacity() -> int:
    """Jobs of all types that may wait or run."""
    return terms_for(JobPolicy.ALL_TYPES).total_capacity


def _terms(own: JobPolicy | None, of_all: JobPolicy | None) -> JobTerms:
    policy = own or of_all or JobPolicy()
    return JobTerms(
        enabled=policy.enabled and (of_all is None or of_all.enabled),
        capacity=policy.capacity,
        total_capacity=of_all.capacity if of_all else int(setting("JOB_CAPACITY")),
        timeout=policy.timeout,
        max_attempts=policy.max_attempts,
        retry_backoff=policy.retry_backoff,
        keep_results_for=policy.keep_results_for,
        roles=frozenset(policy.roles),
    )
