"""TLS: a handshake that accepts everything, because the scanner wants to see what is there, not to trust it.

The default client context would hide old protocol versions and weak ciphers, so security level and version
are lowered. What this OpenSSL cannot speak (SSLv3) is not assessed. Inside the tunnel HTTP is tried.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from functools import cache

from ..banners import field
from ..certificates import read_certificate
from ..conversation import CONVERSATION_FAILED, Conversation, Endpoint
from ..observation import TlsHandshake
from . import http
from .base import Identity, Service, recognise, register

_RECORD = re.compile(rb"[\x15\x16]\x03[\x00-\x04]", re.DOTALL)
_TLS_FAILURES = frozenset({"UNSUPPORTED_PROTOCOL", "DH_KEY_TOO_SMALL", "NO_PROTOCOLS_AVAILABLE"})
_LEGACY_SERVER_CONNECT = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT, which ssl names from Python 3.12 on


@register
class Tls(Service):
    name = "tls"
    usual_ports = frozenset({443, 465, 636, 853, 989, 990, 993, 995, 5671, 8443, 9443})
    order = 10

    def recognise(self, data: bytes) -> Identity | None:
        return Identity("tls") if _RECORD.match(data) or http.wants_tls(data) else None

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        try:
            async with endpoint.connect(tls=_context()) as conversation:
                handshake = _handshake(conversation.tls)
                answer = await _ask_http(conversation, endpoint)
        except ssl.SSLError as error:
            return _failed(error)
        inner = http.identity_of(answer, over_tls=True) or recognise(answer) or Identity().saying(answer)
        return replace(inner, service=inner.service or "tls", details=(*inner.details, handshake))

    async def examine(self, endpoint: Endpoint, identity: Identity) -> Identity:
        return await http.with_files(endpoint, identity, tls=_context())


async def _ask_http(conversation: Conversation, endpoint: Endpoint) -> bytes:
    try:
        return await http.get(conversation, endpoint, over_tls=True)
    except CONVERSATION_FAILED:
        return b""  # it hung up, perhaps because it wants a client certificate: the handshake still counts


@cache
def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT
    return context


def _handshake(session: ssl.SSLObject | None) -> TlsHandshake:
    if session is None:
        return TlsHandshake(failure="no TLS session")
    der = session.getpeercert(binary_form=True)
    cipher = session.cipher()
    try:
        certificate = read_certificate(der) if der else None
        failure = "" if certificate else "the server sent no certificate"
    except ValueError as error:
        certificate, failure = None, field(f"the certificate cannot be read: {error}")
    return TlsHandshake(session.version() or "", cipher[0] if cipher else "", certificate, failure)


def _failed(error: ssl.SSLError) -> Identity | None:
    """A TLS server that refused us sent an alert; anything else did not speak TLS."""
    reason = error.reason or ""
    is_tls = "ALERT" in reason or reason in _TLS_FAILURES
    return Identity("tls", details=(TlsHandshake(failure=field(reason)),)) if is_tls else None
