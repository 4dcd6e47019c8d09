"""Inquiry + snapshot -> the exchange with Redis -> outcome. Every request's way to Redis goes through `enter`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import Caller
from perf.gate.inquiry import EntryQuery, Inquiry, Plan, plan_for
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
from perf.gate.store import StoreUnavailable, store
from perf.gate.wire import SECOND, gate_call, look_up_call, release_call

# Edits must come this often within one request, each in the moment between a reload and the next question.
MAX_RELOADS = 50
STORE_RETRY_SECONDS = 2.0
_LEASED = (b"miss", b"refresh")


def enter(inquiry: Inquiry) -> Outcome | IdentityChanged:
    """Ask the gate. Never raises for a Redis that fails: then each policy's ``on_store_error`` decides."""
    started = time.perf_counter()
    keeper.ensure_running()
    riders = notes.take_if_due()
    try:
        plan, reply = _exchange(inquiry, riders)
    except StoreUnavailable:
        notes.put_back(riders)
        plan = plan_for(inquiry, current.last_known())
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
        decided_at=now,
        is_exempt=plan.is_exempt,
    )


def _exchange(inquiry: Inquiry, riders: Sequence[str | int]) -> tuple[Plan, Any]:
    snapshot = current.get()
    for _ in range(MAX_RELOADS):
        plan = plan_for(inquiry, snapshot)
        reply = _ask(inquiry, plan, riders)
        if reply[0] != b"behind":
            return plan, reply
        snapshot = current.catch_up(snapshot, reply[1].decode())
    raise StoreUnavailable("policies change faster than they can be read")


def _ask(inquiry: Inquiry, plan: Plan, riders: Sequence[str | int]) -> Any:
    """The reply of gate.lua, or of two scripts. A lease that Redis gives after we stopped listening is given back."""
    try:
        return _ask_both(inquiry, plan, riders)
    except StoreUnavailable as reason:
        if plan.query is not None and reason.was_asked:
            give_back_later(plan.query.key, plan.query.token)
        raise


def _ask_both(inquiry: Inquiry, plan: Plan, riders: Sequence[str | int]) -> Any:
    """The reply of gate.lua; where entries have slots of their own, joined from two scripts asked side by side."""
    query = plan.query
    if query is None or len(keys.cache_tags()) == 1:
        return store.run(*gate_call(inquiry, plan, query, riders))
    reply, found = store.run_side_by_side(gate_call(inquiry, plan, None, riders), look_up_call(query))
    asked_at, *answer = found
    if reply[0] == b"ok" and _all_allow(plan, reply[2]):
        if not inquiry.quiet:
            notes.note(f"cache:{query.rule_id}:{answer[0].decode()}")
        return reply[0], asked_at, reply[2], answer
    if answer[0] in _LEASED:
        _give_back(query)
    return reply


def _give_back(query: EntryQuery) -> None:
    """The cache gave a lease to a request that is not allowed, or that will ask again."""
    try:
        store.run(*release_call(query.key, query.token))
    except StoreUnavailable:
        give_back_later(query.key, query.token)


def give_back_later(entry_key: str, token: str) -> None:
    """End a lease as soon as Redis is back: a server that hung may grant it long after the request was answered."""
    keeper.deliver(f"release:{token}", lambda: store.run(*release_call(entry_key, token)))


def _all_allow(plan: Plan, decisions: Sequence[Sequence[int]]) -> bool:
    return all(allowed or rule.observe for rule, (allowed, *_) in zip(plan.limits, decisions, strict=True))


def _admission(plan: Plan, decisions: Sequence[Sequence[int]]) -> Admission:
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
    state, age, blob, lifetime = reply
    return CacheAnswer(CacheState(state.decode()), age / SECOND, blob, now, lifetime / SECOND)


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


def _without_store(inquiry: Inquiry, plan: Plan, started: float) -> Outcome:
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
