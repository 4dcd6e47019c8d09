"""What OpenAPI descriptions refer to: the problem, the response headers, and which of them come with which status."""

from __future__ import annotations

from typing import Any, Final

PROBLEM_TYPE: Final = "application/problem+json"

DESCRIPTIONS: Final[dict[int, str]] = {
    304: "The client has the current representation already (`If-None-Match`).",
    400: "The request cannot be understood, or some of it is not valid; `errors` names each field.",
    401: "No credentials, or none that are valid.",
    403: "The caller's roles do not suffice, or an access rule blocks the caller.",
    404: "There is nothing at this address, or nothing that the caller may see.",
    406: "The response has none of the formats that `Accept` asks for.",
    409: "The request does not go with the present state.",
    411: "The body has no `Content-Length`.",
    413: "The body is too large.",
    415: "The body has another media type or content coding than the operation reads.",
    422: "The `Idempotency-Key` was used for another request.",
    429: "A limit is used up; `violated-policies` names it, and a retry succeeds after `Retry-After` seconds.",
    503: "There is no room for another job, or a store is away. Nothing was changed; `Retry-After` says when to retry.",
}

FIELD_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Field error",
    "properties": {
        "field": {"type": "string", "description": "Path of the field, such as `targets.0`; empty: the whole body."},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "The kind of error, for programs."},
    },
    "required": ["field", "detail", "code"],
}

PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "The kind of problem; `about:blank` where `title` says all there is to say.",
        },
        "title": {"type": "string", "description": "The kind of problem in words."},
        "status": {"type": "integer", "description": "The status code."},
        "detail": {"type": "string", "description": "What is wrong here, and what to do."},
        "request_id": {"type": "string", "description": "The same as `X-Request-ID`."},
        "errors": {
            "type": "array",
            "items": FIELD_ERROR,
            "description": "What is wrong with which field.",
        },
        "violated-policies": {
            "type": "array",
            "items": {"type": "string"},
            "description": "The rate-limit policies that refused the request.",
        },
    },
    "required": ["type", "title", "status", "detail", "request_id"],
}


def _header(description: str, required: bool = False, **schema: Any) -> dict[str, Any]:
    header: dict[str, Any] = {"description": description, "schema": {"type": "string", **schema}}
    return {**header, "required": True} if required else header


_SECONDS: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-ID": _header("Names the request in logs; a client's own is kept.", required=True, minLength=8),
    "Server-Timing": _header(
        "Milliseconds in the gate, in the application, and in total (W3C Server-Timing).",
        required=True,
        pattern=r"^gate;dur=[0-9.]+, app;dur=[0-9.]+, total;dur=[0-9.]+$",
    ),
    "Cache-Status": _header(
        "What the cache did (RFC 9211): `hit`, or `fwd` with the reason; `ttl` in seconds.",
        required=True,
        pattern="^[^;]+; (hit|fwd=)",
    ),
    "RateLimit-Policy": _header(
        "The limits that apply: quota `q` in requests, window `w` in seconds. Not sent where none does.",
        pattern='^".+";q=[0-9]+;w=[0-9]+',
    ),
    "RateLimit": _header(
        "Where the caller stands: `r` requests remaining, `t` seconds until some come back. Not sent where no limit "
        "applies.",
        pattern='^".+";r=[0-9]+;t=[0-9]+',
    ),
    "Age": _header("Seconds since the response was computed.", **_SECONDS),
    "ETag": _header("The version of the representation, for `If-None-Match`.", pattern='^(W/)?".*"$'),
    "Cache-Control": _header("For how long clients may keep the response (RFC 9111)."),
    "Vary": _header("The request headers that the response depends on."),
    "Retry-After": _header("Seconds after which to ask again.", required=True, **_SECONDS),
    "WWW-Authenticate": _header("How to authenticate.", required=True),
}

EVERY_RESPONSE: Final = ("X-Request-ID", "Server-Timing", "Cache-Status", "RateLimit-Policy", "RateLimit")
CACHED: Final = ("Age", "ETag", "Cache-Control", "Vary")
BY_STATUS: Final[dict[int, tuple[str, ...]]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
