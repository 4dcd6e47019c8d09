"""FTP (RFC 959). Shares its greeting code 220 with SMTP, so an unclear greeting is settled by asking for
FEAT."""

from __future__ import annotations

import re

from ..banners import field
from ..conversation import Endpoint
from ..observation import TlsUpgrade
from .base import Identity, Service, register

_GREETING = re.compile(rb"(?:220|421)[ -](?!.{0,400}SMTP).{0,400}?FTP", re.IGNORECASE | re.DOTALL)
_PRODUCT = re.compile(
    rb"(vsFTPd|ProFTPD|Pure-FTPd|pyftpdlib|FileZilla Server|Microsoft FTP Service)[ /]?v?(\d[\w.]{0,20})?",
    re.IGNORECASE,
)
_FEATURES = re.compile(rb"(?:^|\n)(?:211|500|502|530)[ -]")


@register
class Ftp(Service):
    name = "ftp"
    usual_ports = frozenset({21, 2121})
    speaks_first = True
    order = 60

    def recognise(self, data: bytes) -> Identity | None:
        product = _PRODUCT.search(data) if data.startswith(b"220") else None
        if product is None and not _GREETING.match(data):
            return None
        return Identity("ftp", field(product[1]), field(product[2])) if product else Identity("ftp")

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            greeting = await conversation.receive(wait=endpoint.limits.usual_listen)
            if not greeting.startswith((b"220", b"421")):
                return None
            features = await conversation.ask(b"FEAT\r\n")
        known = self.recognise(greeting)
        if known is None and not _FEATURES.search(features):
            return None
        product = known or Identity("ftp")
        details = (TlsUpgrade(b"AUTH TLS" in features.upper()),) if features else ()
        return Identity("ftp", product.product, product.version, details=details).saying(greeting)
