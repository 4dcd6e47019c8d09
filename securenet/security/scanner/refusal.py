"""Why a target may not be scanned. The only exception that target handling raises, so that callers catch one
thing."""

from __future__ import annotations

from enum import StrEnum


class Refusal(StrEnum):
    """The kind of refusal; the words for the user are in `TargetRefused.detail`."""

    INVALID = "invalid"  # no address, block or host name, or a spelling that others read differently
    UNRESOLVED = "unresolved"  # the host name has no address
    OUTSIDE = "outside"  # in no authorised network
    EXPIRED = "expired"  # the authorisation has run out
    PORTS = "ports"  # the authorisation does not cover these ports
    TOO_MANY = "too_many"  # more addresses than one scan may have
    METADATA = "metadata"  # a cloud provider's service that hands out credentials
    LINK_LOCAL = "link_local"
    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    UNSPECIFIED = "unspecified"  # 0.0.0.0/8 and ::
    RESERVED = "reserved"  # 240.0.0.0/4
    TRANSITION = "transition"  # an IPv6 form that carries an IPv4 address to somewhere else


class TargetRefused(Exception):
    """A target that may not be scanned.

    target: the text as given, shortened and escaped for display; reason: the kind; detail: what to do about
    it.
    """

    def __init__(self, target: object, reason: Refusal, detail: str) -> None:
        self.target = shown(str(target))
        self.reason = reason
        self.detail = detail
        super().__init__(f"{self.target}: {detail}")


def shown(text: str, limit: int = 100) -> str:
    """Text from outside, fit for a message: ASCII, printable, at most `limit` characters and an ellipsis."""
    escaped = text[:limit].encode("unicode_escape").decode("ascii")
    return escaped if len(text) <= limit else f"{escaped}..."
