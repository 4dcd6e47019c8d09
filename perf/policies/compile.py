"""Rows -> snapshot: reads all enabled policies and freezes them. The only part of policies that queries."""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from django.db import router

from perf.models import AccessRule, CachePolicy, Policy, PolicyHead, RateLimitPolicy
from perf.policies.revisions import head_number
from perf.policies.routes import parse_route
from perf.policies.snapshot import AccessTable, AccessVerdict, CacheRule, LimitRule, RuleIndex, Snapshot

PolicyT = TypeVar("PolicyT", CachePolicy, RateLimitPolicy)


def load_snapshot() -> Snapshot:
    """Compile the newest committed policies.

    The number is read before the rows: a change between the two makes the snapshot newer than its number, which
    costs one more load, and never older.
    """
    using = router.db_for_write(PolicyHead)
    number = head_number(using)
    limits = [limit_rule(policy) for policy in RateLimitPolicy.objects.using(using).filter(enabled=True).iterator()]
    return Snapshot(
        number=number,
        caches=RuleIndex(
            cache_rule(policy) for policy in CachePolicy.objects.using(using).filter(enabled=True).iterator()
        ),
        limits=RuleIndex(limits),
        access=_access_table(using),
        by_name={rule.name: rule for rule in limits},
    )


def snapshot_with(edited: CachePolicy | RateLimitPolicy) -> Snapshot:
    """The newest committed policies, but for one as it stands in a form; a new one has no primary key yet."""
    using = router.db_for_write(PolicyHead)
    limits = _with_edited(RateLimitPolicy, edited, using)
    rules = [limit_rule(policy) for policy in limits]
    return Snapshot(
        number=head_number(using),
        caches=RuleIndex(cache_rule(policy) for policy in _with_edited(CachePolicy, edited, using)),
        limits=RuleIndex(rules),
        access=_access_table(using),
        by_name={rule.name: rule for rule in rules},
    )


def _with_edited(model: type[PolicyT], edited: Policy, using: str) -> list[PolicyT]:
    rows = [
        policy for policy in model.objects.using(using).all() if policy.pk != edited.pk or type(edited) is not model
    ]
    if isinstance(edited, model):
        rows.append(edited)
    return [policy for policy in rows if policy.enabled]


def cache_rule(policy: CachePolicy) -> CacheRule:
    """Compile one cache policy."""
    return CacheRule(
        id=policy.pk,
        name=policy.name,
        position=policy.position,
        route=parse_route(policy.route),
        methods=frozenset(policy.methods),
        ttl=policy.ttl,
        ttl_jitter=policy.ttl_jitter,
        stale_while_revalidate=policy.stale_while_revalidate,
        stale_if_error=policy.stale_if_error,
        negative_ttl=policy.negative_ttl,
        honour_origin_headers=policy.honour_origin_headers,
        shared_by=policy.shared_by,
        vary_on_headers=tuple(sorted({name.lower() for name in policy.vary_on_headers})),
        ignore_params=tuple(policy.ignore_params),
        max_body_bytes=policy.max_body_bytes,
        tags=tuple(policy.tags),
    )


def limit_rule(policy: RateLimitPolicy) -> LimitRule:
    """Compile one rate-limit policy."""
    return LimitRule(
        id=policy.pk,
        name=policy.name,
        scope=policy.scope,
        position=policy.position,
        route=parse_route(policy.route),
        methods=frozenset(policy.methods),
        roles=frozenset(policy.roles),
        observe=policy.mode == RateLimitPolicy.Mode.OBSERVE,
        count_by=policy.count_by,
        algorithm=policy.algorithm,
        limit=policy.limit,
        period=policy.period,
        capacity=policy.capacity,
        cost=policy.cost,
        penalty=policy.penalty,
        on_store_error=policy.on_store_error,
    )


def _access_table(using: str) -> AccessTable:
    users: dict[str, list[AccessVerdict]] = defaultdict(list)
    roles: dict[str, list[AccessVerdict]] = defaultdict(list)
    networks: dict[str, list[AccessVerdict]] = defaultdict(list)
    for rule in AccessRule.objects.using(using).filter(enabled=True).iterator():
        verdict = AccessVerdict(
            rule=rule.name,
            effect=rule.effect,
            reason=rule.reason,
            expires_at=rule.expires_at.timestamp() if rule.expires_at else None,
        )
        if rule.network:
            networks[rule.network].append(verdict)
        elif rule.role:
            roles[rule.role].append(verdict)
        else:
            users[str(rule.user_id)].append(verdict)
    return AccessTable(users, roles, networks)
