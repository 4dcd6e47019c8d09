"""What is asked of the gate: the facts of a request, and these matched against a snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest

from perf.gate.callers import Caller
from perf.gate.outcome import Forbidden
from perf.policies.snapshot import CacheRule, LimitRule, Snapshot


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """What the cache is asked. Times in seconds; ``rule_id`` names the policy in the statistics.

    ``early`` times the seconds an entry took to compute is how long before its end it is refreshed.
    """

    key: str
    rule_id: str
    ttl: float
    stale_while_revalidate: float
    stale_if_error: float
    negative_ttl: float
    honours_origin: bool
    early: float
    known_etag: bytes
    token: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The facts of a request that decide about it.

    ``limited`` asks for the rate-limit policies of the route; ``own_limits`` adds limits written in code, and
    ``named_limits`` policies by name. ``query_for`` makes the cache query from the cache policy that matches, or None
    where the response is not to be cached; leave it None if there is no cache. ``quiet`` counts no statistics.
    ``throttle_scope`` is what a DRF view calls its group of limits.
    """

    method: str
    path: str
    view_name: str
    caller: Caller
    limited: bool = False
    own_limits: tuple[LimitRule, ...] = ()
    named_limits: tuple[str, ...] = ()
    throttle_scope: str = ""
    query_for: Callable[[CacheRule | None], EntryQuery | None] | None = None
    quiet: bool = False

    @classmethod
    def about(cls, request: HttpRequest, caller: Caller, **facts: Any) -> Inquiry:
        """The inquiry about a Django request; ``facts`` are the fields from ``limited`` on."""
        match = request.resolver_match
        return cls(
            method=request.method or "GET",
            path=request.path_info,
            view_name=match.view_name if match else "",
            caller=caller,
            **facts,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """An inquiry matched against one snapshot: what has to be asked of Redis."""

    snapshot: Snapshot
    forbidden: Forbidden | None
    limits: tuple[LimitRule, ...]
    query: EntryQuery | None
    is_exempt: bool = False


def plan_for(inquiry: Inquiry, snapshot: Snapshot) -> Plan:
    """Match ``inquiry`` against ``snapshot``; no I/O."""
    caller = inquiry.caller
    verdict = snapshot.access.verdict(caller.user_id, caller.roles, caller.address, time.time())
    if verdict is not None and verdict.effect == "blocked":
        return Plan(snapshot, Forbidden(verdict.rule, verdict.reason), (), None)
    match = snapshot.match(
        inquiry.path,
        inquiry.view_name,
        inquiry.method,
        caller.roles,
        caller.user_id is not None,
        inquiry.throttle_scope,
    )
    limits: tuple[LimitRule, ...] = ()
    if verdict is None:
        if inquiry.limited:
            limits = match.limits
        if inquiry.own_limits or inquiry.named_limits:
            limits += _chosen_limits(inquiry, snapshot)
    query = inquiry.query_for(match.cache) if inquiry.query_for else None
    return Plan(snapshot, None, limits, query, is_exempt=verdict is not None)


def _chosen_limits(inquiry: Inquiry, snapshot: Snapshot) -> tuple[LimitRule, ...]:
    caller = inquiry.caller
    named = [snapshot.by_name[name] for name in inquiry.named_limits if name in snapshot.by_name]
    if caller.key is not None:
        named = [replace(rule, count_by="key") for rule in named]
    return tuple(
        rule for rule in (*named, *inquiry.own_limits) if rule.concerns(caller.roles, caller.user_id is not None)
    )
