"""Reads what a user names as target (address, CIDR block or host name) and finds the addresses behind it.

The rule that keeps the check honest: no text reaches the system resolver that any resolver could read as an
address. What looks numeric is either a strict IPv4 address or refused, and host names are looked up once.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from .addresses import Address, Network, canonical
from .refusal import Refusal, TargetRefused, shown

Resolver = Callable[[str], Sequence[str]]

_ALLOWED = re.compile(r"[A-Za-z0-9._:/%-]+", re.ASCII)
_BLOCK = re.compile(r"(?P<address>[0-9A-Fa-f.:]+)/(?P<prefix>0|[1-9][0-9]{0,2})", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER = re.compile(r"[0-9_-]+|0x[0-9a-f]*", re.ASCII)
_MAX_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class AddressTarget:
    """A single address, in canonical form; `text` is what the user wrote."""

    text: str
    address: Address


@dataclass(frozen=True, slots=True)
class BlockTarget:
    """A CIDR block."""

    text: str
    network: Network


@dataclass(frozen=True, slots=True)
class HostTarget:
    """A host name in lower case, without the trailing dot."""

    text: str
    name: str


Target = AddressTarget | BlockTarget | HostTarget


def parse_target(text: str) -> Target:
    """Read one target. Raises TargetRefused (INVALID, LINK_LOCAL, TRANSITION), which says what to write."""
    trimmed = text.strip(" \t")
    if not _ALLOWED.fullmatch(trimmed):
        raise _invalid(text, "write an IP address, a CIDR block such as 10.0.0.0/28, or a host name in ASCII (xn--...)")
    if "%" in trimmed:
        raise TargetRefused(
            text,
            Refusal.LINK_LOCAL,
            "a zone identifier (%) belongs to link-local addresses, which are never scanned",
        )
    if "/" in trimmed:
        return BlockTarget(trimmed, _parse_block(trimmed))
    if ":" in trimmed:
        return AddressTarget(trimmed, canonical(_parse_ipv6(trimmed)))
    name = trimmed.lower().removesuffix(".")
    try:
        return AddressTarget(trimmed, IPv4Address(name))
    except AddressValueError:
        _refuse_numeric(name)
    return HostTarget(trimmed, _checked_name(name))


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Read several targets. Raises TargetRefused for the first that is wrong."""
    return tuple(parse_target(text) for text in texts)


def system_resolver(name: str) -> Sequence[str]:
    """The addresses the operating system gives for a host name. May block as long as its resolver does."""
    answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))


def is_host_name(name: str) -> bool:
    """Whether this is a host name (RFC 1123, and underscores, which occur in practice) in lower case."""
    return len(name) <= _MAX_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def address_count(target: Target) -> int:
    """How many addresses the target has at least, known without looking anything up."""
    return target.network.num_addresses if isinstance(target, BlockTarget) else 1


def addresses_of(target: Target, resolver: Resolver = system_resolver) -> Iterator[Address]:
    """The canonical addresses behind a target; a host name is looked up once, and every answer counts.

    Of an IPv4 block the network and broadcast addresses are left out. Raises TargetRefused for a name without
    an address and for answers that are no plain address.
    """
    match target:
        case AddressTarget(address=address):
            yield address
        case BlockTarget(network=network):
            for address in network.hosts() if network.version == 4 else network:
                yield canonical(address)
        case HostTarget():
            yield from _resolved(target, resolver)


def _resolved(target: HostTarget, resolver: Resolver) -> tuple[Address, ...]:
    try:
        answers = resolver(target.name)
    except (OSError, UnicodeError) as error:
        raise _unresolved(target, str(error)) from error
    if not answers:
        raise _unresolved(target, "no answer")
    found: list[Address] = []
    for answer in answers:
        try:
            found.append(canonical(ip_address(answer)))
        except ValueError as error:
            raise _unresolved(target, f"the resolver answered {shown(str(answer))}") from error
    return tuple(dict.fromkeys(found))


def _parse_block(text: str) -> Network:
    match = _BLOCK.fullmatch(text)
    if match is None:
        raise _invalid(text, "write a block as address/prefix length, such as 10.0.0.0/28; no URL and no netmask")
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise _invalid(text, "write a block as address/prefix length, such as 10.0.0.0/28") from error
    address = ip_address(match["address"])
    if network.network_address != address:
        raise _invalid(text, f"{address} is not the first address of the block; write {network}, or {address} alone")
    return network


def _parse_ipv6(text: str) -> IPv6Address:
    try:
        return IPv6Address(text)
    except AddressValueError as error:
        raise _invalid(
            text, "this is no IPv6 address; ports are given separately, without brackets or colons"
        ) from error


def _refuse_numeric(name: str) -> None:
    """Refuse what some resolver could read as an IPv4 address in octal, hexadecimal or shortened form."""
    try:
        reading = f"; if {IPv4Address(socket.inet_aton(name))} is meant, write that"
    except OSError:
        reading = ""
    if reading or _NUMBER.fullmatch(name.rpartition(".")[2]):
        raise _invalid(name, f"write IPv4 addresses as four plain decimal numbers, ranges as CIDR{reading}")


def _checked_name(name: str) -> str:
    if not is_host_name(name):
        raise _invalid(name, "this is neither an IP address nor a valid host name")
    return name


def _invalid(text: str, detail: str) -> TargetRefused:
    return TargetRefused(text, Refusal.INVALID, detail)


def _unresolved(target: HostTarget, why: str) -> TargetRefused:
    return TargetRefused(
        target.text,
        Refusal.UNRESOLVED,
        f"the host name has no usable address ({why}); check it, or name the address",
    )
