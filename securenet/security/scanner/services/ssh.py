"""SSH: greets with its version (RFC 4253, section 4.2). The distribution's suffix stays in the banner."""

from __future__ import annotations

import re

from ..banners import field
from .base import Identity, Service, register

_GREETING = re.compile(rb"SSH-\d\.\d+-([^\s_-]{1,60})(?:[_-]([^\s]{1,60}))?")


@register
class Ssh(Service):
    name = "ssh"
    usual_ports = frozenset({22, 2222})
    speaks_first = True

    def recognise(self, data: bytes) -> Identity | None:
        match = _GREETING.match(data)
        return Identity("ssh", field(match[1]), field(match[2])) if match else None
