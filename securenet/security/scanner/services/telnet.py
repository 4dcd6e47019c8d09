"""Telnet: opens with option negotiation, IAC WILL/WONT/DO/DONT (RFC 854)."""

from __future__ import annotations

import re

from .base import Identity, Service, register

_NEGOTIATION = re.compile(rb"\xff[\xfb-\xfe][\x00-\x31].{0,400}", re.DOTALL)


@register
class Telnet(Service):
    name = "telnet"
    usual_ports = frozenset({23, 2323})
    speaks_first = True

    def recognise(self, data: bytes) -> Identity | None:
        return Identity("telnet") if _NEGOTIATION.match(data) else None
