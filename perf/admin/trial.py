"""What would become of a request: who decides it, where its client stands, what its headers would say.

Nothing is counted, stored or sent: policies are read from the database, counters by `perf.gate.standings`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.utils.translation import gettext as _

from perf.admin.viewed import Viewed, described_request, view_of
from perf.caching.identity import kept_parameters
from perf.caching.lookup import Terms, terms_of
from perf.conf import setting
from perf.gate.callers import Caller
from perf.gate.exchange import STORE_RETRY_SECONDS
from perf.gate.inquiry import Inquiry, plan_for
from perf.gate.outcome import Admission, Allowed, Blocked, Forbidden, LimitState, Unavailable
from perf.gate.standings import Standing, read_standings
from perf.gate.store import StoreUnavailable
from perf.models import AccessRule, CachePolicy, PolicyHead, RateLimitPolicy
from perf.policies.compile import cache_rule, limit_rule
from perf.policies.explain import AccessEntry, Explanation, Listed, ListedPolicies, RequestFacts, explain
from perf.policies.revisions import head_number
from perf.policies.snapshot import AccessVerdict, LimitRule
from perf.rate_limit_headers import rate_limit_headers


@dataclass(frozen=True, slots=True)
class Header:
    """A header as it would be sent; ``when`` says in which case, empty for always."""

    name: str
    value: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """All that is known of a request beforehand.

    ``limits`` are those that would be asked. ``standings`` is None where Redis is away, and ``store_reason`` says why.
    ``uncounted`` are limits in code that count by a key only a call has. ``terms`` is None where nothing is cached, and
    ``parameters`` are those that the entry's key contains.
    """

    facts: RequestFacts
    caller: Caller
    revision: int
    viewed: Viewed | None
    explanation: Explanation
    admission: Admission | None
    is_exempt: bool
    limits: tuple[LimitRule, ...]
    standings: tuple[Standing, ...] | None
    store_reason: str
    uncounted: tuple[LimitRule, ...]
    terms: Terms | None
    parameters: tuple[tuple[str, str], ...]
    headers: tuple[Header, ...]


def try_request(caller: Caller, method: str, path: str, query: str = "", user: Any = None) -> Trial:
    """Find out what would become of a request of ``caller``.

    Args:
        path: percent-encoded, as in an address bar; ``query`` without its question mark.
        user: whose request the view is made for; nobody's by default.
    """
    request = described_request(method, path, query)
    viewed = view_of(request, user)
    facts = RequestFacts(
        path=request.path_info,
        view_name=viewed.name if viewed else "",
        method=method,
        user_id=caller.user_id,
        roles=caller.roles,
        address=caller.address,
        throttle_scope=viewed.throttle_scope if viewed else "",
    )
    policies, now = read_policies(), time.time()
    snapshot = policies.snapshot()
    explanation = explain(facts, policies, snapshot, now)
    own_limits = viewed.own_limits if viewed else ()
    plan = plan_for(
        Inquiry(
            method=method,
            path=facts.path,
            view_name=facts.view_name,
            caller=caller,
            limited=viewed is not None and viewed.asks_policies,
            own_limits=tuple(rule for rule in own_limits if rule.count_by != "key"),
            throttle_scope=facts.throttle_scope,
        ),
        snapshot,
    )
    asks_gate = viewed is not None and viewed.asks_gate
    standings, store_reason = _standings(plan.limits, caller)
    admission = _admission(plan.forbidden if asks_gate else None, plan.limits, standings, now)
    rule = next((row.policy for row in explanation.caches if row.decides), None)
    settings = viewed.cache if viewed and viewed.has_method and not plan.forbidden else None
    terms = terms_of(rule, settings, facts.view_name) if settings else None
    if terms is not None and (terms.ttl <= 0 or method not in ("GET", "HEAD")):
        terms = None
    return Trial(
        facts=facts,
        caller=caller,
        revision=policies.number,
        viewed=viewed,
        explanation=explanation,
        admission=admission,
        is_exempt=asks_gate and plan.is_exempt,
        limits=plan.limits,
        standings=standings,
        store_reason=store_reason,
        uncounted=tuple(rule for rule in own_limits if rule.count_by == "key"),
        terms=terms,
        parameters=tuple(kept_parameters(request, terms.ignore_params)) if terms else (),
        headers=tuple(_headers(facts.path, admission, terms, can_store=method == "GET" and standings is not None)),
    )


def read_policies() -> ListedPolicies:
    """All policies for requests as they are in the database."""
    using = router.db_for_write(PolicyHead)
    return ListedPolicies(
        number=head_number(using),
        limits=[Listed(limit_rule(each), each.enabled) for each in RateLimitPolicy.objects.using(using).all()],
        caches=[Listed(cache_rule(each), each.enabled) for each in CachePolicy.objects.using(using).all()],
        access=[
            Listed(_access_entry(each), each.enabled) for each in AccessRule.objects.using(using).select_related("user")
        ],
    )


def as_decided(standings: Sequence[Standing], now: float) -> Allowed | Blocked:
    """What the gate would say at Unix time ``now`` of the next request of a client that stands so.

    It repeats the arithmetic of settle.lua on what can be read from outside: ``wait`` is at least that long.
    """
    allowed = [standing.remaining >= standing.rule.cost for standing in standings]
    all_allow = all(yes or standing.rule.observe for yes, standing in zip(allowed, standings, strict=True))
    states = tuple(
        _state_after(standing, yes, charged=all_allow if yes else standing.rule.penalty, now=now)
        for yes, standing in zip(allowed, standings, strict=True)
    )
    violated = tuple(state for state in states if not state.allowed and not state.rule.observe)
    return Blocked(states, violated) if violated else Allowed(states)


def _state_after(standing: Standing, allowed: bool, charged: bool, now: float) -> LimitState:
    rule = standing.rule
    cost = rule.cost if charged else 0
    reset = standing.reset
    if not standing.used:
        match rule.algorithm:
            case "fixed_window":
                reset = rule.period - now % rule.period
            case "token_bucket":
                reset = rule.period / rule.limit if cost else 0.0
            case _:
                reset = float(rule.period) if cost else 0.0
    return LimitState(rule, allowed, max(0, standing.remaining - cost), reset, 0.0 if allowed else reset)


def _standings(limits: Sequence[LimitRule], caller: Caller) -> tuple[tuple[Standing, ...] | None, str]:
    try:
        return tuple(read_standings(limits, caller)), ""
    except StoreUnavailable as reason:
        return None, str(reason)


def _admission(
    forbidden: Forbidden | None,
    limits: Sequence[LimitRule],
    standings: Sequence[Standing] | None,
    now: float,
) -> Admission | None:
    """None where Redis is away and what each process counts by itself decides."""
    if forbidden:
        return forbidden
    if standings is not None:
        return as_decided(standings, now)
    if denied := tuple(rule.name for rule in limits if rule.on_store_error == "deny" and not rule.observe):
        return Unavailable(denied, STORE_RETRY_SECONDS)
    return None if any(rule.on_store_error == "local" for rule in limits) else Allowed()


def _headers(path: str, admission: Admission | None, terms: Terms | None, can_store: bool) -> Iterator[Header]:
    if not path.startswith(setting("PATH_PREFIX")):
        return
    if admission is not None:
        yield from (Header(name, value) for name, value in rate_limit_headers(admission))
    yield from _cache_headers(terms if isinstance(admission, Allowed | None) else None, can_store)


def _cache_headers(terms: Terms | None, can_store: bool) -> Iterator[Header]:
    cache = setting("CACHE_NAME")
    if terms is None:
        yield Header("Cache-Status", f"{cache}; fwd=bypass")
        return
    least, most = (math.floor(terms.ttl * (1 + sign * terms.ttl_jitter / 100)) for sign in (-1, 1))
    ttl = str(most) if least == most else f"{least}…{most}"
    yield Header("Cache-Status", f"{cache}; hit; ttl=0…{most}", _("where the answer is cached and fresh"))
    stored = "; stored" if can_store else ""
    yield Header("Cache-Status", f"{cache}; fwd=miss{stored}; ttl={ttl}", _("where it is computed"))
    who = "public" if terms.shared_by == "everyone" else "private"
    says = _("unless the view sends its own, which counts") if terms.honours_origin else ""
    yield Header("Cache-Control", f"{who}, max-age={ttl}", says)


def _access_entry(rule: AccessRule) -> AccessEntry:
    return AccessEntry(
        AccessVerdict(
            rule=rule.name,
            effect=rule.effect,
            reason=rule.reason,
            expires_at=rule.expires_at.timestamp() if rule.expires_at else None,
        ),
        network=rule.network,
        role=rule.role,
        user_id="" if rule.user_id is None else str(rule.user_id),
        user_name="" if rule.user is None else rule.user.get_username(),
        id=rule.pk,
    )
