"""Recorded traffic under other policies: what would have been refused, and what the cache would have spared.

Limits are decided by replay.lua, with the code that decides live requests, at the times at which the requests came.
Counters begin empty, as nothing is known of what came before the record.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from perf.gate import keys
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store
from perf.gate.wire import SECOND
from perf.metrics.traffic import COMPUTED, Visit
from perf.policies.snapshot import CacheRule, LimitRule, Snapshot

SCRATCH_SECONDS = 120
# One script decides so many, some milliseconds long: live requests wait no longer than that.
VISITS_AT_A_TIME = 250


@dataclass(frozen=True, slots=True)
class Decision:
    """What limits say of one visit: the policies that refuse it, and those that would if they were enforced."""

    violated: tuple[LimitRule, ...] = ()
    observed: tuple[LimitRule, ...] = ()

    @property
    def is_blocked(self) -> bool:
        """Whether it gets a 429."""
        return bool(self.violated)


@dataclass(slots=True)
class CacheTally:
    """What a cache does with visits: how many got a fresh, an old, or a computed answer; seconds of computing."""

    hits: int = 0
    stale: int = 0
    misses: int = 0
    origin_seconds: float = 0.0

    @property
    def asked(self) -> int:
        """Visits that the cache was asked about."""
        return self.hits + self.stale + self.misses

    @property
    def hit_rate(self) -> float:
        """The share answered from the cache, fresh or old; 0 where nothing was asked."""
        return (self.hits + self.stale) / self.asked if self.asked else 0.0


def decisions(traffic: Sequence[Visit], snapshot: Snapshot) -> list[Decision]:
    """What the limits of ``snapshot`` decide about each visit, in their order. Raises `StoreUnavailable`."""
    scratch, script = keys.preview(uuid.uuid4().hex), load_script("replay")
    found: list[Decision] = []
    try:
        visits = iter(traffic)
        while chunk := list(islice(visits, VISITS_AT_A_TIME)):
            limits = [_limits(visit, snapshot) for visit in chunk]
            allowed = store.run(script, [scratch], [SCRATCH_SECONDS, _question(chunk, limits)])
            at = 0
            for rules in limits:
                found.append(_decision(rules, allowed[at : at + len(rules)]))
                at += len(rules)
    finally:
        _forget(scratch)
    return found


def both_decisions(
    traffic: Sequence[Visit], before: Snapshot, after: Snapshot
) -> tuple[list[Decision], list[Decision]]:
    """`decisions` under both; what no change can touch is decided once. Raises `StoreUnavailable`."""
    was = decisions(traffic, before)
    touched = _touched(traffic, before, after)
    will = list(was)
    if touched:
        for place, decision in zip(touched, decisions([traffic[i] for i in touched], after), strict=True):
            will[place] = decision
    return was, will


def _touched(traffic: Sequence[Visit], before: Snapshot, after: Snapshot) -> list[int]:
    """The visits that a difference between the snapshots can reach.

    Limits that decide about one visit together reach each other: what one refuses, the other does not charge.
    """
    pairs = [(_limits(visit, before), _limits(visit, after)) for visit in traffic]
    together = {pair: frozenset(rule.name for rule in (*pair[0], *pair[1])) for pair in set(pairs)}
    reached = {name for pair, names in together.items() if pair[0] != pair[1] for name in names}
    while further := {name for names in together.values() if not names.isdisjoint(reached) for name in names - reached}:
        reached |= further
    is_touched = {pair: not names.isdisjoint(reached) for pair, names in together.items()}
    return [place for place, pair in enumerate(pairs) if is_touched[pair]]


def cached(traffic: Sequence[Visit], refused: Sequence[Decision], snapshot: Snapshot) -> CacheTally:
    """What the cache policies of ``snapshot`` do with visits that are not refused.

    An entry is taken to be computed in the time that its route takes on average, to be stored where it was storable
    when it was recorded, and to be dropped by nothing but its age.
    """
    tally, stored, costs = CacheTally(), dict[str, int](), _computing_seconds(traffic)
    for visit, decision in zip(traffic, refused, strict=True):
        if not visit.entry or decision.is_blocked:
            continue
        rule = _match(visit, snapshot).cache
        seconds = costs.get(visit.view_name, 0.0)
        age = (visit.at - stored[visit.entry]) / SECOND if visit.entry in stored else None
        match _freshness(rule, age):
            case "hit":
                tally.hits += 1
            case "stale":
                tally.stale += 1
                tally.origin_seconds += seconds
                stored[visit.entry] = visit.at
            case _:
                tally.misses += 1
                tally.origin_seconds += seconds
                if visit.cache != "unstorable" and visit.status < 400:
                    stored[visit.entry] = visit.at
    return tally


def _freshness(rule: CacheRule | None, age: float | None) -> str:
    """Without a policy the view's own TTL counts, which the record does not have: then nothing is spared."""
    if rule is None or rule.ttl <= 0 or age is None:
        return "miss"
    if age < rule.ttl:
        return "hit"
    return "stale" if age < rule.ttl + rule.stale_while_revalidate else "miss"


def _computing_seconds(traffic: Sequence[Visit]) -> dict[str, float]:
    """Route → seconds that computing took on average."""
    sums: dict[str, tuple[float, int]] = {}
    for visit in traffic:
        if visit.cache in COMPUTED and visit.status < 400:
            total, count = sums.get(visit.view_name, (0.0, 0))
            sums[visit.view_name] = total + visit.app_seconds, count + 1
    return {view: total / count for view, (total, count) in sums.items()}


def _match(visit: Visit, snapshot: Snapshot) -> Any:
    return snapshot.match(visit.path, visit.view_name, visit.method, visit.roles, visit.signed_in, visit.throttle_scope)


def _limits(visit: Visit, snapshot: Snapshot) -> tuple[LimitRule, ...]:
    limits: tuple[LimitRule, ...] = () if visit.verdict == "exempt" else _match(visit, snapshot).limits
    return limits


def _question(visits: Sequence[Visit], limits: Sequence[tuple[LimitRule, ...]]) -> str:
    """What replay.lua is asked; rules are told once and named by their places."""
    places: dict[int, int] = {}
    rules: list[Sequence[Any]] = []
    asked: list[list[Any]] = []
    for visit, concerning in zip(visits, limits, strict=True):
        one: list[Any] = [visit.at]
        for rule in concerning:
            place = places.get(id(rule))
            if place is None:
                place = places[id(rule)] = len(rules)
                rules.append(
                    (
                        rule.algorithm, rule.limit, rule.period * SECOND, rule.capacity, rule.cost, rule.observe,
                        rule.penalty,
                    )
                )  # fmt: skip
            one += (place, _counter(rule, visit))
        asked.append(one)
    return json.dumps({"rules": rules, "visits": asked}, separators=(",", ":"))


def _counter(rule: LimitRule, visit: Visit) -> str:
    """Under its name: a policy that is not saved yet has no id."""
    return f"{rule.name}:{rule.algorithm}:{'/'.join(visit.counted_as(rule.count_by))}"


def _decision(rules: tuple[LimitRule, ...], allowed: bytes) -> Decision:
    if b"0" not in allowed:
        return _ALLOWED
    refusing = [rule for rule, answer in zip(rules, allowed, strict=True) if answer == ord("0")]
    return Decision(
        tuple(rule for rule in refusing if not rule.observe), tuple(rule for rule in refusing if rule.observe)
    )


_ALLOWED = Decision()


def _forget(scratch: str) -> None:
    try:
        store.ask(lambda client: client.unlink(scratch))
    except StoreUnavailable:
        return  # it expires by itself
