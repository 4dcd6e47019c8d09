"""Who makes a request: user, roles, address. And how limits count them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.http import HttpRequest
from django.utils.module_loading import import_string

from perf.conf import setting
from perf.gate import keys
from perf.policies.snapshot import IPAddress, LimitRule

UNKNOWN_ADDRESS = ipaddress.IPv6Address("::")


@dataclass(frozen=True, slots=True)
class Caller:
    """The one who asks.

    ``grants`` stands for what the user may do beyond its roles; empty if nothing. ``address`` is None where no request
    is at hand. ``version`` is the identity version the credentials carry; empty
    if they carry none. ``key`` is what code that names its clients itself counts by, whatever a policy says.
    """

    user_id: str | None
    roles: frozenset[str]
    address: IPAddress | None
    version: str = ""
    superuser: bool = False
    staff: bool = False
    grants: str = ""
    name: str = field(default="", compare=False)
    key: str | None = None

    @property
    def is_admin(self) -> bool:
        """Say whether the caller may see and steer what perf does, by ``PERF_ADMIN_ROLES``."""
        return self.superuser or not self.roles.isdisjoint(setting("ADMIN_ROLES"))

    def counted_as(self, count_by: str) -> tuple[str, ...]:
        """The parts that identify the caller under a policy's ``count_by``."""
        match count_by:
            case "user" | "user_or_ip" if self.user_id is not None:
                return ("user", self.user_id)
            case "user" | "user_or_ip" | "ip":
                return ("ip", str(client_network(self.address or UNKNOWN_ADDRESS)))
            case "key":
                return ("key", self.key or "")
            case "role":
                return ("role", *sorted(self.roles))
            case _:
                return ("everyone",)

    def label(self, count_by: str) -> str:
        """How admins see the caller where it was blocked: ``user:alice``, ``ip:192.0.2.7``."""
        kind, *rest = self.counted_as(count_by)
        if kind == "user":
            return f"user:{self.name or self.user_id}"
        return ":".join([kind, "+".join(rest)]) if rest else kind


def caller_of(request: HttpRequest, user: Any = None, version: str = "") -> Caller:
    """The caller of ``request``; ``user`` is its user, where authentication is not Django's own."""
    user = user if user is not None else getattr(request, "user", None)
    address = client_address(request)
    if user is None or not user.is_authenticated:
        return Caller(None, frozenset(), address)
    return caller_of_user(user, address, version)


def caller_of_user(user: Any, address: IPAddress | None = None, version: str = "") -> Caller:
    """The caller that a signed-in ``user`` is."""
    return Caller(
        user_id=str(user.pk),
        roles=roles_of(user),
        address=address,
        version=version,
        superuser=bool(getattr(user, "is_superuser", False)),
        staff=bool(getattr(user, "is_staff", False)),
        grants=grants_of(user),
        name=user.get_username(),
    )


def roles_of(user: Any) -> frozenset[str]:
    """The role names of a user, by ``PERF_ROLES``, its own ``roles``, or its groups (one query)."""
    if path := setting("ROLES"):
        return frozenset(_roles_function(path)(user))
    roles = getattr(user, "roles", None)
    if roles is None:
        roles = user.groups.values_list("name", flat=True)
    return frozenset(roles)


def grants_of(user: Any) -> str:
    """A digest of the permissions a user has in person: its own ``grants``, or its ``user_permissions`` (one query)."""
    grants: str | None = getattr(user, "grants", None)
    if grants is None:
        permissions = getattr(user, "user_permissions", None)
        own = sorted(permissions.values_list("pk", flat=True)) if permissions is not None else ()
        grants = keys.digest(("grants", *map(str, own))) if own else ""
    return grants


@lru_cache(maxsize=4)
def _roles_function(path: str) -> Callable[[Any], Iterable[str]]:
    function: Callable[[Any], Iterable[str]] = import_string(path)
    return function


def client_address(request: HttpRequest) -> IPAddress:
    """The client's address: the peer's, or what the configured trusted proxies say of it.

    ``X-Forwarded-For``, or ``Forwarded`` (RFC 7239) where that is missing, is read from the right, past addresses of
    trusted proxies only; what an untrusted peer claims is ignored. Anything unreadable ends the walk at the last
    address known for sure.
    """
    peer = parse_address(request.META.get("REMOTE_ADDR", "")) or UNKNOWN_ADDRESS
    trusted = _trusted_networks(tuple(setting("TRUSTED_PROXIES")))
    if not trusted or not _is_trusted(peer, trusted):
        return peer
    address = peer
    for claim in reversed(_claimed_addresses(request)):
        claimed = parse_address(claim)
        if claimed is None:
            return address
        address = claimed
        if not _is_trusted(address, trusted):
            return address
    return address


def parse_address(text: str) -> IPAddress | None:
    """Read an address with or without port, brackets or zone; IPv4-mapped IPv6 as IPv4. None: unreadable."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def client_network(address: IPAddress) -> IPAddress | ipaddress.IPv6Network:
    """What counts as one client: an IPv4 address, or the IPv6 network of ``PERF_IPV6_PREFIX`` bits."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return ipaddress.IPv6Network((address, setting("IPV6_PREFIX")), strict=False)


def counter_keys(rule: LimitRule, caller: Caller) -> tuple[str, ...]:
    """The keys of what ``caller`` used of a limit; remembered, since the same clients come again and again.

    Its counter; and for clients nobody vouches for, whose number has to be bounded, the limit's tally of clients and
    the counter that is shared when there are too many.
    """
    return _counter_keys(rule.id, rule.algorithm, caller.counted_as(rule.count_by), setting("KEY_PREFIX"))


@lru_cache(maxsize=2048)
def _counter_keys(rule_id: int | str, algorithm: str, parts: tuple[str, ...], _prefix: str) -> tuple[str, ...]:
    counter = keys.counter(rule_id, algorithm, parts)
    if parts[0] not in ("ip", "key"):
        return (counter,)
    return counter, keys.tally(rule_id, algorithm), keys.shared_counter(rule_id, algorithm, parts)


def _claimed_addresses(request: HttpRequest) -> list[str]:
    # Most proxies write the first, and hand on the second as the client sent it.
    if chain := request.META.get("HTTP_X_FORWARDED_FOR"):
        return [part for part in chain.split(",") if part.strip()]
    forwarded = request.META.get("HTTP_FORWARDED", "")
    return [_forwarded_for(element) for element in forwarded.split(",") if element.strip()]


def _forwarded_for(element: str) -> str:
    for pair in element.split(";"):
        name, _, value = pair.strip().partition("=")
        if name.lower() == "for":
            return value
    return ""


@lru_cache(maxsize=8)
def _trusted_networks(texts: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _is_trusted(address: IPAddress, trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
