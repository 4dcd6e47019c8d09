"""Bodies of ``POST /api/logs``: plain text or JSON, also as gzip, within the bounds of every body."""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from perf.api.parsers import BoundedJSONParser, read_bounded
from perf.problems import Problem

# The names of a content coding know no case, and the old one of gzip still counts (RFC 9110, 8.4.1).
PLAIN = frozenset({"", "identity"})
GZIP = frozenset({"gzip", "x-gzip"})


@dataclass(frozen=True, slots=True)
class TextBatch:
    """A body of plain text: its lines, and where they come from."""

    lines: list[bytes]
    source: str


def read_packed(stream: Any, parser_context: Any) -> bytes:
    """Read a body, unpacked if it came as gzip.

    Raises:
        Problem: 413 where it is too large, before or after unpacking; 415 for another encoding.
        ParseError: the gzip stream is broken.
    """
    data = read_bounded(stream)
    encoding = parser_context["request"].headers.get("Content-Encoding", "")
    coding = encoding.strip().lower()
    if coding in PLAIN:
        return data
    if coding not in GZIP:
        raise Problem(415, "Unsupported encoding", f"Content-Encoding {encoding!r} is not supported; send gzip.")
    return _unpacked(data, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def _unpacked(packed: bytes, limit: int) -> bytes:
    """All gzip members of a body (RFC 1952, 2.2), of which never more than ``limit`` bytes are unpacked."""
    try:
        with gzip.open(io.BytesIO(packed)) as members:
            unpacked = members.read(limit + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ParseError(f"The gzip body is broken: {error}.") from error
    if len(unpacked) > limit:
        raise Problem(413, "Body too large", f"A body has at most {limit} bytes unpacked; send smaller batches.")
    return unpacked


class LinesParser(BaseParser):
    """``text/plain``: one log line per line, in any encoding."""

    media_type = "text/plain"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> TextBatch:
        """The body's lines, with ``source`` from the query."""
        lines = read_packed(stream, parser_context).removesuffix(b"\n").split(b"\n")
        return TextBatch(lines, parser_context["request"].query_params.get("source", ""))


class PackedJSONParser(BoundedJSONParser):
    """JSON, plain or as gzip; bytes that are not UTF-8 are replaced, as in plain lines."""

    def read_text(self, stream: Any, parser_context: Any) -> str:
        """The unpacked body."""
        return read_packed(stream, parser_context).decode("utf-8", "replace")
