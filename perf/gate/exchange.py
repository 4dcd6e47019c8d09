"""Request facts + snapshot -> one script call -> outcome. Every request's way to Redis goes through `enter`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest

from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import Caller, counter_keys
from perf.gate.keeper import keeper
from perf.gate.labels import seal_label
from perf.gate.local import limiter
from perf.gate.notes import notes
from perf.gate.outcome import (
    Admission,
    Allowed,
    Blocked,
    CacheAnswer,
    CacheState,
    Forbidden,
    IdentityChanged,
    LimitState,
    Outcome,
    Unavailable,
)
from perf.gate.revision import current
from perf.gate.scripts import load_script
from perf.gate.store import StoreUnavailable, store
from perf.policies.snapshot import CacheRule, LimitRule, Snapshot

SECOND = 1_000_000  # microseconds
MAX_RELOADS = 5
STORE_RETRY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """What the cache is asked. Times in seconds; ``rule_id`` names the policy in the statistics."""

    key: str
    rule_id: str
    ttl: float
    stale_while_revalidate: float
    stale_if_error: float
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
class _Plan:
    """An inquiry matched against one snapshot."""

    snapshot: Snapshot
    forbidden: Forbidden | None
    limits: tuple[LimitRule, ...]
    query: EntryQuery | None


def enter(inquiry: Inquiry) -> Outcome | IdentityChanged:
    """Ask the gate. Never raises for a Redis that fails: then each policy's ``on_store_error`` decides."""
    started = time.perf_counter()
    keeper.ensure_running()
    riders = notes.take()
    try:
        plan, reply = _exchange(inquiry, riders)
    except StoreUnavailable:
        notes.put_back(riders)
        plan = _plan(inquiry, current.last_known())
        return _without_store(inquiry, plan, started)
    if reply[0] == b"changed":
        notes.put_back(riders)
        return IdentityChanged(reply[1].decode())
    _, now, decisions, cache = reply
    admission = _admission(plan, decisions)
    _note_blocked(inquiry.caller, admission)
    return Outcome(
        admission=admission,
        cache=_cache_answer(cache, now) if cache else None,
        revision=plan.snapshot.number,
        seconds=time.perf_counter() - started,
        identity_checked=True,
    )


def _exchange(inquiry: Inquiry, riders: Sequence[str | int]) -> tuple[_Plan, Any]:
    script = load_script("gate")
    snapshot = current.get()
    for _ in range(MAX_RELOADS):
        plan = _plan(inquiry, snapshot)
        reply = store.run(script, _keys(inquiry, plan), [*_arguments(inquiry, plan), *riders])
        if reply[0] != b"behind":
            return plan, reply
        snapshot = current.catch_up(snapshot, reply[1].decode())
    raise StoreUnavailable("policies change faster than they can be read")


def _plan(inquiry: Inquiry, snapshot: Snapshot) -> _Plan:
    caller = inquiry.caller
    verdict = snapshot.access.verdict(caller.user_id, caller.roles, caller.address, time.time())
    if verdict is not None and verdict.effect == "blocked":
        return _Plan(snapshot, Forbidden(verdict.rule, verdict.reason), (), None)
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
    return _Plan(snapshot, None, limits, query)


def _chosen_limits(inquiry: Inquiry, snapshot: Snapshot) -> tuple[LimitRule, ...]:
    caller = inquiry.caller
    named = [snapshot.by_name[name] for name in inquiry.named_limits if name in snapshot.by_name]
    if caller.key is not None:
        named = [replace(rule, count_by="key") for rule in named]
    return tuple(
        rule for rule in (*named, *inquiry.own_limits) if rule.concerns(caller.roles, caller.user_id is not None)
    )


def _keys(inquiry: Inquiry, plan: _Plan) -> list[str]:
    caller, revision = inquiry.caller, keys.revision()
    return [
        revision,
        keys.identity(caller.user_id) if caller.version and caller.user_id else revision,
        keys.statistics(),
        keys.ranking(),
        keys.invalidations(),
        plan.query.key if plan.query else revision,
        keys.lease(plan.query.key) if plan.query else revision,
        *(key for rule in plan.limits for key in counter_keys(rule, caller)),
    ]


def _arguments(inquiry: Inquiry, plan: _Plan) -> list[Any]:
    mode = "blocked" if plan.forbidden else "quiet" if inquiry.quiet else "count"
    arguments: list[Any] = [plan.snapshot.number, inquiry.caller.version, mode, len(plan.limits)]
    query = plan.query
    if query is None:
        arguments += ("", "", 0, 0, 0, b"", "", 0, "")
    else:
        arguments += (
            "get",
            query.rule_id,
            round(query.ttl * SECOND),
            round(query.stale_while_revalidate * SECOND),
            round(query.stale_if_error * SECOND),
            query.known_etag,
            query.token,
            round(setting("LEASE_SECONDS") * 1000),
            " ".join(query.tags),
        )
    for rule in plan.limits:
        arguments += (
            rule.id,
            rule.algorithm,
            rule.limit,
            rule.period * SECOND,
            rule.capacity,
            rule.cost,
            "observe" if rule.observe else "",
            "penalty" if rule.penalty else "",
            setting("MAX_CLIENTS") if len(counter_keys(rule, inquiry.caller)) > 1 else 0,
        )
    return arguments


def _admission(plan: _Plan, decisions: Sequence[Sequence[int]]) -> Admission:
    if plan.forbidden:
        return plan.forbidden
    states = tuple(
        LimitState(rule, bool(allowed), remaining, reset / SECOND, wait / SECOND)
        for rule, (allowed, remaining, reset, wait) in zip(plan.limits, decisions, strict=True)
    )
    return _judged(states)


def _judged(states: tuple[LimitState, ...]) -> Admission:
    violated = tuple(state for state in states if not state.allowed and not state.rule.observe)
    return Blocked(states, violated) if violated else Allowed(states)


def _cache_answer(reply: Sequence[Any], now: int) -> CacheAnswer:
    state, age, blob = reply
    return CacheAnswer(CacheState(state.decode()), age / SECOND, blob, now)


def _note_blocked(caller: Caller, admission: Admission) -> None:
    """Who was blocked is noted for the ranking; only blocked requests pay for it."""
    if isinstance(admission, Blocked):
        notes.note(f"!{seal_label(caller.label(admission.violated[0].rule.count_by))}")


def _note_decided(inquiry: Inquiry, admission: Admission) -> None:
    """What was decided without Redis is counted as soon as it is back, as its script would have."""
    if inquiry.quiet:
        return
    if isinstance(admission, Allowed | Blocked):
        all_allow = isinstance(admission, Allowed)
        for state in admission.limits:
            outcome = "allowed" if state.allowed else "observed" if state.rule.observe else "blocked"
            if all_allow or outcome != "allowed":
                notes.note(f"limit:{state.rule.id}:{outcome}")
        notes.note("request:allowed" if all_allow else "request:blocked")
        _note_blocked(inquiry.caller, admission)
    elif isinstance(admission, Forbidden):
        notes.note("rule:blocked")


def _without_store(inquiry: Inquiry, plan: _Plan, started: float) -> Outcome:
    """Decide without Redis: deny wins, then what this process itself has counted."""
    denied = tuple(rule.name for rule in plan.limits if rule.on_store_error == "deny" and not rule.observe)
    admission: Admission
    if plan.forbidden:
        admission = plan.forbidden
    elif denied:
        admission = Unavailable(denied, STORE_RETRY_SECONDS)
    else:
        local = [
            (rule, "\0".join(inquiry.caller.counted_as(rule.count_by)))
            for rule in plan.limits
            if rule.on_store_error == "local"
        ]
        admission = _judged(limiter.decide(local, int(setting("PROCESSES"))))
    _note_decided(inquiry, admission)
    notes.note("request:store_down")
    return Outcome(
        admission=admission,
        cache=CacheAnswer(CacheState.STORE_DOWN) if plan.query else None,
        revision=plan.snapshot.number,
        seconds=time.perf_counter() - started,
        identity_checked=not inquiry.caller.version,
    )
