"""HTTP/1.1: a GET / that names the scanner, of which the head and the beginning of the page are read, and one for each
of a few files that no site should show. No redirect is followed.
"""

from __future__ import annotations

import re
import ssl
from dataclasses import replace
from typing import Final, NamedTuple

from ..banners import field, readable, readable_lines
from ..conversation import CONVERSATION_FAILED, Conversation, Endpoint
from ..observation import HttpFile, HttpFiles, HttpResponse
from .base import Identity, Service, register

USER_AGENT = "SecureNet-Scanner/1.0"
MAX_HEAD = 16 * 1024  # bytes; a head that is longer is not judged
MAX_PAGE = 4 * 1024  # bytes of a body
# What deployments leave behind.
TELLTALE_PATHS: Final = ("/.git/HEAD", "/.env")

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5]\d\d)(?:[ \r\n]|$)")
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r?\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:[^\n]{0,200}chunked", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,8})[^\n]{0,200}\n")
_WITHOUT_BODY = frozenset({b"204", b"304"})
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

    async def examine(self, endpoint: Endpoint, identity: Identity) -> Identity:
        return await with_files(endpoint, identity, tls=None)


def wants_tls(data: bytes) -> bool:
    """Whether this is what web servers say, in clear, to a client that forgot TLS."""
    return bool(_WANTS_TLS.match(data))


async def get(conversation: Conversation, endpoint: Endpoint, *, over_tls: bool, path: str = "/") -> bytes:
    """Send a GET; return the head of the answer, at most `MAX_HEAD` bytes, and up to `MAX_PAGE` bytes of its body."""
    port = "" if endpoint.port == _DEFAULT_PORTS[over_tls] else f":{endpoint.port}"
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {endpoint.authority}{port}\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept: text/html,*/*;q=0.5\r\nConnection: close\r\n\r\n"
    )
    return await conversation.ask(request.encode("ascii"), MAX_HEAD + MAX_PAGE, is_complete=_is_enough)


async def with_files(endpoint: Endpoint, identity: Identity, *, tls: ssl.SSLContext | None) -> Identity:
    """What is known of a web server, and what it answers for `TELLTALE_PATHS`."""
    if not any(isinstance(detail, HttpResponse) for detail in identity.details):
        return identity
    answers = [await _file(endpoint, path, tls) for path in TELLTALE_PATHS]
    files = tuple(file for file in answers if file is not None)
    return replace(identity, details=(*identity.details, HttpFiles(files, len(files) == len(answers))))


async def _file(endpoint: Endpoint, path: str, tls: ssl.SSLContext | None) -> HttpFile | None:
    """The answer for one path; None without one, which is not the same as "is not there"."""
    try:
        async with endpoint.connect(tls=tls) as conversation:
            answer = await get(conversation, endpoint, over_tls=tls is not None, path=path)
    except CONVERSATION_FAILED:
        return None
    status, (head, _) = _STATUS.match(answer), _parted(answer)
    return HttpFile(path, int(status[1]), page_of(answer)) if status and head else None


def identity_of(data: bytes, *, over_tls: bool) -> Identity | None:
    """What the head of an HTTP answer says. A head that is cut off has no response to judge, only a name."""
    status = _STATUS.match(data)
    if status is None:
        return None
    head, _ = _parted(data)
    response = HttpResponse(int(status[1]), _headers(head or data), over_tls, page_of(data))
    server = _SERVER.match(response.header("server") or "")
    return Identity(
        service="https" if over_tls else "http",
        product=field(server["product"]) if server else "",
        version=field(server["version"]) if server else "",
        banner=readable(head or data),
        details=(response,) if head else (),
    )


def _is_enough(data: bytes) -> bool:
    """Whether nothing more has to be read: the head and enough of the body, or something that is no HTTP."""
    if not _may_be_http(data):
        return True
    head, body = _parted(data)
    if not head:
        return len(data) >= MAX_HEAD
    if len(body) >= MAX_PAGE or data[9:12] in _WITHOUT_BODY:
        return True
    if _CHUNKED.search(head):
        return _unchunked(body).is_whole
    length = _LENGTH.search(head)
    return length is not None and len(body) >= int(length[1])


def _parted(answer: bytes) -> tuple[bytes, bytes]:
    """Head and body; no head where it is not whole."""
    end = _HEAD_END.search(answer, 0, MAX_HEAD)
    return (answer[: end.end()], answer[end.end() :]) if end else (b"", b"")


def page_of(answer: bytes) -> str:
    """How the body of an answer begins, as text, line by line."""
    head, body = _parted(answer)
    content = _unchunked(body).content if _CHUNKED.search(head) else body
    return readable_lines(content[:MAX_PAGE], MAX_PAGE)


class _Unchunked(NamedTuple):
    content: bytes
    is_whole: bool


def _unchunked(body: bytes) -> _Unchunked:
    """The content of a chunked body (RFC 9112, section 7.1), as far as it has come."""
    content, at = bytearray(), 0
    while size := _CHUNK.match(body, at):
        length = int(size[1], 16)
        if length == 0:
            return _Unchunked(bytes(content), True)
        content += body[size.end() : size.end() + length]
        at = size.end() + length + 2
    return _Unchunked(bytes(content), False)


def _may_be_http(data: bytes) -> bool:
    return data[:7] == b"HTTP/1."[: len(data)]


def _headers(head: bytes) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for line in head.splitlines()[1:]:
        raw_name, colon, value = line.partition(b":")
        if colon:
            name = field(raw_name).lower()
            headers.append((name, readable(_without_value(value) if name == "set-cookie" else value)))
    return tuple(headers)


def _without_value(cookie: bytes) -> bytes:
    """A Set-Cookie header without the value, which is a secret, and often so long that the attributes are lost."""
    pair, semicolon, attributes = cookie.partition(b";")
    name, equals, _ = pair.partition(b"=")
    return (name if equals else b"") + b"=" + semicolon + attributes
