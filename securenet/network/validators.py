"""What may be written into assets and scan targets. Each raises Django's ValidationError saying what to write.

Addresses, networks and ports are read by the scanner's own code, so that nothing is stored that it reads otherwise.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from securenet.security.scanner import InvalidPorts, PortSet, TargetRefused, parse_target
from securenet.security.scanner.addresses import canonical
from securenet.security.scanner.targets import AddressTarget, BlockTarget

MAX_TAGS: Final = 30
MAX_TAG_LENGTH: Final = 50
# The shortest prefix that one scan target may have, by IP version: nobody is authorised to scan the Internet.
LARGEST_NETWORK: Final = {4: 8, 6: 32}


def canonical_address(text: str) -> str:
    """The one spelling of an address; forms of IPv6 that carry an IPv4 address become that, or are refused."""
    try:
        return str(canonical(ip_address(text.strip())))
    except ValueError as error:
        raise ValidationError(
            _("Write an IP address, such as 192.0.2.7 or 2001:db8::7."), code="invalid_address"
        ) from error
    except TargetRefused as error:
        raise _refusal(error.detail, "invalid_address") from error


def normalised_network(text: str) -> str:
    """A network as CIDR; a single address becomes a network of one."""
    try:
        target = parse_target(text)
    except TargetRefused as error:
        raise _refusal(error.detail, "invalid_network") from error
    match target:
        case AddressTarget(address=address):
            network = ip_network(address)
        case BlockTarget(network=network):
            pass
        case _:
            raise ValidationError(
                _("Write an address or a network such as 10.0.0.0/24; names are not authorised, addresses are."),
                code="invalid_network",
            )
    least = LARGEST_NETWORK[network.version]
    if network.prefixlen < least:
        raise ValidationError(
            _("%(network)s is too large; one target is at most a /%(least)s."),
            code="network_too_large",
            params={"network": network, "least": least},
        )
    return str(network)


def normalised_ports(text: str) -> str:
    """A list of ports and ranges, sorted and merged: ``443, 80-81,82`` -> ``80-82,443``."""
    try:
        return str(PortSet.parse(text))
    except InvalidPorts as error:
        raise _refusal(str(error), "invalid_ports") from error


def validate_network(text: str) -> None:
    """For model and form fields; see `normalised_network`."""
    normalised_network(text)


def validate_ports(text: str) -> None:
    """For model and form fields; see `normalised_ports`."""
    normalised_ports(text)


def validate_tags(value: Any) -> None:
    """Tags are a list of short, different words."""
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag.strip() for tag in value):
        raise ValidationError(_('Write a JSON list of words, such as ["web", "paris"].'), code="invalid_tags")
    if len(value) > MAX_TAGS or len(set(value)) < len(value) or any(len(tag) > MAX_TAG_LENGTH for tag in value):
        raise ValidationError(
            _("At most %(tags)s different tags of at most %(length)s characters."),
            code="invalid_tags",
            params={"tags": MAX_TAGS, "length": MAX_TAG_LENGTH},
        )


def _refusal(detail: str, code: str) -> ValidationError:
    """An error in words that may hold a percent sign, which is no placeholder."""
    return ValidationError("%(detail)s", code=code, params={"detail": detail})
