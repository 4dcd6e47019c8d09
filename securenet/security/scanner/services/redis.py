"""Redis and Valkey: asked with PING, then INFO server, as inline commands (no argument of ours can change
data)."""

from __future__ import annotations

import re

from ..banners import field, readable
from ..conversation import Endpoint
from ..observation import AnonymousAccess
from .base import Identity, Service, register

_ANSWER = re.compile(
    rb"\+PONG\r\n|-NOAUTH |-NOPERM |-DENIED Redis|-LOADING (?:Redis|Valkey)|-MASTERDOWN "
    rb"|-ERR (?:unknown command|wrong number of arguments for 'get'|operation not permitted)"
)
_VERSION = re.compile(rb"^(valkey|redis)_version:([\w.+-]{1,30})\r?$", re.MULTILINE)


@register
class Redis(Service):
    name = "redis"
    usual_ports = frozenset({6379, 6380, 7000, 7001, 16379, 26379})

    def recognise(self, data: bytes) -> Identity | None:
        return Identity("redis") if _ANSWER.match(data) else None

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            answer = await conversation.ask(b"PING\r\n", is_complete=lambda data: data.endswith(b"\r\n"))
            if not _ANSWER.match(answer):
                return None
            is_granted = answer.startswith(b"+PONG")
            info = await conversation.ask(b"INFO server\r\n") if is_granted else b""
        product, version = _product(info)
        access = AnonymousAccess(is_granted, "PING", readable(answer))
        return Identity("redis", product, version, details=(access,)).saying(info or answer)


def _product(info: bytes) -> tuple[str, str]:
    """Name and version. Valkey tells a Redis version as well, for old clients; its own counts."""
    versions = {match[1]: match[2] for match in _VERSION.finditer(info)}
    for key, product in ((b"valkey", "Valkey"), (b"redis", "Redis")):
        if key in versions:
            return product, field(versions[key])
    return "", ""
