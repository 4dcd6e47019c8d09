# ruff: noqa: E501
"""Bytes on a socket instead of an HTTP client: requests that no client would send, and what comes back."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass

HOST = "127.0.0.1"
# What must never be answered: it stands where only a server that reads lengths wrongly sees a request.
SMUGGLED = b"GET /livez?smuggled=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, by name; ``most`` answers are all that may come back for it."""

    name: str
    data: bytes
    most: int = 1


def answer_to(port: int, data: bytes, patience: float = 1.0) -> bytes:
    """All that comes back until the server closes or is silent for ``patience`` seconds."""
    received = b""
    try:
        with socket.create_connection((HOST, port), timeout=10) as connection:
            connection.sendall(data)
            connection.settimeout(patience)
            while chunk := connection.recv(65536):
                received += chunk
    except (TimeoutError, ConnectionError):
        pass  # silence and hanging up are answers as well
    return received


def statuses(received: bytes) -> list[int]:
    """The status codes of the answers in a stream of bytes."""
    return [int(head[:3]) for head in received.split(b"HTTP/1.1 ")[1:] if head[:3].isdigit()]


def _head(*lines: bytes, method: bytes = b"POST", target: bytes = b"/api/logs") -> bytes:
    return b"\r\n".join([method + b" " + target + b" HTTP/1.1", b"Host: 127.0.0.1", *lines, b"", b""])


_CLOSE = b"Connection: close"
_JSON = b"Content-Type: application/json"
_ZERO_CHUNK = b"0\r\n\r\n"

SMUGGLING = [
    Sent("a length and chunks", _head(b"Content-Length: 4", b"Transfer-Encoding: chunked") + _ZERO_CHUNK + SMUGGLED),
    Sent("chunks and a length", _head(b"Transfer-Encoding: chunked", b"Content-Length: 4") + _ZERO_CHUNK + SMUGGLED),
    Sent("two lengths", _head(b"Content-Length: 0", b"Content-Length: %d" % len(SMUGGLED)) + SMUGGLED),
    Sent("two lengths the other way round", _head(b"Content-Length: %d" % len(SMUGGLED), b"Content-Length: 0") + SMUGGLED),
    Sent("a list of lengths", _head(b"Content-Length: 0, %d" % len(SMUGGLED)) + SMUGGLED),
    Sent("a length with a sign", _head(b"Content-Length: +0") + SMUGGLED),
    Sent("a length in hexadecimal", _head(b"Content-Length: 0x0") + SMUGGLED),
    Sent("a length with an underscore", _head(b"Content-Length: 0_0") + SMUGGLED),
    Sent("a length beyond 64 bits", _head(b"Content-Length: 18446744073709551616") + SMUGGLED),
    Sent("chunked twice", _head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + _ZERO_CHUNK + SMUGGLED),
    Sent("chunked and identity", _head(b"Transfer-Encoding: chunked, identity") + _ZERO_CHUNK + SMUGGLED),
    Sent("chunked with a tab", _head(b"Transfer-Encoding:\tchunked", b"Content-Length: 4") + _ZERO_CHUNK + SMUGGLED),
    Sent("chunked with a vertical tab", _head(b"Transfer-Encoding: \x0bchunked", b"Content-Length: 5") + _ZERO_CHUNK + SMUGGLED),
    Sent("a space before the colon", _head(b"Transfer-Encoding : chunked", b"Content-Length: 5") + _ZERO_CHUNK + SMUGGLED),
    Sent("an underscore in the name", _head(b"Transfer_Encoding: chunked", b"Content-Length: 5") + _ZERO_CHUNK + SMUGGLED, 2),
    Sent("a folded header", _head(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 4") + _ZERO_CHUNK + SMUGGLED),
    Sent("a bare line feed in a header", _head(b"X: a\nContent-Length: 0", b"Content-Length: 300") + SMUGGLED),
    Sent("a bare carriage return", _head(b"X: a\rTransfer-Encoding: chunked", b"Content-Length: 5") + _ZERO_CHUNK + SMUGGLED),
    Sent("a chunk with an extension", _head(b"Transfer-Encoding: chunked") + b"0;x=\"\n\"\r\n\r\n" + SMUGGLED),
    Sent("an endless chunk extension", _head(b"Transfer-Encoding: chunked") + b"1;" + b"a" * 100_000),
    Sent("a chunk of negative size", _head(b"Transfer-Encoding: chunked") + b"-1\r\nX\r\n" + SMUGGLED),
    Sent("a chunk of immense size", _head(b"Transfer-Encoding: chunked") + b"ffffffffffffffff1\r\nX\r\n" + SMUGGLED),
    Sent("trailers that are headers", _head(b"Transfer-Encoding: chunked") + b"0\r\nContent-Length: 5\r\nHost: evil\r\n\r\n" + SMUGGLED),
]  # fmt: skip

BROKEN = [
    Sent("HTTP/0.9", b"GET /livez\r\n"),
    Sent("HTTP/0.9 with headers", b"GET /livez\r\nHost: 127.0.0.1\r\n\r\n"),
    Sent("HTTP/2 by prior knowledge", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Sent("a TLS greeting", bytes.fromhex("160301020001fc0303") + b"\0" * 500),
    Sent("no host", b"GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n"),
    Sent("two hosts", _head(b"Host: evil.example", _CLOSE, method=b"GET", target=b"/livez")),
    Sent("absolute form", _head(_CLOSE, method=b"GET", target=b"http://evil.example/livez")),
    Sent("absolute form of a file", _head(_CLOSE, method=b"GET", target=b"file:///etc/passwd")),
    Sent("authority form", _head(_CLOSE, method=b"CONNECT", target=b"169.254.169.254:80")),
    Sent("asterisk form", _head(_CLOSE, method=b"OPTIONS", target=b"*")),
    Sent("no slash", _head(_CLOSE, method=b"GET", target=b"livez")),
    Sent("two slashes", _head(_CLOSE, method=b"GET", target=b"//evil.example/%2e%2e")),
    Sent("dots", _head(_CLOSE, method=b"GET", target=b"/static/../../../../etc/passwd")),
    Sent("encoded dots", _head(_CLOSE, method=b"GET", target=b"/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd")),
    Sent("backslashes", _head(_CLOSE, method=b"GET", target=b"/static/..\\..\\..\\etc\\passwd")),
    Sent("NUL in the path", _head(_CLOSE, method=b"GET", target=b"/livez\0.css")),
    Sent("encoded NUL", _head(_CLOSE, method=b"GET", target=b"/static/%00")),
    Sent("bytes that are not UTF-8 in the path", _head(_CLOSE, method=b"GET", target=b"/api/\xff\xfe")),
    Sent("encoded bytes that are not UTF-8", _head(_CLOSE, method=b"GET", target=b"/api/%ff%fe%c0%ae")),
    Sent("half a surrogate", _head(_CLOSE, method=b"GET", target=b"/findings?search=%ed%a0%80")),
    Sent("a broken escape", _head(_CLOSE, method=b"GET", target=b"/api/%zz%")),
    Sent("a space in the target", _head(_CLOSE, method=b"GET", target=b"/livez /admin/")),
    Sent("a target of 100 KB", _head(_CLOSE, method=b"GET", target=b"/" + b"a" * 100_000)),
    Sent("a query of 60 KB", _head(_CLOSE, method=b"GET", target=b"/findings?" + b"a=1&" * 15_000)),
    Sent("a method of 10 KB", _head(_CLOSE, method=b"A" * 10_000)),
    Sent("a method of separators", _head(_CLOSE, method=b"GE\tT")),
    Sent("NUL in a header", _head(b"X: a\0b", _CLOSE, method=b"GET", target=b"/livez")),
    Sent("bytes that are not UTF-8 in a header", _head(b"User-Agent: \xff\xfe\x80", _CLOSE, method=b"GET", target=b"/api/dashboard")),
    Sent("a header without a name", _head(b": x", _CLOSE, method=b"GET", target=b"/livez")),
    Sent("a header without a colon", _head(b"Nothing", _CLOSE, method=b"GET", target=b"/livez")),
    Sent("a thousand headers", _head(*[b"X-%d: y" % n for n in range(1000)], method=b"GET", target=b"/livez")),
    Sent("a header of 1 MB", _head(b"X: " + b"y" * 1_000_000, method=b"GET", target=b"/livez")),
    Sent("cookies of 60 KB", _head(b"Cookie: " + b"a=b; " * 12_000, _CLOSE, method=b"GET", target=b"/login")),
    Sent("ranges without end", _head(b"Range: bytes=" + b"0-," * 10_000, _CLOSE, method=b"GET", target=b"/static/dashboard/icon.svg")),
    Sent("a date that is none", _head(b"If-Modified-Since: \xff\0", _CLOSE, method=b"GET", target=b"/static/dashboard/icon.svg")),
    Sent("a body that ends early", _head(b"Content-Length: 100", _JSON) + b'{"username":'),
    Sent("an upgrade", _head(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk", method=b"GET", target=b"/livez")),
    Sent("a web socket", _head(b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Version: 13", method=b"GET", target=b"/livez")),
    Sent("an expectation", _head(b"Expect: 100-continue", b"Content-Length: 2", _JSON, _CLOSE) + b"{}", 2),
    Sent("an expectation nobody knows", _head(b"Expect: the-unexpected", b"Content-Length: 2", _JSON, _CLOSE) + b"{}"),
    Sent("empty lines first", b"\r\n\r\n\r\n" + _head(_CLOSE, method=b"GET", target=b"/livez")),
    Sent("two thousand fields", _head(b"Content-Length: 8000", b"Content-Type: application/x-www-form-urlencoded", b"Cookie: csrftoken=a", _CLOSE, target=b"/login") + b"a=1&" * 2000),
    Sent("a redirect of 60 KB", _head(_CLOSE, method=b"GET", target=b"/admin/?" + b"a" * 60_000)),
    Sent("a host of many ports", b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80:80\r\nConnection: close\r\n\r\n"),
    Sent("line feeds alone", b"GET /livez HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n"),
    Sent("three requests at once", _head(method=b"GET", target=b"/livez") * 2 + _head(_CLOSE, method=b"GET", target=b"/livez"), 3),
]  # fmt: skip

_PIECES = (
    b"\r", b"\n", b"\0", b"\r\n", b" ", b"\t", b":", b"\xff", b"\xc0\xaf", b"%00", b"%", b";", b"\x7f", b"chunked", b"0",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: x\r\n", b"HTTP/1.1", b"A" * 5000, b"\r\n\r\n",
)  # fmt: skip


def mutations(count: int, seed: int) -> Iterator[Sent]:
    """Requests that were sound before a few pieces were put in, taken out or doubled, the same for each seed."""
    chance = random.Random(seed)
    bases = [
        _head(_CLOSE, method=b"GET", target=b"/api/dashboard?a=1"),
        _head(b"Content-Length: 2", _JSON, _CLOSE, target=b"/api/auth/token") + b"{}",
        _head(b"Transfer-Encoding: chunked", _JSON, _CLOSE) + b"2\r\n{}\r\n0\r\n\r\n",
        _head(b"Cookie: csrftoken=a; sessionid=b", _CLOSE, method=b"GET", target=b"/login?next=/x"),
    ]
    for number in range(count):
        data = bytearray(chance.choice(bases))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(data))
            match chance.randrange(4):
                case 0:
                    data[at:at] = chance.choice(_PIECES)
                case 1:
                    del data[at : at + chance.randint(1, 8)]
                case 2:
                    data[at] = chance.randrange(256)
                case _:
                    data[at:at] = data[at : at + chance.randint(1, 60)]
        yield Sent(f"mutation {number}", bytes(data), most=9)
