"""memcached, text protocol: asked for its version. A server that wants a password answers CLIENT_ERROR
instead."""

from __future__ import annotations

import re

from ..banners import field, readable
from ..conversation import Endpoint
from ..observation import AnonymousAccess
from .base import Identity, Service, register

_VERSION = re.compile(rb"VERSION ([\w.+-]{1,40})\r\n")
_LOCKED = b"CLIENT_ERROR unauthenticated"


@register
class Memcached(Service):
    name = "memcached"
    usual_ports = frozenset({11211})

    def recognise(self, data: bytes) -> Identity | None:
        if match := _VERSION.match(data):
            return Identity("memcached", "memcached", field(match[1]))
        return Identity("memcached", "memcached") if data.startswith(_LOCKED) else None

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            answer = await conversation.ask(b"version\r\n", is_complete=lambda data: data.endswith(b"\r\n"))
        identity = self.recognise(answer)
        if identity is None:
            return None
        access = AnonymousAccess(not answer.startswith(_LOCKED), "version", readable(answer))
        return Identity("memcached", "memcached", identity.version, details=(access,)).saying(answer)
