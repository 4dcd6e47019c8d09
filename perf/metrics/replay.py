"""Recorded traffic under other policies: what would have been refused, and what the cache would have spared.

Limits are decided by replay.lua, with the code that decides live requests, at the times at which the requests came.
Counters begin empty, as nothing is known of what came before the record.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NamedTuple

from perf.gate import keys
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store
from perf.gate.wire import SECOND
from perf.metrics.traffic import COMPUTED, Visit
from perf.policies.snapshot import CacheRule, LimitRule, Snapshot

SCRATCH_SECONDS = 120
# One script decides so many, some milliseconds long: live requests wait no longer than that.
VISITS_AT_A_TIME = 250
# No algorithm counts a request for longer than this many of its periods (see sliding_window.lua: one sub-window more).
COUNTED_AT_MOST = 1.05

Limits = tuple[LimitRule, ...]


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


class Matches:
    """Which policies of a snapshot are about a visit; visits alike are matched once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._known: dict[tuple[Any, ...], Any] = {}

    def limits(self, visit: Visit) -> Limits:
        """The limits that decide; the same tuple for visits alike."""
        limits: Limits = () if visit.verdict == "exempt" else self._match(visit).limits
        return limits

    def cache_rule(self, visit: Visit) -> CacheRule | None:
        """The cache policy, if there is one."""
        rule: CacheRule | None = self._match(visit).cache
        return rule

    def _match(self, visit: Visit) -> Any:
        alike = (visit.path, visit.view_name, visit.method, visit.roles, visit.signed_in, visit.throttle_scope)
        found = self._known.get(alike)
        if found is None:
            found = self._known[alike] = self._snapshot.match(*alike)
        return found


def decisions(traffic: Sequence[Visit], matches: Matches) -> list[Decision]:
    """What limits decide about each visit, in their order. Raises `StoreUnavailable`."""
    return _decided(traffic, [matches.limits(visit) for visit in traffic])


def both_decisions(traffic: Sequence[Visit], before: Matches, after: Matches) -> tuple[list[Decision], list[Decision]]:
    """`decisions` under both; what no change can touch is decided once. Raises `StoreUnavailable`."""
    old, new = ([matches.limits(visit) for visit in traffic] for matches in (before, after))
    was = _decided(traffic, old)
    will = list(was)
    touched = _touched(old, new)
    decided = _decided([traffic[place] for place in touched], [new[place] for place in touched])
    for place, decision in zip(touched, decided, strict=True):
        will[place] = decision
    return was, will


def _decided(visits: Sequence[Visit], limits: Sequence[Limits]) -> list[Decision]:
    found = [_ALLOWED] * len(visits)
    asked = _may_be_refused(visits, limits)
    scratch, script = keys.preview(uuid.uuid4().hex), load_script("replay")
    try:
        for start in range(0, len(asked), VISITS_AT_A_TIME):
            chunk = asked[start : start + VISITS_AT_A_TIME]
            allowed = store.run(script, [scratch], [SCRATCH_SECONDS, _question(chunk)])
            at = 0
            for one in chunk:
                found[one.place] = _decision(one.rules, allowed[at : at + len(one.rules)])
                at += len(one.rules)
    finally:
        if asked:
            _forget(scratch)
    return found


def _may_be_refused(visits: Sequence[Visit], limits: Sequence[Limits]) -> list[_Asked]:
    """The visits that Redis has to decide, with those of their limits that could ever refuse one, by groups.

    A limit under which a client stays with all of its visits refuses none of them, whatever others do, and so decides
    nothing; most clients stay under most limits.
    """
    times: dict[str, list[int]] = defaultdict(list)
    rule_of: dict[str, LimitRule] = {}
    known: dict[tuple[Any, ...], tuple[str, ...]] = {}  # of visits alike, the counters of their limits
    counters: list[tuple[str, ...]] = []
    for visit, rules in zip(visits, limits, strict=True):
        alike = (id(rules), visit.user, visit.address, visit.roles)
        own = known.get(alike)
        if own is None:
            own = known[alike] = tuple(_counter(rule, visit) for rule in rules)
            rule_of.update(zip(own, rules, strict=True))
        counters.append(own)
        for counter in own:
            times[counter].append(visit.at)
    tight = {counter for counter, rule in rule_of.items() if _may_refuse(rule, times[counter])}
    left = {own: tuple(counter for counter in own if counter in tight) for own in set(known.values())}
    kept = {own: (tuple(rule_of[counter] for counter in some), some) for own, some in left.items() if some}
    group_of = groups_of(some for _, some in kept.values())
    groups: dict[str, list[_Asked]] = defaultdict(list)
    for place, (visit, own) in enumerate(zip(visits, counters, strict=True)):
        if own in kept:
            rules, some = kept[own]
            groups[group_of[some[0]]].append(_Asked(place, visit.at, rules, some))
    return list(chain.from_iterable(groups.values()))


def groups_of(together: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Counter -> a counter that names its group: those that decide together, directly or by others, are in one.

    The order of visits matters within a group only, so all visits of a group can be asked one after the other, and
    Redis reads what a client has used once instead of once a visit.
    """
    head: dict[str, str] = {}

    def head_of(counter: str) -> str:
        while (above := head.setdefault(counter, counter)) != counter:
            head[counter] = head[above]
            counter = above
        return counter

    for first, *others in together:
        for other in others:
            head[head_of(other)] = head_of(first)
        head_of(first)
    return {counter: head_of(counter) for counter in list(head)}


def _may_refuse(rule: LimitRule, times: Sequence[int]) -> bool:
    """Whether a limit could refuse a visit of a client that came at ``times`` (microseconds, ascending).

    False is certain: so many were not even charged if all had been admitted. True is not.
    """
    if rule.cost == 0:
        return False
    if rule.algorithm == "token_bucket":
        return len(times) > rule.capacity // rule.cost
    fit = rule.limit // rule.cost
    longest = rule.period * SECOND * COUNTED_AT_MOST
    return any(later - earlier < longest for earlier, later in zip(times, islice(times, fit, None), strict=False))


def _touched(old: Sequence[Limits], new: Sequence[Limits]) -> list[int]:
    """The places of visits that a difference between two policy sets can reach; given are the limits of each visit.

    Limits that decide about one visit together reach each other: what one refuses, the other does not charge.
    """
    pairs = {(id(before), id(after)): (before, after) for before, after in zip(old, new, strict=True)}
    together = {key: frozenset(rule.name for rule in (*pair[0], *pair[1])) for key, pair in pairs.items()}
    reached = {name for key, names in together.items() if pairs[key][0] != pairs[key][1] for name in names}
    while further := {name for names in together.values() if not names.isdisjoint(reached) for name in names - reached}:
        reached |= further
    is_touched = {key: not names.isdisjoint(reached) for key, names in together.items()}
    return [
        place for place, (before, after) in enumerate(zip(old, new, strict=True)) if is_touched[id(before), id(after)]
    ]


def cached(traffic: Sequence[Visit], refused: Sequence[Decision], matches: Matches) -> CacheTally:
    """What cache policies do with visits that are not refused.

    An entry is taken to be computed in the time that its route takes on average, to be stored where it was storable
    when it was recorded, and to be dropped by nothing but its age.
    """
    tally, stored, costs = CacheTally(), dict[str, int](), _computing_seconds(traffic)
    for visit, decision in zip(traffic, refused, strict=True):
        if not visit.entry or decision.is_blocked:
            continue
        rule = matches.cache_rule(visit)
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


class _Asked(NamedTuple):
    """A visit for Redis to decide: its place among all, its time (microseconds), its limits and their counters."""

    place: int
    at: int
    rules: Limits
    counters: tuple[str, ...]


def _question(visits: Sequence[_Asked]) -> str:
    """What replay.lua is asked; rules are told once and named by their places."""
    places: dict[int, int] = {}
    rules: list[Sequence[Any]] = []
    asked: list[list[Any]] = []
    for visit in visits:
        one: list[Any] = [visit.at]
        for rule, counter in zip(visit.rules, visit.counters, strict=True):
            place = places.get(id(rule))
            if place is None:
                place = places[id(rule)] = len(rules)
                rules.append(
                    (
                        rule.algorithm, rule.limit, rule.period * SECOND, rule.capacity, rule.cost, rule.observe,
                        rule.penalty,
                    )
                )  # fmt: skip
            one += (place, counter)
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
