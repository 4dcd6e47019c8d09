"""What was decided about requests, as numbers to show: of a cache policy, of a limit, of all requests together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HITS = ("hit", "stale")
FORWARDED = ("miss", "refresh", "wait", "unstorable")


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """Requests a cache policy decided: answered from the cache, fresh (``fresh``) or ``stale``, and computed."""

    fresh: int
    stale: int
    misses: int

    @classmethod
    def of(cls, events: Mapping[str, int]) -> CacheCounts:
        """From counts by event, as `perf.metrics.read.by_name` has them."""
        return cls(events.get("hit", 0), events.get("stale", 0), sum(events.get(event, 0) for event in FORWARDED))

    @property
    def hits(self) -> int:
        """Answered from the cache."""
        return self.fresh + self.stale

    @property
    def total(self) -> int:
        """All that asked the cache."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float | None:
        """Hits per request, 0 to 1; None where nothing asked."""
        return self.hits / self.total if self.total else None

    @property
    def hit_percent(self) -> float | None:
        """As `hit_rate`, 0 to 100."""
        return None if self.hit_rate is None else 100 * self.hit_rate


@dataclass(frozen=True, slots=True)
class LimitCounts:
    """Requests a limit decided. ``observed`` would have been blocked if the policy enforced."""

    allowed: int
    blocked: int
    observed: int

    @classmethod
    def of(cls, events: Mapping[str, int]) -> LimitCounts:
        """From counts by event, as `perf.metrics.read.by_name` has them."""
        return cls(*(events.get(event, 0) for event in ("allowed", "blocked", "observed")))

    @property
    def total(self) -> int:
        """All that were decided."""
        return self.allowed + self.blocked + self.observed


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """All requests together. ``blocked`` by a limit, ``forbidden`` by an access rule."""

    allowed: int
    blocked: int
    forbidden: int
    observed: int
    cache: CacheCounts

    @classmethod
    def of(cls, counts: Mapping[str, int]) -> RequestCounts:
        """From the counts of a window, or of one point of it."""
        events: dict[str, int] = {}
        observed = 0
        for name, count in counts.items():
            if name.startswith("cache:"):
                event = name.rpartition(":")[2]
                events[event] = events.get(event, 0) + count
            elif name.startswith("limit:") and name.endswith(":observed"):
                observed += count
        allowed, blocked, forbidden = (
            counts.get(name, 0) for name in ("request:allowed", "request:blocked", "rule:blocked")
        )
        return cls(allowed, blocked, forbidden, observed, CacheCounts.of(events))

    @property
    def refused(self) -> int:
        """By a limit or an access rule."""
        return self.blocked + self.forbidden

    @property
    def total(self) -> int:
        """All that were decided about."""
        return self.allowed + self.refused
