"""What a scan has seen at one open port: the facts that checks judge. Frozen, and free of I/O.

Each kind of detail is a type of its own; a check asks for the one it needs and gets None where it was not
obtained, which is not the same as "is fine".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from .addresses import Address


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The answer to GET /. headers: (lower-case name, text) in the order they came, cookies without their values;
    page: how its body begins, line by line."""

    status: int
    headers: tuple[tuple[str, str], ...]
    over_tls: bool = False
    page: str = ""

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a header, one by one: those of Set-Cookie cannot be joined (RFC 9110, section 5.3)."""
        return tuple(value for key, value in self.headers if key == name)

    def header(self, name: str) -> str | None:
        """All values of a header, joined by commas; None if it is absent."""
        values = self.values(name)
        return ", ".join(values) if values else None


@dataclass(frozen=True, slots=True)
class HttpFile:
    """The answer to GET of a path at which no site should have anything. page: how its body begins, line by line; may
    hold secrets, and is for checks only."""

    path: str
    status: int
    page: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HttpFiles:
    """What was answered of all that was asked for in this way. is_complete: whether every question was answered."""

    files: tuple[HttpFile, ...]
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class SshAlgorithms:
    """Names of what an SSH server offers (RFC 4253, section 7.1), in the order it prefers, for both directions
    together. macs: message authentication codes."""

    key_exchanges: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The facts of a server's own certificate. not_before, not_after: aware datetimes; names: DNS names and
    IP addresses it is for; key_bits: None for keys whose strength is not told by their length."""

    subject: str
    issuer: str
    serial: str
    sha256: str
    not_before: datetime
    not_after: datetime
    is_self_signed: bool
    names: tuple[str, ...]
    key_type: str
    key_bits: int | None


@dataclass(frozen=True, slots=True)
class TlsHandshake:
    """A TLS connection that was made, or failed. certificate: None where it could not be obtained or read."""

    version: str = ""
    cipher: str = ""
    certificate: Certificate | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class AnonymousAccess:
    """Whether a service carried out `command` for somebody who had not signed in; `reply` is what it said."""

    is_granted: bool
    command: str
    reply: str


@dataclass(frozen=True, slots=True)
class TlsUpgrade:
    """Whether a cleartext service offers to continue with TLS (STARTTLS, AUTH TLS, SSLRequest)."""

    is_offered: bool


Detail = HttpResponse | HttpFiles | SshAlgorithms | TlsHandshake | AnonymousAccess | TlsUpgrade
D = TypeVar("D", HttpResponse, HttpFiles, SshAlgorithms, TlsHandshake, AnonymousAccess, TlsUpgrade)


@dataclass(frozen=True, slots=True)
class Observation:
    """An open port and all that was learnt about it.

    service: a name such as "ssh" or "https", "" if nothing was recognised; banner: at most 1 KiB, made safe
    to show; seen_at: aware datetime.
    """

    address: Address
    port: int
    seen_at: datetime
    hostname: str | None = None
    service: str = ""
    product: str = ""
    version: str = ""
    banner: str = ""
    details: tuple[Detail, ...] = ()

    def detail(self, kind: type[D]) -> D | None:
        """The detail of this type, if it was obtained."""
        for detail in self.details:
            if isinstance(detail, kind):
                return detail
        return None

    def __str__(self) -> str:
        host = self.hostname or (f"[{self.address}]" if self.address.version == 6 else str(self.address))
        return f"{host}:{self.port}"
