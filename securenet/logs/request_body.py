"""Bodies of ``POST /api/logs``: plain text or JSON, also as gzip, within the bounds of every body."""

from __future__ import annotations

import zlib
from typing import Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from perf.api.parsers import BoundedJSONParser, read_bounded
from perf.api.problems import Problem


def read_packed(stream: Any, parser_context: Any) -> bytes:
    """Read a body, unpacked if it came as gzip.

    Raises:
        Problem: 413 where it is too large, before or after unpacking; 415 for another encoding.
        ParseError: the gzip stream is broken.
    """
    data = read_bounded(stream)
    encoding = parser_context["request"].headers.get("Content-Encoding", "")
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise Problem(415, "Unsupported encoding", f"Content-Encoding {encoding!r} is not supported; send gzip.")
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise ParseError(f"The gzip body is broken: {error}.") from error
    if len(unpacked) > limit:
        raise Problem(413, "Body too large", f"A body has at most {limit} bytes unpacked; send smaller batches.")
    if not unpacker.eof:
        raise ParseError("The gzip body is cut short.")
    return unpacked


class LinesParser(BaseParser):
    """``text/plain``: one log line per line, in any encoding."""

    media_type = "text/plain"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """The body as ``{"lines": [...]}``, with ``source`` from the query."""
        lines = read_packed(stream, parser_context).split(b"\n")
        return {"lines": lines, "source": parser_context["request"].query_params.get("source", "")}


class PackedJSONParser(BoundedJSONParser):
    """JSON, plain or as gzip."""

    def read(self, stream: Any, parser_context: Any) -> bytes:
        """The unpacked body."""
        return read_packed(stream, parser_context)
