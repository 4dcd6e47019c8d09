"""MySQL and MariaDB: greet with a handshake packet, or an error packet for hosts they do not serve.

Source: MySQL client/server protocol, Protocol::HandshakeV10 and ERR_Packet.
"""

from __future__ import annotations

import re

from ..banners import field
from .base import Identity, Service, register

_VERSION = re.compile(rb"([\x20-\x7e]{1,60})\x00")
_REFUSED = re.compile(rb"Host .{1,200}(?:is not allowed|is blocked).{1,60}?(MySQL|MariaDB)", re.DOTALL)
_SHORTEST, _LONGEST = 20, 512  # bytes of a greeting or an error about the client's address
_REPLICATION_PREFIX = b"5.5.5-"  # MariaDB puts it before its version for old replicas


@register
class MySql(Service):
    name = "mysql"
    usual_ports = frozenset({3306, 33060})
    speaks_first = True

    def recognise(self, data: bytes) -> Identity | None:
        if len(data) < 6 or data[3] != 0 or not _SHORTEST <= int.from_bytes(data[:3], "little") <= _LONGEST:
            return None
        if data[4] == 0x0A and (match := _VERSION.match(data, 5)):
            return _identity(match[1])
        if data[4] == 0xFF and (match := _REFUSED.search(data)):
            return Identity("mysql", field(match[1]))
        return None


def _identity(version: bytes) -> Identity:
    if b"mariadb" in version.lower():
        number = version.removeprefix(_REPLICATION_PREFIX)
        return Identity("mysql", "MariaDB", field(number.partition(b"-")[0]))
    return Identity("mysql", "MySQL", field(version))
