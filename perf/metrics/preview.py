"""What a change of policies would have done to recent traffic: both policy sets over the same record, side by side."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from perf.metrics.replay import CacheTally, Decision, Matches, both_decisions, cached
from perf.metrics.traffic import Visit
from perf.policies.snapshot import Snapshot

MOST_VISITS = 100_000
TOP = 10
POINTS = 48


@dataclass(frozen=True, slots=True)
class Affected:
    """A client or a route, and how many of its requests are decided differently."""

    name: str
    newly_blocked: int
    newly_allowed: int
    requests: int


@dataclass(frozen=True, slots=True)
class Point:
    """Requests of a stretch of time. at: microseconds."""

    at: int
    requests: int
    blocked_before: int
    blocked_after: int


@dataclass(frozen=True, slots=True)
class Preview:
    """The answer. begins, ends: microseconds, 0 without traffic; the two caches: by the policies now, and as edited."""

    requests: int
    clients: int
    begins: int
    ends: int
    blocked_before: int
    blocked_after: int
    newly_blocked: int
    newly_allowed: int
    clients_newly_blocked: int
    clients_newly_allowed: int
    observed_after: int
    top_clients: tuple[Affected, ...]
    top_routes: tuple[Affected, ...]
    points: tuple[Point, ...]
    cache_before: CacheTally
    cache_after: CacheTally

    @property
    def changes_limits(self) -> bool:
        """Whether any request is decided differently."""
        return bool(self.newly_blocked or self.newly_allowed)

    @property
    def origin_seconds_saved(self) -> float:
        """Seconds of computing that the edited policies spare; negative where they cost more."""
        return self.cache_before.origin_seconds - self.cache_after.origin_seconds


def preview(traffic: Sequence[Visit], before: Snapshot, after: Snapshot) -> Preview:
    """Replay ``traffic`` under both policy sets. Raises `StoreUnavailable`.

    Args:
        traffic: in the order of its times.
        before: the policies as they are.
        after: as they would be.
    """
    with uncollected():
        return _preview(traffic, Matches(before), Matches(after))


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector: it would look through all of the record again and again, and find no cycle."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _preview(traffic: Sequence[Visit], before: Matches, after: Matches) -> Preview:
    was, will = both_decisions(traffic, before, after)
    blocked = [i for i, (old, new) in enumerate(zip(was, will, strict=True)) if new.is_blocked and not old.is_blocked]
    allowed = [i for i, (old, new) in enumerate(zip(was, will, strict=True)) if old.is_blocked and not new.is_blocked]
    return Preview(
        requests=len(traffic),
        clients=len({visit.client for visit in traffic}),
        begins=traffic[0].at if traffic else 0,
        ends=traffic[-1].at if traffic else 0,
        blocked_before=sum(decision.is_blocked for decision in was),
        blocked_after=sum(decision.is_blocked for decision in will),
        newly_blocked=len(blocked),
        newly_allowed=len(allowed),
        clients_newly_blocked=len({traffic[i].client for i in blocked}),
        clients_newly_allowed=len({traffic[i].client for i in allowed}),
        observed_after=sum(bool(decision.observed) for decision in will),
        top_clients=_top([visit.client for visit in traffic], blocked, allowed),
        top_routes=_top([f"{visit.method} {visit.view_name or visit.path}" for visit in traffic], blocked, allowed),
        points=_points(traffic, was, will),
        cache_before=cached(traffic, was, before),
        cache_after=cached(traffic, will, after),
    )


def _top(names: Sequence[str], blocked: Sequence[int], allowed: Sequence[int]) -> tuple[Affected, ...]:
    newly_blocked, newly_allowed = Counter(names[i] for i in blocked), Counter(names[i] for i in allowed)
    requests = Counter(names)
    affected = (newly_blocked + newly_allowed).most_common(TOP)
    return tuple(Affected(name, newly_blocked[name], newly_allowed[name], requests[name]) for name, _ in affected)


def _points(traffic: Sequence[Visit], was: Sequence[Decision], will: Sequence[Decision]) -> tuple[Point, ...]:
    if not traffic:
        return ()
    begins = traffic[0].at
    width = max(1, (traffic[-1].at - begins) // POINTS + 1)
    counts = [[0, 0, 0] for _ in range(POINTS)]
    for visit, old, new in zip(traffic, was, will, strict=True):
        cell = counts[min(POINTS - 1, (visit.at - begins) // width)]
        cell[0] += 1
        cell[1] += old.is_blocked
        cell[2] += new.is_blocked
    return tuple(Point(begins + number * width, *cell) for number, cell in enumerate(counts))
