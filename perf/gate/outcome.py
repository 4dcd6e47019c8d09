"""What the gate says about a request: small frozen types, matched by the adapters above."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from perf.policies.snapshot import LimitRule


@dataclass(frozen=True, slots=True)
class LimitState:
    """Where a client stands with one limit. ``reset`` and ``wait`` in seconds.

    ``reset`` is the time until used units start to come back, ``wait`` the time until this request would be allowed.
    """

    rule: LimitRule
    allowed: bool
    remaining: int
    reset: float
    wait: float


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request may go on. ``limits`` are those that were decided; empty for exempt callers."""

    limits: tuple[LimitState, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """One or more limits refuse: 429."""

    limits: tuple[LimitState, ...]
    violated: tuple[LimitState, ...]

    @property
    def wait(self) -> float:
        """Seconds after which every violated limit allows a retry."""
        return max(state.wait for state in self.violated)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """An access rule blocks the caller: 403."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Redis is away and a policy says ``deny``: 503, retry after ``retry_after`` seconds."""

    policies: tuple[str, ...]
    retry_after: float


Admission = Allowed | Blocked | Forbidden | Unavailable


class CacheState(Enum):
    """What the cache has for the request."""

    HIT = "hit"  # fresh
    STALE = "stale"  # old; another request refreshes it
    REFRESH = "refresh"  # old; this request holds the lease
    MISS = "miss"  # nothing; this request holds the lease
    WAIT = "wait"  # nothing; another request holds the lease
    UNSTORABLE = "unstorable"  # the last response could not be stored
    STORE_DOWN = "store_down"  # Redis is away


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """The cache's part of the exchange.

    ``age`` and ``lifetime``, for which it is fresh, in seconds; while waiting ``age`` is the time until the holder's
    lease ends. ``blob`` is the entry as stored, or ``b"="`` where the
    process's own copy is current. ``asked_at`` is Redis' time of the exchange in microseconds: where something is
    computed, its beginning.
    """

    state: CacheState
    age: float = 0.0
    blob: bytes = b""
    asked_at: int = 0
    lifetime: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that one exchange answered.

    ``seconds`` is how long it took, reloads included; ``decided_at`` Redis' time of the decision in microseconds, 0
    where Redis was away; ``is_exempt`` whether an access rule spares the caller.
    """

    admission: Admission
    cache: CacheAnswer | None
    revision: int
    seconds: float
    identity_checked: bool
    decided_at: int = 0
    is_exempt: bool = False


def together(earlier: Outcome, later: Outcome) -> Outcome:
    """What two exchanges of one request decided: its client stands under the limits of both."""
    admission = later.admission
    if isinstance(earlier.admission, Allowed) and isinstance(admission, Allowed | Blocked):
        admission = replace(admission, limits=earlier.admission.limits + admission.limits)
    return replace(later, admission=admission, cache=later.cache or earlier.cache)


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """The caller's account changed since its token was made; nothing was counted."""

    version: str
