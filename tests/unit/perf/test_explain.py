"""Why policies decide or not: the explanation against the snapshot's verdict, and against a plain loop over all."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf.policies.explain import (
    AccessEntry,
    Explanation,
    Listed,
    ListedPolicies,
    Reason,
    RequestFacts,
    explain,
)
from perf.policies.routes import SCOPE_ROUTE, parse_route
from perf.policies.snapshot import AccessVerdict, CacheRule, LimitRule
from tests.unit.perf.test_matching import ROUTES, RULE

NOW = 1000.0
ROLES = ["r1", "r2"]
CACHE = CacheRule(
    id=1,
    name="cache",
    position=0,
    route=parse_route("*"),
    methods=frozenset({"GET", "HEAD"}),
    ttl=60,
    ttl_jitter=0,
    stale_while_revalidate=0,
    stale_if_error=0,
    negative_ttl=0,
    honour_origin_headers=False,
    shared_by="user",
    vary_on_headers=(),
    ignore_params=(),
    max_body_bytes=1024,
    tags=(),
)
FACTS = RequestFacts("/a", "view:a", "GET", None, frozenset(), ipaddress.ip_address("192.0.2.7"))

routes = st.sampled_from([*ROUTES, f"{SCOPE_ROUTE}uploads"]).map(parse_route)
methods = st.frozensets(st.sampled_from(["GET", "POST"]))
facts = st.builds(
    RequestFacts,
    path=st.sampled_from(["/", "/a", "/ab", "/a/b", "/x/b", "/a/b/c", "/a//c", "/b", "/xb/c"]),
    view_name=st.sampled_from(["view:a", "view:b", ""]),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    user_id=st.sampled_from([None, "1", "2"]),
    roles=st.frozensets(st.sampled_from(ROLES)),
    address=st.sampled_from([None, "192.0.2.7", "198.51.100.1", "2001:db8::1"]).map(
        lambda text: ipaddress.ip_address(text) if text else None
    ),
    throttle_scope=st.sampled_from(["", "uploads"]),
)


@st.composite
def limits(draw: st.DrawFn) -> list[Listed[LimitRule]]:
    return [
        Listed(
            replace(
                RULE,
                id=number,
                name=f"limit-{number}",
                scope=draw(st.sampled_from(["one", "two"])),
                position=draw(st.integers(0, 3)),
                route=draw(routes),
                methods=draw(methods),
                roles=draw(st.frozensets(st.sampled_from(ROLES))),
                count_by=draw(st.sampled_from(["user", "ip"])),
            ),
            enabled=draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(0, 12)) + 1)
    ]


@st.composite
def caches(draw: st.DrawFn) -> list[Listed[CacheRule]]:
    return [
        Listed(
            replace(
                CACHE,
                id=number,
                name=f"cache-{number}",
                position=draw(st.integers(0, 3)),
                route=draw(routes),
                methods=draw(st.sampled_from([frozenset({"GET"}), frozenset({"GET", "HEAD"})])),
            ),
            enabled=draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(0, 8)) + 1)
    ]


@st.composite
def access_rules(draw: st.DrawFn) -> list[Listed[AccessEntry]]:
    subjects = st.one_of(
        st.sampled_from(["192.0.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32"]).map(lambda it: {"network": it}),
        st.sampled_from(ROLES).map(lambda it: {"role": it}),
        st.sampled_from(["1", "2"]).map(lambda it: {"user_id": it}),
    )
    return [
        Listed(
            AccessEntry(
                AccessVerdict(
                    rule=f"rule-{draw(st.integers(0, 9))}{number}",
                    effect=draw(st.sampled_from(["exempt", "blocked"])),
                    reason="",
                    expires_at=draw(st.sampled_from([None, NOW - 1, NOW, NOW + 1])),
                ),
                **draw(subjects),
            ),
            enabled=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 6)))
    ]


policies = st.builds(ListedPolicies, number=st.just(1), limits=limits(), caches=caches(), access=access_rules())


def explained(policies: ListedPolicies, facts: RequestFacts) -> Explanation:
    return explain(facts, policies, policies.snapshot(), NOW)


@given(policies, facts)
def test_those_that_decide_are_exactly_those_of_the_snapshot(policies: ListedPolicies, facts: RequestFacts) -> None:
    explanation, snapshot = explained(policies, facts), policies.snapshot()
    match = snapshot.match(
        facts.path, facts.view_name, facts.method, facts.roles, facts.user_id is not None, facts.throttle_scope
    )
    verdict = snapshot.access.verdict(facts.user_id, facts.roles, facts.address, NOW)
    assert {row.policy for row in explanation.limits if row.decides} == set(match.limits)
    assert [row.policy for row in explanation.caches if row.decides] == ([match.cache] if match.cache else [])
    assert [row.policy.verdict for row in explanation.access if row.decides] == ([verdict] if verdict else [])


@given(policies, facts)
def test_every_policy_has_the_reason_that_a_plain_loop_finds(policies: ListedPolicies, facts: RequestFacts) -> None:
    """The loop knows nothing of indexes: it asks one policy after the other, as the documentation says."""
    explanation = explained(policies, facts)
    decided: dict[str, str] = {}
    for listed in sorted(policies.limits, key=lambda listed: (listed.policy.position, listed.policy.id)):
        rule = listed.policy
        reason = reason_of_loop(listed, facts, facts.throttle_scope)
        if not reason and rule.roles and not rule.roles & facts.roles:
            reason = Reason.ROLE
        if not reason and rule.count_by == "user" and facts.user_id is None:
            reason = Reason.SIGNED_OUT
        if not reason:
            reason = Reason.EARLIER if rule.scope in decided else Reason.DECIDES
            decided.setdefault(rule.scope, rule.name)
        row = next(row for row in explanation.limits if row.policy.id == rule.id)
        assert row.reason is reason
        assert row.decided_by == (decided[rule.scope] if reason is Reason.EARLIER else "")
    first = ""
    for listed in sorted(policies.caches, key=lambda listed: (listed.policy.position, listed.policy.id)):
        reason = reason_of_loop(listed, facts) or (Reason.EARLIER if first else Reason.DECIDES)
        first = listed.policy.name if reason is Reason.DECIDES else first
        row = next(row for row in explanation.caches if row.policy.id == listed.policy.id)
        assert (row.reason, row.decided_by) == (reason, first if reason is Reason.EARLIER else "")


def reason_of_loop(
    listed: Listed[LimitRule] | Listed[CacheRule], facts: RequestFacts, throttle_scope: str = ""
) -> Reason | None:
    rule = listed.policy
    if not listed.enabled:
        return Reason.DISABLED
    if rule.methods and facts.method not in rule.methods:
        return Reason.METHOD
    is_on_scope = bool(throttle_scope) and rule.route.text == SCOPE_ROUTE + throttle_scope
    return None if is_on_scope or rule.route.matches(facts.path, facts.view_name) else Reason.ROUTE


@given(policies, facts)
def test_access_rules_are_asked_blocked_first_and_the_others_say_why_not(
    policies: ListedPolicies, facts: RequestFacts
) -> None:
    first = ""
    rows = explained(policies, facts).access
    order = [(row.policy.verdict.effect, row.policy.name) for row in rows]
    assert order == sorted(order)  # "blocked" comes before "exempt"
    for row in rows:
        entry = row.policy
        enabled = next(listed.enabled for listed in policies.access if listed.policy == entry)
        concerns = (
            (entry.network and facts.address is not None and facts.address in ipaddress.ip_network(entry.network))
            or entry.role in facts.roles
            or (entry.user_id and entry.user_id == facts.user_id)
        )
        is_over = entry.verdict.expires_at is not None and entry.verdict.expires_at <= NOW
        if not enabled:
            expected = Reason.DISABLED
        elif not concerns:
            expected = Reason.SUBJECT
        elif is_over:
            expected = Reason.EXPIRED
        else:
            expected = Reason.EARLIER if first else Reason.DECIDES
        first = entry.name if expected is Reason.DECIDES else first
        assert (row.reason, row.decided_by) == (expected, first if expected is Reason.EARLIER else "")


@given(policies, facts)
def test_policies_are_listed_in_the_order_in_which_they_are_asked(
    policies: ListedPolicies, facts: RequestFacts
) -> None:
    explanation = explained(policies, facts)
    everything = replace(policies, limits=[Listed(each.policy) for each in policies.limits]).snapshot().limits
    in_order = [row.policy for row in explanation.limits]
    assert len(in_order) == len(policies.limits)
    candidates = everything.candidates(facts.path, facts.view_name, facts.method, facts.throttle_scope)
    assert [rule for rule in in_order if rule in candidates] == candidates


def test_a_snapshot_of_other_policies_is_refused() -> None:
    policies = ListedPolicies(1, limits=[Listed(RULE)])
    with pytest.raises(ValueError, match="made of these policies"):
        explain(FACTS, policies, ListedPolicies(2).snapshot(), NOW)
