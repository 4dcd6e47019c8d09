"""One address, one spelling: the canonical form of an address, and the addresses that are never scanned.

Forms that carry an IPv4 address inside IPv6 are where checks and connections part company, so each is either
turned into the IPv4 address itself or refused. Sources: RFC 4291, 6052 (NAT64), 3056 (6to4), 4380 (Teredo),
5214 (ISATAP).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from .refusal import Refusal, TargetRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64: Final = IPv6Network("64:ff9b::/96")
_LOOPBACK6: Final = IPv6Address("::1")
_UNSPECIFIED6: Final = IPv6Address("::")

# Never scanned, whatever an authorisation says. The first network that holds the address gives the reason.
_NEVER: Final[tuple[tuple[Network, Refusal], ...]] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254", Refusal.METADATA),  # AWS, Google, Azure, and most others
        ("169.254.170.0/24", Refusal.METADATA),  # AWS container credentials
        ("fd00:ec2::/32", Refusal.METADATA),  # AWS
        ("fd20:ce::254", Refusal.METADATA),  # Google
        ("100.100.100.200", Refusal.METADATA),  # Alibaba
        ("168.63.129.16", Refusal.METADATA),  # Azure
        ("192.0.0.192", Refusal.METADATA),  # Oracle
        ("169.254.0.0/16", Refusal.LINK_LOCAL),
        ("fe80::/10", Refusal.LINK_LOCAL),
        ("224.0.0.0/4", Refusal.MULTICAST),
        ("ff00::/8", Refusal.MULTICAST),
        ("255.255.255.255", Refusal.BROADCAST),
        ("240.0.0.0/4", Refusal.RESERVED),
        ("0.0.0.0/8", Refusal.UNSPECIFIED),
        ("::", Refusal.UNSPECIFIED),
    )
)

_TRANSITION: Final = tuple(
    IPv6Network(network)
    for network in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b:1::/48",  # locally assigned NAT64
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
    )
)

_WHY: Final = {
    Refusal.METADATA: "this is a cloud metadata service, which hands out credentials; it is never scanned",
    Refusal.LINK_LOCAL: "link-local addresses are never scanned; use the host's routable address",
    Refusal.MULTICAST: "multicast addresses are never scanned; name the hosts themselves",
    Refusal.BROADCAST: "broadcast addresses are never scanned; name the hosts themselves",
    Refusal.RESERVED: "240.0.0.0/4 is reserved and never scanned",
    Refusal.UNSPECIFIED: "0.0.0.0/8 and :: name no particular host; for this machine write 127.0.0.1 or ::1",
}


def canonical(address: Address) -> Address:
    """The address a connection to `address` really reaches: IPv4-mapped and NAT64 forms become IPv4.

    Raises TargetRefused for zone identifiers and for other forms that carry an IPv4 address.
    """
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        raise TargetRefused(
            address,
            Refusal.LINK_LOCAL,
            "a zone identifier (%) belongs to link-local addresses, which are never scanned",
        )
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if _is_transition(address):
        raise TargetRefused(
            address,
            Refusal.TRANSITION,
            "this IPv6 form carries an IPv4 address through a tunnel; write the IPv4 address",
        )
    return address


def refuse_forbidden(address: Address) -> None:
    """Raise TargetRefused if the (canonical) address is one that is never scanned."""
    for network, reason in _NEVER:
        if address in network:
            raise TargetRefused(address, reason, _WHY[reason])


def _is_transition(address: IPv6Address) -> bool:
    if address in (_LOOPBACK6, _UNSPECIFIED6):
        return False
    # ISATAP interface identifiers are 0000:5efe or 0200:5efe, followed by the IPv4 address.
    is_isatap = (int(address) >> 32) & 0xFDFF_FFFF == 0x0000_5EFE
    return is_isatap or any(address in network for network in _TRANSITION)
