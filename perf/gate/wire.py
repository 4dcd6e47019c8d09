"""How the gate's questions cross the wire: keys and arguments of its scripts, in the order their headers document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import counter_keys
from perf.gate.inquiry import EntryQuery, Inquiry, Plan
from perf.gate.scripts import load_script
from perf.gate.store import Call

SECOND = 1_000_000  # microseconds


def gate_call(inquiry: Inquiry, plan: Plan, query: EntryQuery | None, riders: Sequence[str | int]) -> Call:
    """Ask gate.lua about ``plan``, and ``query`` of the cache in the same script, with ``riders`` for statistics."""
    caller, revision = inquiry.caller, keys.revision()
    counters = [counter_keys(rule, caller) for rule in plan.limits]
    script_keys = [
        revision,
        keys.identity(caller.user_id) if caller.version and caller.user_id else revision,
        *(names[0] for names in counters),
        keys.statistics(),
        keys.ranking(),
    ]
    if query is not None:
        script_keys += _entry_keys(query)
    for names in counters:
        script_keys += names[1:]
    mode = "blocked" if plan.forbidden else "quiet" if inquiry.quiet else "count"
    arguments: list[Any] = [plan.snapshot.number, caller.version, mode, len(plan.limits)]
    if query is None:
        arguments += ("", "", 0, 0, 0, 0, "", 0, b"", "", 0, "")
    else:
        arguments += ("get", query.rule_id, *_entry_arguments(query))
    for rule, names in zip(plan.limits, counters, strict=True):
        arguments += (
            rule.id,
            rule.algorithm,
            rule.limit,
            rule.period * SECOND,
            rule.capacity,
            rule.cost,
            "observe" if rule.observe else "",
            "penalty" if rule.penalty else "",
            setting("MAX_CLIENTS") if len(names) > 1 else 0,
        )
    return Call(load_script("gate"), script_keys, [*arguments, *riders])


def look_up_call(query: EntryQuery) -> Call:
    """Ask look_up.lua, where entries are in slots of their own."""
    invalidations, entry, lease = _entry_keys(query)
    return Call(load_script("look_up"), [entry, lease, invalidations], _entry_arguments(query))


def release_call(entry_key: str, token: str, unstorable_ms: int = 0) -> Call:
    """End a lease without an entry; for ``unstorable_ms`` others need not take one."""
    return Call(
        load_script("release_lease"),
        [entry_key, keys.lease(entry_key), keys.wake(entry_key, token)],
        [token, unstorable_ms],
    )


def _entry_keys(query: EntryQuery) -> tuple[str, str, str]:
    return keys.invalidations(keys.cache_tag(query.key)), query.key, keys.lease(query.key)


def _entry_arguments(query: EntryQuery) -> list[Any]:
    return [
        round(query.ttl * SECOND),
        round(query.stale_while_revalidate * SECOND),
        round(query.stale_if_error * SECOND),
        round(query.negative_ttl * SECOND),
        "origin" if query.honours_origin else "",
        query.early,
        query.known_etag,
        query.token,
        round(setting("LEASE_SECONDS") * 1000),
        " ".join(query.tags),
    ]
