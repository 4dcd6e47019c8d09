"""Why one policy decides a request and the others do not: every policy, with the first reason that keeps it out.

Pure. Which one decides is the snapshot's own verdict, and a reason is found by asking the snapshot's matching about
that one policy alone, so nothing is explained by rules that the gate does not follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Generic, TypeVar

from perf.policies.routes import parse_route
from perf.policies.snapshot import (
    AccessTable,
    AccessVerdict,
    CacheRule,
    IPAddress,
    LimitRule,
    RuleIndex,
    Snapshot,
    decision_order,
)

EVERYWHERE = parse_route("*")


class Reason(Enum):
    """Why a policy decides, or the first thing that keeps it from deciding, in the order of the members."""

    DECIDES = "decides"
    DISABLED = "disabled"
    SUBJECT = "subject"  # an access rule about another network, user or role
    EXPIRED = "expired"  # an access rule that has ended
    METHOD = "method"
    ROUTE = "route"
    ROLE = "role"
    SIGNED_OUT = "signed_out"  # it counts users, and the client is not signed in
    EARLIER = "earlier"  # another one decides, which is named


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The facts of a request that policies look at. ``user_id`` is None where nobody is signed in."""

    path: str
    view_name: str
    method: str
    user_id: str | None
    roles: frozenset[str]
    address: IPAddress | None
    throttle_scope: str = ""


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """An `AccessRule`, compiled: what it says, and of whom; one of ``network``, ``role`` and ``user_id``."""

    verdict: AccessVerdict
    network: str = ""
    role: str = ""
    user_id: str = ""
    user_name: str = ""
    id: int = 0

    @property
    def name(self) -> str:
        return self.verdict.rule


RuleT = TypeVar("RuleT", CacheRule, LimitRule)
PolicyT = TypeVar("PolicyT", CacheRule, LimitRule, AccessEntry)


@dataclass(frozen=True, slots=True)
class Listed(Generic[PolicyT]):
    """A policy, and whether it is enabled."""

    policy: PolicyT
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class ListedPolicies:
    """All policies for requests as of revision ``number``, those that are disabled as well."""

    number: int
    limits: Sequence[Listed[LimitRule]] = ()
    caches: Sequence[Listed[CacheRule]] = ()
    access: Sequence[Listed[AccessEntry]] = ()

    def snapshot(self) -> Snapshot:
        """What a process decides by that has loaded these policies."""
        limits = _enabled(self.limits)
        return Snapshot(
            number=self.number,
            caches=RuleIndex(_enabled(self.caches)),
            limits=RuleIndex(limits),
            access=access_table(_enabled(self.access)),
            by_name={rule.name: rule for rule in limits},
        )


@dataclass(frozen=True, slots=True)
class Explained(Generic[PolicyT]):
    """A policy and its reason; ``decided_by`` names the policy that decides where `Reason.EARLIER` is the reason."""

    policy: PolicyT
    reason: Reason
    decided_by: str = ""

    @property
    def decides(self) -> bool:
        return self.reason is Reason.DECIDES


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every policy, in the order in which they are asked."""

    access: tuple[Explained[AccessEntry], ...]
    limits: tuple[Explained[LimitRule], ...]
    caches: tuple[Explained[CacheRule], ...]


def explain(facts: RequestFacts, policies: ListedPolicies, snapshot: Snapshot, now: float) -> Explanation:
    """Explain what ``snapshot`` says of a request at Unix time ``now``.

    Args:
        policies: what ``snapshot`` was made of, and the policies that are disabled.

    Raises:
        ValueError: ``snapshot`` was made of other policies.
    """
    match = snapshot.match(
        facts.path, facts.view_name, facts.method, facts.roles, facts.user_id is not None, facts.throttle_scope
    )
    deciding_limits = {rule.scope: rule for rule in match.limits}
    verdict = snapshot.access.verdict(facts.user_id, facts.roles, facts.address, now)
    return Explanation(
        access=tuple(
            _explained(listed, verdict.rule if verdict else "", lambda entry: _keeps_out_access(entry, facts, now))
            for listed in sorted(policies.access, key=_access_order)
        ),
        limits=tuple(
            _explained(listed, _name(deciding_limits.get(listed.policy.scope)), lambda rule: _keeps_out(rule, facts))
            for listed in sorted(policies.limits, key=lambda listed: decision_order(listed.policy))
        ),
        caches=tuple(
            _explained(listed, _name(match.cache), lambda rule: _keeps_out_routed(rule, facts))
            for listed in sorted(policies.caches, key=lambda listed: decision_order(listed.policy))
        ),
    )


def access_table(entries: Iterable[AccessEntry]) -> AccessTable:
    """The access rules as a snapshot looks them up."""
    users: dict[str, list[AccessVerdict]] = {}
    roles: dict[str, list[AccessVerdict]] = {}
    networks: dict[str, list[AccessVerdict]] = {}
    for entry in entries:
        if entry.network:
            networks.setdefault(entry.network, []).append(entry.verdict)
        elif entry.role:
            roles.setdefault(entry.role, []).append(entry.verdict)
        else:
            users.setdefault(entry.user_id, []).append(entry.verdict)
    return AccessTable(users, roles, networks)


def _explained(
    listed: Listed[PolicyT], decider: str, keeps_out: Callable[[PolicyT], Reason | None]
) -> Explained[PolicyT]:
    policy = listed.policy
    if not listed.enabled:
        return Explained(policy, Reason.DISABLED)
    if policy.name == decider:
        return Explained(policy, Reason.DECIDES)
    if reason := keeps_out(policy):
        return Explained(policy, reason)
    if not decider:
        raise ValueError(f"The snapshot does not know the policy {policy.name!r}: explain one made of these policies.")
    return Explained(policy, Reason.EARLIER, decider)


def _keeps_out(rule: LimitRule, facts: RequestFacts) -> Reason | None:
    if reason := _keeps_out_routed(rule, facts, facts.throttle_scope):
        return reason
    if not replace(rule, count_by="everyone").concerns(facts.roles, True):
        return Reason.ROLE
    return None if rule.concerns(facts.roles, facts.user_id is not None) else Reason.SIGNED_OUT


def _keeps_out_routed(rule: RuleT, facts: RequestFacts, throttle_scope: str = "") -> Reason | None:
    def is_candidate(changed: RuleT) -> bool:
        return bool(RuleIndex((changed,)).candidates(facts.path, facts.view_name, facts.method, throttle_scope))

    if not is_candidate(replace(rule, route=EVERYWHERE)):
        return Reason.METHOD
    return None if is_candidate(rule) else Reason.ROUTE


def _keeps_out_access(entry: AccessEntry, facts: RequestFacts, now: float) -> Reason | None:
    def is_found(changed: AccessEntry) -> bool:
        return access_table([changed]).verdict(facts.user_id, facts.roles, facts.address, now) is not None

    if is_found(entry):
        return None
    concerns = is_found(replace(entry, verdict=replace(entry.verdict, expires_at=None)))
    return Reason.EXPIRED if concerns else Reason.SUBJECT


def _access_order(listed: Listed[AccessEntry]) -> tuple[bool, str]:
    """Blocked wins over exempt, then the name."""
    return listed.policy.verdict.effect != "blocked", listed.policy.name


def _enabled(listed: Sequence[Listed[PolicyT]]) -> list[PolicyT]:
    return [each.policy for each in listed if each.enabled]


def _name(rule: CacheRule | LimitRule | None) -> str:
    return "" if rule is None else rule.name
