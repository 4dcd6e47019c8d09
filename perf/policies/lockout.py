"""Would these policies lock the person out who makes them? Pure; matched by the snapshot's own code.

Only what a change makes worse is held against it: who is in a corner already must be able to get out of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from perf.models import AccessRule
from perf.policies.snapshot import AccessTable, AccessVerdict, IPAddress, LimitRule, RuleIndex, Snapshot

# An admin page is three or four clicks from a change of policy, and a page that is asked for again counts again.
ENOUGH_PER_MINUTE = 30
METHODS = ("GET", "POST")

RuleId = int | str


@dataclass(frozen=True, slots=True)
class Person:
    """Who changes policies, signed in: what policies see of it."""

    user_id: str
    roles: frozenset[str]
    address: IPAddress | None


@dataclass(frozen=True, slots=True)
class Page:
    """A page that has to stay within reach."""

    path: str
    view_name: str


@dataclass(frozen=True, slots=True)
class Restriction:
    """A limit that leaves too little on a page. ``per_minute`` counts requests, over the limit's own period."""

    rule: LimitRule
    page: Page
    per_minute: float


def blocking(rules: Iterable[AccessRule], person: Person, now: float) -> list[AccessRule]:
    """Those of ``rules``, as they are about to be saved, that would block ``person`` at Unix time ``now``."""
    return [rule for rule in rules if rule.enabled and _says(rule, person, now) == AccessRule.Effect.BLOCKED]


def restrictions(
    limits: Sequence[LimitRule], rules: Iterable[AccessRule], person: Person, pages: Iterable[Page], now: float
) -> dict[RuleId, Restriction]:
    """The enabled ``limits`` that decide on ``pages`` and leave ``person`` too little, by their ids.

    Args:
        rules: the access rules that hold beside them. Whom one exempts without an end, no limit concerns.
    """
    if any(
        rule.enabled and rule.expires_at is None and _says(rule, person, now) == AccessRule.Effect.EXEMPT
        for rule in rules
    ):
        return {}
    snapshot = Snapshot(0, RuleIndex(()), RuleIndex(limits), AccessTable({}, {}, {}))
    found: dict[RuleId, Restriction] = {}
    for page in pages:
        for method in METHODS:
            for rule in snapshot.match(page.path, page.view_name, method, person.roles, True).limits:
                per_minute = _per_minute(rule)
                if not rule.observe and per_minute < ENOUGH_PER_MINUTE:
                    found.setdefault(rule.id, Restriction(rule, page, per_minute))
    return found


def made_worse(before: Mapping[RuleId, Restriction], after: Mapping[RuleId, Restriction]) -> list[Restriction]:
    """What a change takes from the person: limits that decide now and did not, or leave less than they did."""
    return [
        restriction
        for id, restriction in after.items()
        if id not in before or restriction.per_minute < before[id].per_minute
    ]


def _per_minute(rule: LimitRule) -> float:
    return rule.limit * 60 / (rule.period * rule.cost) if rule.cost else float("inf")


def _says(rule: AccessRule, person: Person, now: float) -> str:
    """The effect of one rule on the person; nothing where it is about others."""
    verdict = AccessVerdict(
        rule=rule.name,
        effect=rule.effect,
        reason=rule.reason,
        expires_at=rule.expires_at.timestamp() if rule.expires_at else None,
    )
    table = AccessTable(
        users={str(rule.user_id): [verdict]} if rule.user_id is not None else {},
        roles={rule.role: [verdict]} if rule.role else {},
        networks={rule.network: [verdict]} if rule.network else {},
    )
    said = table.verdict(person.user_id, person.roles, person.address, now)
    return said.effect if said else ""
