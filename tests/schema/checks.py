"""What Schemathesis judges requests and answers by, beside its own checks; it loads this as SCHEMATHESIS_HOOKS.

Its two checks of data are taken in a form that knows what no description can say: which addresses exist, which state
may follow another, and what this API means by an empty parameter.
"""

from __future__ import annotations

from typing import Any, Final

import schemathesis
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from securenet.security.scanner import TargetRefused, parse_target
from securenet.security.scanner.targets import HostTarget

LOOPBACK: Final = "127.0.0.1"
# No description says what nmap writes, nor that a text has to have a line.
FREE_TEXT: Final = ("application/xml", "text/xml", "text/plain")
# Whether these are right depends on rows, on each other, or on a grammar of their own; a 400 that names one is fair.
DECIDED_BY_MORE_THAN_FORM: Final = frozenset(
    {
        "accepted_until",
        "address",
        "network",
        "paths",
        "policies",
        "ports",
        "roles",
        "source",
        "source_ip",
        "state",
        "targets",
        "type",
        "with",
    }
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Look up no host names: loopback stands in for every one. And call no body gzip that is none."""
    body = case.body
    if isinstance(body, dict):
        for holder in (body, body.get("params")):
            if isinstance(holder, dict) and isinstance(holder.get("targets"), list):
                holder["targets"] = [LOOPBACK if _is_host_name(target) else target for target in holder["targets"]]
    if case.headers and case.headers.get("Content-Encoding") == "gzip":
        del case.headers["Content-Encoding"]


@schemathesis.check
def valid_data_is_accepted(ctx: Any, response: Any, case: Any) -> bool | None:
    """Where the form of a request is right, nothing but its meaning may be refused."""
    if response.status_code == 422 and "Idempotency-Key" in (case.headers or {}):
        return None  # the key came with another body before
    if response.status_code == 400 and (
        case.media_type in FREE_TEXT or _named_fields(response) <= DECIDED_BY_MORE_THAN_FORM
    ):
        return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.check
def invalid_data_is_rejected(ctx: Any, response: Any, case: Any) -> bool | None:
    """Where the form of a request is wrong, it is refused; but for what the API takes as not given."""
    if case.media_type == "text/plain":
        return None  # any text is a log
    sent = [*(case.query or {}).items(), *(case.headers or {}).items()]
    if any(_counts_as_not_given(name, value) for name, value in sent):
        return None
    return negative_data_rejection(ctx, response, case)


def _named_fields(response: Any) -> set[str]:
    """The fields that a problem is about; of nested ones the first name that is none of ``params``."""
    errors = response.json().get("errors", [])
    return {error["field"].removeprefix("params.").partition(".")[0] for error in errors} or {"nothing named"}


def _counts_as_not_given(name: str, value: object) -> bool:
    """Empty parameters say nothing, and a page has the usual size where ``page_size`` makes no sense."""
    return name == "page_size" or value in ("", None, [])


def _is_host_name(target: object) -> bool:
    try:
        return isinstance(target, str) and isinstance(parse_target(target), HostTarget)
    except TargetRefused:
        return False
