"""Decides what may be scanned. Everything is forbidden but the addresses and ports of a `Scope`.

`authorise` is the only way from a user's words to a `PinnedAddress`, and scanning connects to pinned
addresses only: what was checked is what is connected to, whatever a name resolves to later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Network
from typing import Final

from .addresses import Address, Network, canonical, refuse_forbidden
from .ports import ALL_PORTS, PortSet
from .refusal import Refusal, TargetRefused
from .targets import (
    BlockTarget,
    HostTarget,
    Resolver,
    Target,
    address_count,
    addresses_of,
    is_host_name,
    parse_targets,
    system_resolver,
)

DEFAULT_MAX_ADDRESSES: Final = 4096
_MAPPED: Final = IPv6Network("::ffff:0:0/96")


@dataclass(frozen=True, slots=True)
class Scope:
    """A network that may be scanned.

    ports: the TCP ports that may be tried; rate: connections per second to each address (`math.inf`: no
    limit); valid_until: when the authorisation ends (aware datetime; None: never); name: what refusals and
    reports call it.
    """

    network: Network
    ports: PortSet = ALL_PORTS
    rate: float = 500.0
    valid_until: datetime | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.rate > 0 or math.isnan(self.rate):
            raise ValueError(f"rate is {self.rate}; give the connections per second as a number above 0")
        if self.valid_until is not None and self.valid_until.tzinfo is None:
            raise ValueError("valid_until has no time zone; use an aware datetime")
        if isinstance(self.network, IPv6Network) and self.network.subnet_of(_MAPPED):
            raise ValueError(f"{self.network} is an IPv4 network in IPv6 form; write the IPv4 network")

    def is_live(self, now: datetime) -> bool:
        """Whether the authorisation holds at `now`."""
        return self.valid_until is None or now < self.valid_until

    def is_broadcast(self, address: Address) -> bool:
        """Whether this is the address of all hosts of the network together."""
        network = self.network
        return network.version == 4 and network.prefixlen <= 30 and address == network.broadcast_address

    def __str__(self) -> str:
        return f"{self.name} ({self.network})" if self.name else str(self.network)


@dataclass(frozen=True, slots=True)
class PinnedAddress:
    """An address that may be scanned, with the scope that allows it. One outside its scope cannot be made.

    hostname: the name it was found by (sent as SNI and Host, never looked up again); from_block: it was not
    named itself but is part of a block, so that nobody has claimed a host is there.
    """

    address: Address
    scope: Scope
    hostname: str | None = None
    from_block: bool = False

    def __post_init__(self) -> None:
        if self.hostname is not None and not is_host_name(self.hostname):
            raise TargetRefused(self.hostname, Refusal.INVALID, "this is no host name")
        if canonical(self.address) != self.address or self.address not in self.scope.network:
            raise _outside(self.address)
        refuse_forbidden(self.address)
        if self.scope.is_broadcast(self.address):
            raise TargetRefused(
                self.address,
                Refusal.BROADCAST,
                f"this is the broadcast address of {self.scope.network}; name the hosts themselves",
            )

    def refuse_expired(self, now: datetime) -> None:
        """Raise TargetRefused if the authorisation has run out; a scan may start long after it was given."""
        if not self.scope.is_live(now):
            raise _expired(self.address, self.scope)


def authorise(
    targets: Sequence[str | Target],
    scopes: Sequence[Scope],
    ports: PortSet,
    *,
    now: datetime | None = None,
    resolver: Resolver = system_resolver,
    max_addresses: int = DEFAULT_MAX_ADDRESSES,
) -> tuple[PinnedAddress, ...]:
    """The addresses to scan, each pinned to the scope that allows it.

    Where networks nest, the smallest that has not expired decides alone, so that a fragile host can be given
    fewer ports or a lower rate than the network around it. Every address of a block and of a host name must
    be allowed. Raises TargetRefused for the first target that is not.
    """
    now = now or datetime.now(UTC)
    parsed = [target if not isinstance(target, str) else parse_targets([target])[0] for target in targets]
    _refuse_too_many(parsed, sum(map(address_count, parsed)), max_addresses)
    by_size = sorted(scopes, key=lambda scope: scope.network.prefixlen, reverse=True)
    unique = tuple(
        _without_repeats([pin for target in parsed for pin in _pin_all(target, by_size, ports, now, resolver)])
    )
    _refuse_too_many(parsed, len(unique), max_addresses)
    return unique


def _pin_all(
    target: Target, scopes: Sequence[Scope], ports: PortSet, now: datetime, resolver: Resolver
) -> list[PinnedAddress]:
    hostname = target.name if isinstance(target, HostTarget) else None
    from_block = isinstance(target, BlockTarget)
    try:
        decided = [
            (address, _deciding_scope(address, scopes, ports, now)) for address in addresses_of(target, resolver)
        ]
        # Who names a block does not mean the broadcast addresses of the networks in it.
        return [
            PinnedAddress(address, scope, hostname, from_block)
            for address, scope in decided
            if not (from_block and scope.is_broadcast(address))
        ]
    except TargetRefused as refused:
        if refused.target == target.text:
            raise
        raise TargetRefused(target.text, refused.reason, f"{refused.target}: {refused.detail}") from refused


def _deciding_scope(address: Address, scopes: Sequence[Scope], ports: PortSet, now: datetime) -> Scope:
    refuse_forbidden(address)
    covering = [scope for scope in scopes if address in scope.network]
    if not covering:
        raise _outside(address)
    live = [scope for scope in covering if scope.is_live(now)]
    if not live:
        raise _expired(address, covering[0])
    closest = [scope for scope in live if scope.network == live[0].network]
    for scope in closest:
        if ports.issubset(scope.ports):
            return scope
    raise TargetRefused(
        address,
        Refusal.PORTS,
        f"{closest[0]} allows ports {closest[0].ports or 'none'}; leave out {ports - closest[0].ports}",
    )


def _without_repeats(pinned: Sequence[PinnedAddress]) -> Iterator[PinnedAddress]:
    """Each address once per host name; without one only if no name leads there, of a block if not named."""
    with_name = {pin.address for pin in pinned if pin.hostname}
    singly = {pin.address for pin in pinned if not pin.from_block}
    seen: set[tuple[Address, str | None]] = set()
    for pin in pinned:
        is_told_better = (pin.hostname is None and pin.address in with_name) or (
            pin.from_block and pin.address in singly
        )
        if not is_told_better and (pin.address, pin.hostname) not in seen:
            seen.add((pin.address, pin.hostname))
            yield pin


def _refuse_too_many(targets: Sequence[Target], count: int, limit: int) -> None:
    if count > limit:
        largest = max(targets, key=address_count)
        raise TargetRefused(
            largest.text,
            Refusal.TOO_MANY,
            f"the targets have {count} addresses, {limit} are allowed in one scan; split it",
        )


def _outside(address: Address) -> TargetRefused:
    return TargetRefused(
        address,
        Refusal.OUTSIDE,
        "this address is in no authorised network; an administrator can add one that covers it",
    )


def _expired(address: Address, scope: Scope) -> TargetRefused:
    ended = scope.valid_until.isoformat(timespec="minutes") if scope.valid_until else ""
    return TargetRefused(
        address, Refusal.EXPIRED, f"the authorisation {scope} ended at {ended}; an administrator can renew it"
    )
