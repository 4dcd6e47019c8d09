"""A revision compiled in a process: frozen, matched without I/O.

Rules are indexed by what their route fixes (a whole path, a prefix, a segment, a view), so the cost of a match grows
with the length of the path and the number of rules *on that route*, not with the number of policies.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from perf.policies.routes import SCOPE_ROUTE, Route, RouteKind

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class CacheRule:
    """A `CachePolicy`, compiled. Times in seconds, ``ttl_jitter`` in percent."""

    id: int
    name: str
    position: int
    route: Route
    methods: frozenset[str]
    ttl: int
    ttl_jitter: int
    stale_while_revalidate: int
    stale_if_error: int
    negative_ttl: int
    honour_origin_headers: bool
    shared_by: str
    vary_on_headers: tuple[str, ...]
    ignore_params: tuple[str, ...]
    max_body_bytes: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A `RateLimitPolicy`, compiled, or a limit written in code.

    ``period`` in seconds; ``capacity`` is the burst of a token bucket. Limits in code may count by ``key``.
    """

    id: int | str
    name: str
    scope: str
    position: int
    route: Route
    methods: frozenset[str]
    roles: frozenset[str]
    observe: bool
    count_by: str
    algorithm: str
    limit: int
    period: int
    capacity: int
    cost: int
    penalty: bool
    on_store_error: str

    def concerns(self, roles: frozenset[str], signed_in: bool) -> bool:
        """Say whether the rule is about callers with these roles."""
        return (not self.roles or bool(self.roles & roles)) and (signed_in or self.count_by != "user")


@dataclass(frozen=True, slots=True)
class AccessVerdict:
    """What an `AccessRule` says: ``effect`` is ``exempt`` or ``blocked``; ``expires_at`` is a Unix time or None."""

    rule: str
    effect: str
    reason: str
    expires_at: float | None


RuleT = TypeVar("RuleT", CacheRule, LimitRule)


class RuleIndex(Generic[RuleT]):
    """Finds the rules whose route matches, in order of position."""

    __slots__ = ("_any", "_exact", "_globs", "_prefix_lengths", "_prefixes", "_segments", "_views")

    def __init__(self, rules: Iterable[RuleT]) -> None:
        self._any: list[RuleT] = []
        self._exact: dict[str, list[RuleT]] = {}
        self._prefixes: dict[str, list[RuleT]] = {}
        self._views: dict[str, list[RuleT]] = {}
        globs: list[RuleT] = []
        for rule in sorted(rules, key=decision_order):
            match rule.route.kind:
                case RouteKind.ANY:
                    self._any.append(rule)
                case RouteKind.EXACT:
                    self._exact.setdefault(rule.route.key, []).append(rule)
                case RouteKind.PREFIX:
                    self._prefixes.setdefault(rule.route.key, []).append(rule)
                case RouteKind.VIEW:
                    self._views.setdefault(rule.route.key, []).append(rule)
                case RouteKind.GLOB:
                    globs.append(rule)
        self._prefix_lengths = sorted({len(prefix) for prefix in self._prefixes})
        self._segments: dict[str, list[RuleT]]
        self._globs: list[RuleT]
        self._segments, self._globs = _by_rarest_segment(globs)

    def candidates(self, path: str, view_name: str, method: str, throttle_scope: str = "") -> list[RuleT]:
        """The rules for ``method`` on the route of ``path`` and ``view_name``, lowest position first."""
        groups = [self._any, self._exact.get(path, ()), self._views.get(view_name, ())]
        if throttle_scope:
            groups.append(self._views.get(SCOPE_ROUTE + throttle_scope, ()))
        groups.extend(self._prefixes.get(path[:length], ()) for length in self._prefix_lengths if length <= len(path))
        groups.append([rule for rule in self._globs_for(path) if rule.route.matches(path, view_name)])
        found = [rule for group in groups for rule in group if not rule.methods or method in rule.methods]
        found.sort(key=decision_order)
        return found

    def _globs_for(self, path: str) -> list[RuleT]:
        """The globs that may match ``path``: those whose segment it has, and those that fix none."""
        if not self._segments:
            return self._globs
        globs = list(self._globs)
        for segment in set(path.split("/")):
            globs += self._segments.get(segment, ())
        return globs


def _by_rarest_segment(globs: Sequence[RuleT]) -> tuple[dict[str, list[RuleT]], list[RuleT]]:
    """Globs by that of their fixed segments which the fewest of them have; and those without a fixed segment."""
    frequency = Counter(segment for rule in globs for segment in rule.route.fixed_segments)
    by_segment: dict[str, list[RuleT]] = {}
    without: list[RuleT] = []
    for rule in globs:
        segment = min(rule.route.fixed_segments, key=lambda segment: (frequency[segment], segment), default=None)
        (without if segment is None else by_segment.setdefault(segment, [])).append(rule)
    return by_segment, without


def decision_order(rule: CacheRule | LimitRule) -> tuple[int, str]:
    return rule.position, str(rule.id).rjust(20)


class AccessTable:
    """Access rules by subject: a look-up costs the same whatever their number."""

    __slots__ = ("_networks", "_prefix_lengths", "_roles", "_users")

    def __init__(
        self,
        users: Mapping[str, Sequence[AccessVerdict]],
        roles: Mapping[str, Sequence[AccessVerdict]],
        networks: Mapping[str, Sequence[AccessVerdict]],
    ) -> None:
        self._users = dict(users)
        self._roles = dict(roles)
        self._networks: dict[tuple[int, int, int], Sequence[AccessVerdict]] = {}
        for text, verdicts in networks.items():
            network = ipaddress.ip_network(text)
            key = (network.version, network.prefixlen, _prefix(network.network_address, network.prefixlen))
            self._networks[key] = verdicts
        self._prefix_lengths: dict[int, list[int]] = {
            version: sorted({length for v, length, _ in self._networks if v == version}) for version in (4, 6)
        }

    def verdict(
        self, user_id: str | None, roles: frozenset[str], address: IPAddress | None, now: float
    ) -> AccessVerdict | None:
        """The rule that concerns this caller at Unix time ``now``; blocked wins over exempt.

        Rules about networks don't concern callers without an address.
        """
        if not (self._users or self._roles or self._networks):
            return None
        found: list[AccessVerdict] = []
        if user_id is not None:
            found.extend(self._users.get(user_id, ()))
        for role in roles:
            found.extend(self._roles.get(role, ()))
        if address is not None:
            for length in self._prefix_lengths[address.version]:
                found.extend(self._networks.get((address.version, length, _prefix(address, length)), ()))
        valid = [verdict for verdict in found if verdict.expires_at is None or verdict.expires_at > now]
        return min(valid, key=lambda verdict: (verdict.effect != "blocked", verdict.rule), default=None)


def _prefix(address: IPAddress, length: int) -> int:
    return int(address) >> (address.max_prefixlen - length)


@dataclass(frozen=True, slots=True)
class Match:
    """What applies to one kind of request: the cache rule, and per scope the limit rule that decides."""

    cache: CacheRule | None
    limits: tuple[LimitRule, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All enabled policies of revision ``number``, ready to be matched."""

    number: int
    caches: RuleIndex[CacheRule]
    limits: RuleIndex[LimitRule]
    access: AccessTable
    by_name: Mapping[str, LimitRule] = field(default_factory=dict)
    _memo: dict[tuple[str, str, str, frozenset[str], bool, str], Match] = field(default_factory=dict)

    def match(
        self,
        path: str,
        view_name: str,
        method: str,
        roles: frozenset[str],
        signed_in: bool,
        throttle_scope: str = "",
    ) -> Match:
        """The policies for a request; remembered, since the same routes come again and again.

        A limit that counts by user concerns signed-in callers only; for others the next policy of its scope decides.
        ``throttle_scope`` is the DRF view's own, matched by the route ``scope:<it>``.
        """
        key = (path, view_name, method, roles, signed_in, throttle_scope)
        known = self._memo.get(key)
        if known is None:
            known = self._match(*key)
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            self._memo[key] = known
        return known

    def _match(
        self, path: str, view_name: str, method: str, roles: frozenset[str], signed_in: bool, throttle_scope: str
    ) -> Match:
        by_scope: dict[str, LimitRule] = {}
        for rule in self.limits.candidates(path, view_name, method, throttle_scope):
            if rule.scope not in by_scope and rule.concerns(roles, signed_in):
                by_scope[rule.scope] = rule
        return Match(next(iter(self.caches.candidates(path, view_name, method)), None), tuple(by_scope.values()))


_MEMO_SIZE = 4096

EMPTY = Snapshot(-1, RuleIndex(()), RuleIndex(()), AccessTable({}, {}, {}))
