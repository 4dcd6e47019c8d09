"""SMTP (RFC 5321): greets with 220. EHLO, which names the scanner, tells whether it offers STARTTLS."""

from __future__ import annotations

import re

from ..banners import field
from ..conversation import Endpoint
from ..observation import TlsUpgrade
from .base import Identity, Service, register

CLIENT_NAME = b"securenet-scanner.invalid"

_GREETING = re.compile(rb"(?:220|421|554)[ -].{0,400}?E?SMTP", re.IGNORECASE | re.DOTALL)
_PRODUCT = re.compile(
    rb"(Postfix|Exim|Sendmail|OpenSMTPD|Haraka|Microsoft ESMTP MAIL Service)"
    rb"[ /,]?(?:Version:? ?)?(\d[\w.]{0,20})?",
    re.IGNORECASE,
)


@register
class Smtp(Service):
    name = "smtp"
    usual_ports = frozenset({25, 587, 2525})
    speaks_first = True

    def recognise(self, data: bytes) -> Identity | None:
        if not _GREETING.match(data):
            return None
        product = _PRODUCT.search(data)
        return Identity("smtp", field(product[1]), field(product[2])) if product else Identity("smtp")

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            greeting = await conversation.receive(wait=endpoint.limits.usual_listen)
            if not greeting.startswith(b"220"):
                return None
            answer = await conversation.ask(b"EHLO " + CLIENT_NAME + b"\r\n")
            if not answer.startswith(b"250"):
                return None
            await conversation.send(b"QUIT\r\n")
        product = self.recognise(greeting) or Identity("smtp")
        details = (TlsUpgrade(b"STARTTLS" in answer.upper()),)
        return Identity("smtp", product.product, product.version, details=details).saying(greeting)
