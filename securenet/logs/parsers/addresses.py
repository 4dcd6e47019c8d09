"""Canonical text of IP addresses, so that one machine is one string wherever it was logged.

Text that is not exactly an address is None, never a guess: "1.2.3.4.example.net" is a name, not 1.2.3.4.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

ADDRESS = r"[0-9A-Fa-f:.]{2,45}(?:%[\w.-]{1,16})?"
"""Bounded pattern of what may be an address; `canonical_address` decides."""


_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


@lru_cache(maxsize=4_096)
def canonical_address(text: str) -> str | None:
    """Return the canonical form of an address, or None.

    IPv6 is lower-cased and compressed (RFC 5952), its zone dropped; an IPv4-mapped address becomes IPv4.
    """
    if _IPV4.fullmatch(text):
        return text  # the one spelling of an IPv4 address there is
    if ":" not in text or len(text) > 64:
        return None
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address)))


@lru_cache(maxsize=4_096)
def source_network(address: str) -> str:
    """Return what counts as one source: the IPv4 address itself, or the /64 of an IPv6 address.

    A single subscriber is given a whole /64 (RFC 6177), so counting its addresses one by one counts nothing.
    """
    if ":" not in address:
        return address
    return str(ipaddress.ip_network((address, 64), strict=False))
