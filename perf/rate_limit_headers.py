"""``RateLimit-Policy`` and ``RateLimit``: structured fields (RFC 9651) of draft-ietf-httpapi-ratelimit-headers-10."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from perf.gate.outcome import Admission, Allowed, Blocked, LimitState


def rate_limit_headers(admission: Admission) -> Iterator[tuple[str, str]]:
    """The two fields for the limits that are enforced on this request; nothing where none is.

    ``q`` quota and ``r`` remaining in requests (cost units), ``w`` window and ``t`` time until units come back in
    seconds.
    """
    if not isinstance(admission, Allowed | Blocked):
        return
    shown = [state for state in admission.limits if not state.rule.observe]
    if shown:
        yield "RateLimit-Policy", ", ".join(_policy(s.rule.name, s.rule.limit, s.rule.period) for s in shown)
        yield "RateLimit", ", ".join(_standing(state) for state in shown)


@lru_cache(maxsize=1024)
def _policy(name: str, limit: int, period: int) -> str:
    return f"{_string(name)};q={limit};w={period}"


def _standing(state: LimitState) -> str:
    return f"{_string(state.rule.name)};r={state.remaining};t={min(math.ceil(state.reset), state.rule.period)}"


def _string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
