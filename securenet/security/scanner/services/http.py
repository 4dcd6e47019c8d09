"""HTTP/1.1: one GET / that names the scanner, of which only the head of the answer is read. No redirect is
followed."""

from __future__ import annotations

import re

from ..banners import field, readable
from ..conversation import Conversation, Endpoint
from ..observation import HttpResponse
from .base import Identity, Service, register

USER_AGENT = "SecureNet-Scanner/1.0"
MAX_HEAD = 16 * 1024  # bytes; a head that is longer is not judged

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?:[ \r\n]|$)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_SERVER = re.compile(r"(?P<product>[A-Za-z][\w .-]*?)(?:/(?P<version>[\w.+~-]+))?(?:[ ,;(]|$)")
_WANTS_TLS = re.compile(
    rb"HTTP/1\.[01] 400 .{0,2000}?(?:plain HTTP request was sent to HTTPS|"
    rb"speaking plain HTTP to an SSL|sent an HTTP request to an HTTPS server)",
    re.DOTALL | re.IGNORECASE,
)
_DEFAULT_PORTS = {False: 80, True: 443}


@register
class Http(Service):
    name = "http"
    usual_ports = frozenset({80, 81, 3000, 5000, 8000, 8008, 8080, 8081, 8088, 8888, 9090, 9200, 15672})
    order = 20

    def recognise(self, data: bytes) -> Identity | None:
        return None if wants_tls(data) else identity_of(data, over_tls=False)

    async def probe(self, endpoint: Endpoint) -> Identity | None:
        async with endpoint.connect() as conversation:
            answer = await get(conversation, endpoint, over_tls=False)
        return self.recognise(answer)


def wants_tls(data: bytes) -> bool:
    """Whether this is what web servers say, in clear, to a client that forgot TLS."""
    return bool(_WANTS_TLS.match(data))


async def get(conversation: Conversation, endpoint: Endpoint, *, over_tls: bool) -> bytes:
    """Send GET / and return the head of the answer, at most `MAX_HEAD` bytes."""
    port = "" if endpoint.port == _DEFAULT_PORTS[over_tls] else f":{endpoint.port}"
    request = (
        f"GET / HTTP/1.1\r\nHost: {endpoint.authority}{port}\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept: text/html,*/*;q=0.5\r\nConnection: close\r\n\r\n"
    )
    return await conversation.ask(
        request.encode("ascii"),
        MAX_HEAD,
        is_complete=lambda data: bool(_HEAD_END.search(data)) or not _may_be_http(data),
    )


def identity_of(data: bytes, *, over_tls: bool) -> Identity | None:
    """What the head of an HTTP answer says. A head that is cut off has no response to judge, only a name."""
    status = _STATUS.match(data)
    if status is None:
        return None
    end = _HEAD_END.search(data)
    response = HttpResponse(int(status[1]), _headers(data[: end.start() if end else None]), over_tls)
    server = _SERVER.match(response.header("server") or "")
    return Identity(
        service="https" if over_tls else "http",
        product=field(server["product"]) if server else "",
        version=field(server["version"]) if server else "",
        banner=readable(data[: end.start() if end else None]),
        details=(response,) if end else (),
    )


def _may_be_http(data: bytes) -> bool:
    return data[:7] == b"HTTP/1."[: len(data)]


def _headers(head: bytes) -> tuple[tuple[str, str], ...]:
    lines = (line.partition(b":") for line in head.splitlines()[1:])
    return tuple((field(name).lower(), readable(value)) for name, colon, value in lines if colon)
