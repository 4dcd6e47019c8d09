"""Which policies apply to a request: the indexed look-up against a plain loop over all rules."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from perf.policies.routes import parse_route
from perf.policies.snapshot import AccessTable, AccessVerdict, LimitRule, RuleIndex, Snapshot

RULE = LimitRule(
    id=1,
    name="rule",
    scope="default",
    position=0,
    route=parse_route("*"),
    methods=frozenset(),
    roles=frozenset(),
    observe=False,
    count_by="user_or_ip",
    algorithm="sliding_window",
    limit=1,
    period=60,
    capacity=1,
    cost=1,
    penalty=False,
    on_store_error="allow",
)
ROUTES = [
    "*", "/", "/a", "/a/b", "/a*", "/a/*", "/*/b", "/*b*", "/a/*/c", "/*/b/*", "/x*/b/c", "/*/b/c", "/*",
    "view:a", "view:b",
]  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> list[LimitRule]:
    count = draw(st.integers(0, 12))
    return [
        replace(
            RULE,
            id=number,
            scope=draw(st.sampled_from(["one", "two"])),
            position=draw(st.integers(0, 3)),
            route=parse_route(draw(st.sampled_from(ROUTES))),
            methods=draw(st.frozensets(st.sampled_from(["GET", "POST"]))),
            roles=draw(st.frozensets(st.sampled_from(["r1", "r2"]))),
            count_by=draw(st.sampled_from(["user", "ip"])),
        )
        for number in range(1, count + 1)
    ]


@given(
    rules(),
    st.sampled_from(["/", "/a", "/ab", "/a/b", "/x/b", "/a/b/c", "/x/b/c", "/a//c", "/b", "/a/b/", "/xb/c"]),
    st.sampled_from(["view:a", "view:b", ""]),
    st.sampled_from(["GET", "POST", "PUT"]),
    st.frozensets(st.sampled_from(["r1", "r2"])),
    st.booleans(),
)
def test_the_first_match_of_each_scope_decides(
    given_rules: list[LimitRule], path: str, view: str, method: str, roles: frozenset[str], signed_in: bool
) -> None:
    expected: dict[str, int | str] = {}
    for rule in sorted(given_rules, key=lambda rule: (rule.position, rule.id)):
        if (
            rule.scope not in expected
            and rule.route.matches(path, view)
            and (not rule.methods or method in rule.methods)
            and (not rule.roles or rule.roles & roles)
            and (signed_in or rule.count_by != "user")
        ):
            expected[rule.scope] = rule.id
    snapshot = Snapshot(1, RuleIndex(()), RuleIndex(given_rules), AccessTable({}, {}, {}))
    match = snapshot.match(path, view, method, roles, signed_in)
    assert {rule.scope: rule.id for rule in match.limits} == expected


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=30), st.integers(0, 2**32 - 1))
def test_an_address_is_found_in_exactly_its_networks(networks: list[tuple[int, int]], number: int) -> None:
    blocks = {ipaddress.ip_network((base, length), strict=False) for base, length in networks}
    address = ipaddress.IPv4Address(number)
    table = AccessTable({}, {}, {str(block): [AccessVerdict(str(block), "exempt", "", None)] for block in blocks})
    verdict = table.verdict(None, frozenset(), address, 0.0)
    containing = {str(block) for block in blocks if address in block}
    assert (verdict.rule in containing) if verdict else not containing
