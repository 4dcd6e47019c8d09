"""Which enabled policies can never decide, because earlier ones decide all their requests.

Pure. A policy is judged by stand-ins: requests so made that whoever decides one of them decides all the requests that
it stands for. Who decides a stand-in is asked of a snapshot, so this follows the gate's own rules. A policy that only
observes decides as well: later ones of its scope are not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Generic, TypeVar

from perf.policies.routes import SCOPE_ROUTE, Route, RouteKind
from perf.policies.snapshot import AccessTable, CacheRule, LimitRule, RuleIndex, Snapshot, decision_order

RuleT = TypeVar("RuleT", CacheRule, LimitRule)

_OTHER_METHOD = "\0"  # one that no policy names
_NO_ACCESS_RULES = AccessTable({}, {}, {})


def _nothing_known(path: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Views:
    """What is known of a server's views; without it, a path and the name of a view are never compared.

    ``patterns`` has, by the name of a view, patterns (``*`` is any run of characters) that together match every path
    under which the view is asked for. ``name_at`` is the name of the view on a path, "" where there is none.
    """

    patterns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    name_at: Callable[[str], str] = _nothing_known


NO_VIEWS = Views()


@dataclass(frozen=True, slots=True)
class Shadowed(Generic[RuleT]):
    """A policy that never decides by its route, and those that decide instead, in the order in which they are asked.

    A limit in code that names the policy uses it all the same.
    """

    rule: RuleT
    by: tuple[RuleT, ...]


@dataclass(frozen=True, slots=True)
class _StandIn:
    """A request that stands for others: as to path and view, and as to everything else."""

    path: str
    view_name: str
    method: str
    roles: frozenset[str] = frozenset()
    signed_in: bool = False


def shadowed_limits(rules: Iterable[LimitRule], views: Views = NO_VIEWS) -> list[Shadowed[LimitRule]]:
    """The shadowed ones of ``rules``, which are the enabled policies of all scopes.

    Each warning is a proof. A caller with one of a policy's roles stands for those with more of them, one who is not
    signed in for those who are, and one without roles for everybody where the policy names none: who concerns the
    first concerns the second, too.
    """
    known = list(rules)
    snapshot = Snapshot(0, RuleIndex(()), RuleIndex(known), _NO_ACCESS_RULES)

    def decider(rule: LimitRule, request: _StandIn) -> LimitRule | None:
        match = snapshot.match(request.path, request.view_name, request.method, request.roles, request.signed_in)
        return next((limit for limit in match.limits if limit.scope == rule.scope), None)

    unused = _unused_character(known)
    return _shadowed(known, lambda rule: _limited_stand_ins(rule, views, unused), decider)


def shadowed_caches(rules: Iterable[CacheRule], views: Views = NO_VIEWS) -> list[Shadowed[CacheRule]]:
    """As `shadowed_limits`, for cache policies: the first on the route decides, whoever asks."""
    known = list(rules)
    snapshot = Snapshot(0, RuleIndex(known), RuleIndex(()), _NO_ACCESS_RULES)

    def decider(rule: CacheRule, request: _StandIn) -> CacheRule | None:
        return snapshot.match(request.path, request.view_name, request.method, frozenset(), False).cache

    unused = _unused_character(known)
    return _shadowed(known, lambda rule: _routed_stand_ins(rule, views, unused), decider)


def _shadowed(
    rules: Sequence[RuleT],
    stand_ins: Callable[[RuleT], Iterator[_StandIn]],
    decider: Callable[[RuleT, _StandIn], RuleT | None],
) -> list[Shadowed[RuleT]]:
    found = []
    for rule in rules:
        if by := _deciders(rule, stand_ins(rule), decider):
            found.append(Shadowed(rule, by))
    return found


def _deciders(
    rule: RuleT, requests: Iterator[_StandIn], decider: Callable[[RuleT, _StandIn], RuleT | None]
) -> tuple[RuleT, ...]:
    """Who decides instead of ``rule``; nobody where one of its stand-ins is its own to decide."""
    others: dict[int | str, RuleT] = {}
    for request in requests:
        other = decider(rule, request)
        if other is None or other.id == rule.id:
            return ()
        others[other.id] = other
    return tuple(sorted(others.values(), key=decision_order))


def _limited_stand_ins(rule: LimitRule, views: Views, unused: str) -> Iterator[_StandIn]:
    callers = [frozenset({role}) for role in sorted(rule.roles)] or [frozenset[str]()]
    for request, roles in product(_routed_stand_ins(rule, views, unused), callers):
        yield _StandIn(request.path, request.view_name, request.method, roles, signed_in=rule.count_by == "user")


def _routed_stand_ins(rule: CacheRule | LimitRule, views: Views, unused: str) -> Iterator[_StandIn]:
    for (path, view_name), method in product(
        _places(rule.route, views, unused), sorted(rule.methods) or [_OTHER_METHOD]
    ):
        yield _StandIn(path, view_name, method)


def _places(route: Route, views: Views, unused: str) -> list[tuple[str, str]]:
    """Paths and names of views that stand for all on ``route``.

    ``unused`` is a character that no route has, so only the star of a pattern matches it; and a star that matches it
    matches whatever is in its place. No path begins with it.
    """
    match route.kind:
        case RouteKind.ANY:
            return [(unused, unused)]
        case RouteKind.EXACT:
            return [(route.key, views.name_at(route.key))]
        case RouteKind.PREFIX:
            return [(route.key + unused, unused)]
        case RouteKind.GLOB:
            return [(route.key.replace("*", unused), unused)]
        case RouteKind.VIEW:
            patterns = () if route.text.startswith(SCOPE_ROUTE) else views.patterns.get(route.key, ())
            return [(pattern.replace("*", unused), route.key) for pattern in patterns] or [(unused, route.key)]


def _unused_character(rules: Iterable[CacheRule | LimitRule]) -> str:
    used = set().union(*(rule.route.key for rule in rules))
    return next(character for character in map(chr, range(0x10FFFF, 0, -1)) if character not in used)
