"""Request bodies within bounds.

DRF reads bodies past Django's ``DATA_UPLOAD_MAX_MEMORY_SIZE``; these parsers do not.
"""

from __future__ import annotations

import io
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import JSONParser

from perf.api.problems import Problem


def read_bounded(stream: IO[bytes]) -> bytes:
    """Read a body; raise a 413 problem where it has more bytes than ``DATA_UPLOAD_MAX_MEMORY_SIZE``."""
    limit: int | None = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    data = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(data) > limit:
        raise Problem(413, "Body too large", f"A body has at most {limit} bytes; send less at a time.")
    return data


class BoundedJSONParser(JSONParser):
    """JSON of at most ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes."""

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """The decoded body."""
        return super().parse(io.BytesIO(self.read(stream, parser_context)), media_type, parser_context)

    def read(self, stream: Any, parser_context: Any) -> bytes:
        """The bytes of the body."""
        return read_bounded(stream)
