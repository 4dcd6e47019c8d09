"""What a refused client is told: the gate's admission as a problem, with the policies and when to come back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from perf.gate.outcome import Admission, Allowed, Blocked, Forbidden, Unavailable
from perf.policies.snapshot import LimitRule
from perf.problems import Problem

_QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_REDUCED_CAPACITY = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


def refusal(admission: Admission) -> Problem | None:
    """The problem that tells a client why it was refused; None where it was not."""
    match admission:
        case Allowed():
            return None
        case Blocked(violated=violated):
            seconds = retry_after(admission)
            return Problem(
                429,
                "Too many requests",
                f"The limit of {', '.join(_in_words(state.rule) for state in violated)} is used up. "
                f"Try again in {seconds} s.",
                type=_QUOTA_EXCEEDED,
                retry_after=seconds,
                **_violated([state.rule.name for state in violated]),
            )
        case Forbidden(rule=rule):
            return Problem(403, "Blocked", f"Access rule {rule} blocks this client.", rule=rule)
        case Unavailable(policies=policies):
            return Problem(
                503,
                "Limits cannot be checked",
                f"The store is away and {', '.join(policies)} lets nobody pass without it.",
                type=_REDUCED_CAPACITY,
                retry_after=math.ceil(admission.retry_after),
                **_violated(policies),
            )


def retry_after(blocked: Blocked) -> int:
    """Whole seconds after which a retry succeeds."""
    return max(1, math.ceil(blocked.wait))


def _violated(policies: Sequence[str]) -> dict[str, Any]:
    return {"violated-policies": list(policies)}  # draft-ietf-httpapi-ratelimit-headers-10


def _in_words(rule: LimitRule) -> str:
    return f"{rule.name} ({rule.limit} in {rule.period} s)"
