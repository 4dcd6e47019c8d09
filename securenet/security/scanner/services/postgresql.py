"""PostgreSQL: asked whether it does TLS. Its answer to SSLRequest is the single byte S or N, and no log-in is
tried.

Source: PostgreSQL documentation, "Message Flow", SSL session encryption.
"""

from __future__ import annotations

import struct

from ..conversation import Endpoint
from ..observation import TlsUpgrade
from .base import Identity, Service, register

_SSL_REQUEST = struct.pack("!II", 8, 80877103)


@register
class PostgreSql(Service):
    name = "postgresql"
    usual_ports = frozenset({5432, 5433, 6432})

    def recognise(self, data: bytes) -> Identity | None:
        # Its error message for a start-up packet it cannot read: type E, length, severity field.
        is_error = data.startswith(b"E\x00\x00") and b"SFATAL\x00" in data[:40]
        return Identity("postgresql", "PostgreSQL") if is_error else None

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            answer = await conversation.ask(_SSL_REQUEST)
        if answer not in (b"S", b"N"):
            return None
        return Identity("postgresql", "PostgreSQL", details=(TlsUpgrade(answer == b"S"),)).saying(answer)
