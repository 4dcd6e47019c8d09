"""A cached response and its bytes: a fixed schema, sealed with a MAC that binds it to its key. No pickle.

In Redis an entry is ``head + tags + seal + content``; the head is written and read by ``entry.lua``. The content is
``>H B B`` status, encoding of the body (0 none, 1 gzip) and number of headers, then per header ``>H H`` lengths, name
and value, then the body. The seal is a keyed BLAKE2b of key and content: what was moved to another key, cut short or
forged does not open.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hmac
import struct
from dataclasses import dataclass
from hashlib import blake2b

from perf.gate import keys

_HEAD = struct.Struct(">BBdddd16sH")
_START = struct.Struct(">HBB")
_HEADER = struct.Struct(">HH")
_SEAL_BYTES = 16
FORMAT = 2
_GZIP_LEVEL = 5
# A body that compression does not make smaller by a tenth is kept as it is.
_WORTH_IT = 0.9
# What CPython needs for a pair of strings, and for an entry that has no headers and no body.
_HEADER_OVERHEAD = 200
_ENTRY_OVERHEAD = 300
# Characters of a header's value up to which entries share it.
_SHARED_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """What is sent again on a hit. ``etag`` is a digest of status, headers and the body before compression."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    etag: bytes
    is_gzip: bool = False

    def http_etag(self, as_gzip: bool) -> str:
        """The entity tag as it stands in headers; each encoding is a representation of its own (RFC 9110, 8.8.3)."""
        text = base64.urlsafe_b64encode(self.etag)[:22].decode("ascii")
        return f'"{text}-gzip"' if as_gzip else f'"{text}"'

    def plain_body(self) -> bytes:
        """The body without compression."""
        return gzip.decompress(self.body) if self.is_gzip else self.body

    @property
    def size(self) -> int:
        """Bytes that the entry takes in memory, at most: what it shares with others counts for each."""
        strings = sum(len(name) + len(value) + _HEADER_OVERHEAD for name, value in self.headers)
        return len(self.body) + strings + _ENTRY_OVERHEAD


def make_entry(status: int, headers: list[tuple[str, str]], body: bytes, compress: bool = False) -> Entry:
    """An entry of a computed response, compressed if asked for and worth it."""
    shared = tuple(_header(name, value) for name, value in headers)
    etag = blake2b(_content(status, shared, body), digest_size=16).digest()
    if compress:
        compressed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        if len(compressed) < len(body) * _WORTH_IT:
            return Entry(status, shared, compressed, etag, is_gzip=True)
    return Entry(status, shared, body, etag)


def seal_entry(entry: Entry, key: str) -> bytes:
    """Seal and content, as `store_entry.lua` takes them."""
    content = _content(entry.status, entry.headers, entry.body, entry.is_gzip)
    return _seal(key, entry.etag, content) + content


def open_entry(blob: bytes, key: str) -> Entry | None:
    """Read what was stored under ``key``; None for anything that is not exactly that."""
    try:
        form, _, _, _, _, _, etag, tag_bytes = _HEAD.unpack_from(blob)
        sealed = blob[_HEAD.size + tag_bytes :]
        seal, content = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if form != FORMAT or not hmac.compare_digest(seal, _seal(key, etag, content)):
            return None
        return _parse(content, etag)
    except (struct.error, ValueError):
        return None


def _seal(key: str, etag: bytes, content: bytes) -> bytes:
    hasher = blake2b(digest_size=_SEAL_BYTES, key=keys.secret("entries"))
    hasher.update(key.encode() + b"\0" + etag)
    hasher.update(content)
    return hasher.digest()


def _content(status: int, headers: tuple[tuple[str, str], ...], body: bytes, is_gzip: bool = False) -> bytes:
    parts = [_START.pack(status, is_gzip, len(headers))]
    for name, value in headers:
        raw_name, raw_value = name.encode("latin-1"), value.encode("latin-1")
        parts += (_HEADER.pack(len(raw_name), len(raw_value)), raw_name, raw_value)
    return b"".join((*parts, body))


def _parse(content: bytes, etag: bytes) -> Entry:
    status, encoding, count = _START.unpack_from(content)
    at = _START.size
    headers: list[tuple[str, str]] = []
    for _ in range(count):
        name_bytes, value_bytes = _HEADER.unpack_from(content, at)
        at += _HEADER.size
        name = content[at : at + name_bytes].decode("latin-1")
        at += name_bytes
        headers.append(_header(name, content[at : at + value_bytes].decode("latin-1")))
        at += value_bytes
    return Entry(status, tuple(headers), content[at:], etag, is_gzip=bool(encoding))


def _header(name: str, value: str) -> tuple[str, str]:
    return _shared(name, value) if len(value) <= _SHARED_LENGTH else (name, value)


@functools.lru_cache(maxsize=1024)
def _shared(name: str, value: str) -> tuple[str, str]:
    """The pair; one object for all entries that have it, as most headers of an API are the same everywhere."""
    return name, value
