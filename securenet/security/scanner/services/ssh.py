"""SSH: greets with its version (RFC 4253, section 4.2). The distribution's suffix stays in the banner.

The probe reads which algorithms the server offers, which comes in clear and before anybody signs in (section 7.1),
and hangs up.
"""

from __future__ import annotations

import re
from typing import Final

from ..banners import field
from ..conversation import Conversation, Endpoint
from ..observation import SshAlgorithms
from .base import Identity, Service, register

CLIENT_VERSION: Final = b"SSH-2.0-SecureNet_Scanner\r\n"
MAX_PACKET: Final = 35_000  # bytes, with the length field (section 6.1)

_KEXINIT: Final = 20
_LENGTH: Final = 4  # bytes of a length field
_COOKIE: Final = 16  # random bytes after the message's number
_MOST_NAMES: Final = 100  # per list
_GREETING = re.compile(rb"SSH-\d\.\d+-([^\s_-]{1,60})(?:[_-]([^\s]{1,60}))?")
_GREETING_LINE = re.compile(rb"(SSH-(?:2\.0|1\.99)-[^\r\n]{0,255})\r?\n")


@register
class Ssh(Service):
    name = "ssh"
    usual_ports = frozenset({22, 2222})
    speaks_first = True

    def recognise(self, data: bytes) -> Identity | None:
        match = _GREETING.match(data)
        return Identity("ssh", field(match[1]), field(match[2])) if match else None

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            said = await conversation.receive(
                wait=endpoint.limits.usual_listen, is_complete=lambda data: b"\n" in data or not data.startswith(b"SSH")
            )
            identity = self.recognise(said)
            line = _GREETING_LINE.match(said)
            if identity is None or line is None:
                return None  # it is not SSH, or only protocol 1, which has no such offer
            offer = await _offer(conversation, said[line.end() :])
        return Identity("ssh", identity.product, identity.version, details=(offer,) if offer else ()).saying(line[1])


async def _offer(conversation: Conversation, begun: bytes) -> SshAlgorithms | None:
    """Tell our version and read the server's first packet, of which the beginning may have come already."""
    await conversation.send(CLIENT_VERSION)
    if _is_whole(begun):
        return read_algorithms(begun)
    rest = await conversation.receive(MAX_PACKET - len(begun), is_complete=lambda data: _is_whole(begun + data))
    return read_algorithms(begun + rest)


def _is_whole(data: bytes) -> bool:
    """Whether nothing more is to come of the first packet, be it because it is no packet of allowed size."""
    if len(data) < _LENGTH:
        return False
    size = _LENGTH + int.from_bytes(data[:_LENGTH])
    return size > MAX_PACKET or len(data) >= size


def read_algorithms(data: bytes) -> SshAlgorithms | None:
    """What an unencrypted SSH_MSG_KEXINIT packet offers; None if the data begin with none, or one cut off."""
    size = _LENGTH + int.from_bytes(data[:_LENGTH])
    if size > MAX_PACKET or len(data) < max(size, _LENGTH + 2) or data[_LENGTH + 1] != _KEXINIT:
        return None
    payload = data[_LENGTH + 1 : size - data[_LENGTH]]
    lists = _name_lists(payload[1 + _COOKIE :], count=6)
    if lists is None:
        return None
    key_exchanges, host_keys, ciphers_in, ciphers_out, macs_in, macs_out = lists
    return SshAlgorithms(key_exchanges, host_keys, _together(ciphers_in, ciphers_out), _together(macs_in, macs_out))


def _name_lists(data: bytes, count: int) -> list[tuple[str, ...]] | None:
    """The first name-lists (RFC 4251, section 5), their names safe to show; None if there are fewer."""
    lists: list[tuple[str, ...]] = []
    for _ in range(count):
        end = _LENGTH + int.from_bytes(data[:_LENGTH])
        if len(data) < end:
            return None
        names = data[_LENGTH:end].split(b",")[:_MOST_NAMES]
        lists.append(tuple(field(name) for name in names if name))
        data = data[end:]
    return lists


def _together(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
