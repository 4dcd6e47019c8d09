"""Which policies can never decide: known examples, and that every warning is a proof."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf.policies.routes import parse_route
from perf.policies.shadows import NO_VIEWS, Shadowed, Views, shadowed_caches, shadowed_limits
from perf.policies.snapshot import AccessTable, CacheRule, LimitRule, RuleIndex, Snapshot
from tests.unit.perf.test_matching import RULE

CACHE_RULE = CacheRule(
    id=1,
    name="rule",
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
    max_body_bytes=1,
    tags=(),
)
PATHS = {"view:a": ["/a/b", "/a/*/c"], "view:b": ["/x/*"]}
AT = {"/a/b": "view:a", "/a/b/c": "view:a", "/x/b": "view:b", "/x/b/c": "view:b"}
VIEWS = Views(PATHS, lambda path: AT.get(path, ""))


def limit(number: int, route: str, **fields: Any) -> LimitRule:
    """The ``number``-th rule of all."""
    fields = {name: frozenset(value) if isinstance(value, set) else value for name, value in fields.items()}
    return replace(
        RULE, **{"id": number, "name": f"r{number}", "position": number, "route": parse_route(route), **fields}
    )


def cached(number: int, route: str, *methods: str) -> CacheRule:
    chosen = frozenset(methods or ("GET", "HEAD"))
    return replace(CACHE_RULE, id=number, name=f"r{number}", position=number, route=parse_route(route), methods=chosen)


def ids(found: list[Shadowed[Any]]) -> dict[Any, list[Any]]:
    return {each.rule.id: [rule.id for rule in each.by] for each in found}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("*", "/api/*"),
        ("*", "view:a"),
        ("*", "scope:uploads"),
        ("*", "*"),
        ("/api/*", "/api/a"),
        ("/api/*", "/api/a/*"),
        ("/api/*", "/api/*/b"),
        ("/api/*/b", "/api/x*/b"),
        ("/api/a", "/api/%61"),
        ("view:a", "view:a"),
        ("view:c", "view:c"),
        ("scope:uploads", "scope:uploads"),
        ("/*", "view:a"),
        ("/x/*", "view:b"),
        ("/x*", "view:b"),
        ("view:a", "/a/b"),
    ],
)
def test_a_route_that_is_all_an_earlier_ones_is_found(earlier: str, later: str) -> None:
    assert ids(shadowed_limits([limit(1, earlier), limit(2, later)], VIEWS)) == {2: [1]}
    if "scope:" not in later:
        assert ids(shadowed_caches([cached(1, earlier), cached(2, later)], VIEWS)) == {2: [1]}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("/api/*", "*"),
        ("/*", "*"),
        ("/api/a/*", "/api/*"),
        ("/api/*/b", "/api/*"),
        ("/api/a*", "/api/*a"),
        ("/api/a", "/api/a/"),
        ("/a/b", "view:a"),  # the view has another path
        ("/x/b", "view:b"),
        ("view:a", "/a/*"),
        ("/api/*", "view:c"),  # nothing is known of its paths
        ("/api/*", "scope:uploads"),
        ("view:a", "view:b"),
    ],
)
def test_a_route_with_requests_of_its_own_is_not(earlier: str, later: str) -> None:
    assert shadowed_limits([limit(1, earlier), limit(2, later)], VIEWS) == []
    assert shadowed_caches([cached(1, earlier), cached(2, later)], VIEWS) == []


@pytest.mark.parametrize(
    ("earlier", "later", "is_shadowed"),
    [
        ({}, {"methods": {"GET"}}, True),
        ({"methods": {"GET", "POST"}}, {"methods": {"GET"}}, True),
        ({"methods": {"GET"}}, {"methods": {"GET", "POST"}}, False),
        ({"methods": {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}}, {}, False),  # there are more
        ({}, {"roles": {"a"}}, True),
        ({"roles": {"a"}}, {"roles": {"a"}}, True),
        ({"roles": {"a"}}, {}, False),
        ({"roles": {"a"}}, {"roles": {"a", "b"}}, False),
        ({"roles": {"a", "b"}}, {"roles": {"a"}}, True),
        ({"count_by": "user"}, {"count_by": "ip"}, False),  # who is not signed in
        ({"count_by": "user"}, {"count_by": "user"}, True),
        ({"count_by": "ip"}, {"count_by": "user"}, True),
        ({"scope": "one"}, {"scope": "two"}, False),
        ({"observe": True}, {}, True),  # it decides that nothing is refused
        ({"position": 3}, {}, False),
        ({"position": 2}, {}, True),  # of the same position the older one
    ],
)
def test_methods_roles_callers_and_scopes_count(
    earlier: dict[str, Any], later: dict[str, Any], is_shadowed: bool
) -> None:
    found = shadowed_limits([limit(1, "*", **earlier), limit(2, "*", **later)])
    assert (2 in ids(found)) is is_shadowed


def test_several_together_leave_nothing_to_a_later_one() -> None:
    by_role = [limit(1, "/api/*", roles={"a"}), limit(2, "*", roles={"b"}), limit(3, "/api/b", roles={"a", "b"})]
    assert ids(shadowed_limits(by_role)) == {3: [1, 2]}
    by_method = [cached(1, "*", "GET"), cached(2, "/api/*", "HEAD"), cached(3, "/api/x")]
    assert ids(shadowed_caches(by_method)) == {3: [1, 2]}
    by_path = [limit(1, "/a/b"), limit(2, "/a/*/c"), limit(3, "view:a")]
    assert ids(shadowed_limits(by_path, VIEWS)) == {3: [1, 2]}
    assert shadowed_limits(by_path, NO_VIEWS) == []


def test_one_that_is_shadowed_itself_shadows_nothing_more() -> None:
    found = shadowed_limits([limit(1, "*"), limit(2, "/api/*"), limit(3, "/api/a")])
    assert ids(found) == {2: [1], 3: [1]}


ROUTES = [
    "*",
    "/*",
    "/a/b",
    "/a*",
    "/a/*",
    "/*/b",
    "/*b*",
    "/a/*/c",
    "/*/b/*",
    "/x/*",
    "/x*b",
    "view:a",
    "view:b",
    "scope:s",
]
roles = st.frozensets(st.sampled_from(["r1", "r2", "r3"]))
methods = st.frozensets(st.sampled_from(["GET", "HEAD"]))


@st.composite
def limits(draw: st.DrawFn) -> list[LimitRule]:
    return [
        limit(
            number,
            draw(st.sampled_from(ROUTES)),
            scope=draw(st.sampled_from(["one", "two"])),
            position=draw(st.integers(0, 3)),
            methods=draw(methods),
            roles=draw(roles),
            count_by=draw(st.sampled_from(["user", "ip"])),
            observe=draw(st.booleans()),
        )
        for number in range(1, draw(st.integers(0, 10)) + 1)
    ]


@st.composite
def caches(draw: st.DrawFn) -> list[CacheRule]:
    return [
        replace(cached(number, draw(st.sampled_from(ROUTES))), position=draw(st.integers(0, 3)), methods=draw(methods))
        for number in range(1, draw(st.integers(0, 6)) + 1)
    ]


# Paths with their views, as `VIEWS` has them; and such as no view is on.
PLACES = [
    *AT.items(), ("/a/q/c", "view:a"), ("/x/", "view:b"), ("/x/qb", "view:b"), ("/x/a/b/c", "view:b"),
    ("/", ""), ("/a", ""), ("/ab", ""), ("/q/b", ""), ("/a/b/", ""), ("/a/b/d", ""), ("/xb", ""), ("", ""),
    ("", "view:c"),
]  # fmt: skip


@settings(max_examples=300)
@given(
    limits(),
    caches(),
    st.lists(
        st.tuples(
            st.sampled_from(PLACES),
            st.sampled_from(["GET", "HEAD", "PUT"]),
            roles,
            st.booleans(),
            st.sampled_from(["", "s"]),
        ),
        min_size=10,
        max_size=40,
    ),
)
def test_what_is_called_shadowed_never_decides(
    given_limits: list[LimitRule], given_caches: list[CacheRule], requests: list[Any]
) -> None:
    snapshot = Snapshot(1, RuleIndex(given_caches), RuleIndex(given_limits), AccessTable({}, {}, {}))
    limits_never, caches_never = ids(shadowed_limits(given_limits, VIEWS)), ids(shadowed_caches(given_caches, VIEWS))
    for (path, view), method, caller_roles, signed_in, throttle_scope in requests:
        match = snapshot.match(path, view, method, caller_roles, signed_in, throttle_scope)
        assert not {rule.id for rule in match.limits} & limits_never.keys()
        assert match.cache is None or match.cache.id not in caches_never


@given(limits())
def test_what_is_not_called_shadowed_decides_some_request(given_limits: list[LimitRule]) -> None:
    """Without knowledge of views; then paths and names of views come in any combination."""
    snapshot = Snapshot(1, RuleIndex(()), RuleIndex(given_limits), AccessTable({}, {}, {}))
    deciding = {
        rule.id
        for path in ["", "/", "/a/b", "/aq", "/a/q", "/q/b", "/qbq", "/a/q/c", "/q/b/q", "/x/q", "/xqb"]
        for view, throttle_scope in [("", ""), ("view:a", ""), ("view:b", ""), ("", "s")]
        for method in ["GET", "HEAD", "PUT"]
        for role in ["", "r1", "r2", "r3"]
        for signed_in in [False, True]
        for rule in snapshot.match(path, view, method, frozenset({role} - {""}), signed_in, throttle_scope).limits
    }
    assert {rule.id for rule in given_limits} - deciding == ids(shadowed_limits(given_limits)).keys()
