"""AMQP 0-9-1, as RabbitMQ speaks it: answers the protocol header with Connection.Start, which names the
product.

Source: AMQP 0-9-1 specification, sections 2.2.4 and 4.2.
"""

from __future__ import annotations

import re

from ..banners import field
from ..conversation import Endpoint
from .base import Identity, Service, register

_HEADER = b"AMQP\x00\x00\x09\x01"
_START = re.compile(rb"\x01\x00\x00.{4}\x00\x0a\x00\x0a\x00\x09", re.DOTALL)


@register
class Amqp(Service):
    name = "amqp"
    usual_ports = frozenset({5672})

    def recognise(self, data: bytes) -> Identity | None:
        if _START.match(data):
            return Identity("amqp", field(_property(data, b"product")), field(_property(data, b"version")))
        # To anything else the server answers with the header it wants, and closes.
        return Identity("amqp") if data.startswith(b"AMQP") and len(data) <= 8 else None

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            answer = await conversation.ask(_HEADER)
        identity = self.recognise(answer)
        return identity.saying(answer) if identity else None


def _property(data: bytes, name: bytes) -> bytes:
    """A string of the server's properties: short-string name, type S, length, text."""
    start = data.find(bytes([len(name)]) + name + b"S")
    if start < 0:
        return b""
    position = start + len(name) + 2
    length = int.from_bytes(data[position : position + 4], "big")
    return data[position + 4 : position + 4 + min(length, 100)]
