"""Headers that single operations read or send, for their ``@extend_schema``."""

from __future__ import annotations

from typing import Final

from drf_spectacular.utils import OpenApiParameter

from perf.api import idempotency

_SECONDS: Final = {"type": "integer", "minimum": 0}
_HEADER: Final = OpenApiParameter.HEADER

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    idempotency.HEADER,
    {"type": "string", "maxLength": idempotency.MAX_LENGTH},
    _HEADER,
    description="The same key and body from the same caller give the same job, however often they are sent.",
)


def location(*statuses: int, description: str = "Path of what was made.") -> OpenApiParameter:
    """``Location`` in responses with these statuses."""
    return OpenApiParameter(
        "Location",
        {"type": "string", "format": "uri-reference"},
        _HEADER,
        required=True,
        description=description,
        response=list(statuses),
    )


# A 202 for a job.
ACCEPTED: Final = [
    location(202, description="Where to watch the job."),
    OpenApiParameter(
        "Retry-After", _SECONDS, _HEADER, required=True, response=[202], description="Seconds after which to look."
    ),
]
# Jobs that somebody watches.
WATCHED: Final = [
    OpenApiParameter("ETag", str, _HEADER, required=True, response=[200, 304], description="For `If-None-Match`."),
    OpenApiParameter("Cache-Control", str, _HEADER, required=True, response=[200, 304]),
    OpenApiParameter(
        "Retry-After",
        _SECONDS,
        _HEADER,
        response=[200, 304],
        description="Seconds after which to look again; sent while a job waits or runs.",
    ),
]
