"""Request bodies within bounds. Too large is 413, and what cannot be read is 400, however it is broken."""

from __future__ import annotations

from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.utils import json  # refuses NaN and Infinity

from perf.problems import Problem


def read_bounded(stream: IO[bytes]) -> bytes:
    """Read a body; raise a 413 problem where it has more bytes than ``DATA_UPLOAD_MAX_MEMORY_SIZE``."""
    limit: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    data = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(data) > limit:
        raise Problem(413, "Body too large", f"A body has at most {limit} bytes; send less at a time.")
    return data


class BoundedJSONParser(BaseParser):
    """JSON of at most ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes, in UTF-8 (RFC 8259).

    Not DRF's JSONParser: for that one DRF reads the body itself, and answers 400 where it is too large.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The decoded body; raises ParseError where it is no JSON, or nested too deeply."""
        try:
            return json.loads(self.read_text(stream, parser_context))
        except ValueError as error:
            raise ParseError(f"The body is no JSON: {error}.") from error
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error

    def read_text(self, stream: Any, parser_context: Any) -> str:
        """The body as text; raises ValueError where it is not UTF-8."""
        return read_bounded(stream).decode("utf-8")
