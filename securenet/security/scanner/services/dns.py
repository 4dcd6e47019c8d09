"""DNS over TCP (RFC 7766): asked for version.bind, which many servers answer and none needs to (RFC 4892)."""

from __future__ import annotations

import re
import struct

from ..banners import field
from ..conversation import Endpoint
from .base import Identity, Service, register

_ID = 0x534E
_QUESTION = b"\x07version\x04bind\x00" + struct.pack("!HH", 16, 3)  # TXT, CHAOS
_MESSAGE = struct.pack("!HHHHHH", _ID, 0, 1, 0, 0, 0) + _QUESTION
_REQUEST = struct.pack("!H", len(_MESSAGE)) + _MESSAGE
_HEADER = struct.Struct("!HHHHH")  # length, id, flags, questions, answers
_IS_RESPONSE = 0x8000
_NAMED = re.compile(r"(?P<product>[A-Za-z][\w. ]*?)[- ](?P<version>\d[\w.+~-]*)")


@register
class Dns(Service):
    name = "domain"
    usual_ports = frozenset({53})

    def recognise(self, data: bytes) -> Identity | None:
        if len(data) < 14:
            return None
        _, identifier, flags, questions, answers = _HEADER.unpack_from(data)
        if identifier != _ID or not flags & _IS_RESPONSE or questions > 1:
            return None
        text = field(_first_text(data)) if answers else ""
        if match := _NAMED.match(text):
            return Identity("domain", match["product"], match["version"])
        # BIND answers with its bare version number.
        return Identity("domain", "BIND", text) if text[:1].isdigit() else Identity("domain", text)

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            answer = await conversation.ask(_REQUEST, is_complete=_is_whole)
        identity = self.recognise(answer)
        return identity.saying(answer[2:]) if identity else None


def _is_whole(data: bytes) -> bool:
    return len(data) >= 2 and len(data) - 2 >= int.from_bytes(data[:2], "big")


def _first_text(data: bytes) -> bytes:
    """The text of the first answer. After the question, which is ours: name (a pointer or our name again),
    type, class, time to live, length, then one length byte and the text."""
    position = 2 + 12 + len(_QUESTION)
    position += 2 if data[position : position + 1] >= b"\xc0" else len(_QUESTION) - 4
    if data[position : position + 2] != b"\x00\x10":
        return b""
    length = data[position + 10 : position + 11]
    return data[position + 11 : position + 11 + length[0]] if length else b""
