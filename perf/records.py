"""What is known of the request being answered: times, the gate's outcome, what the cache did.

The record hangs on Django's request as ``request.perf``; throttle, decorator and middleware meet there.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from perf import tracing
from perf.gate.callers import Caller
from perf.gate.outcome import CacheAnswer, Outcome, together


@dataclass(slots=True)
class RequestRecord:
    """Filled while the request is answered; ``cache_status`` holds the parameters of the Cache-Status header.

    ``outcome`` is all that was decided about the request so far, ``was_throttled`` says whether its policies were
    asked as well, and not only limits written in code.
    """

    started: float = field(default_factory=time.perf_counter)
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    gate_seconds: float = 0.0
    caller: Caller | None = None
    outcome: Outcome | None = None
    was_throttled: bool = False
    throttle_scope: str = ""
    cache_lookup: Any = None
    cache_status: str = ""
    is_warming: bool = False  # made by cache_warm: no traffic, no client's limit
    span: tracing.RequestSpan | None = None
    on_finish: list[Callable[[], None]] = field(default_factory=list)

    def keep(self, outcome: Outcome) -> None:
        """Add what one exchange decided."""
        self.gate_seconds += outcome.seconds
        if tracing.is_on():
            tracing.note_exchange(outcome)
        self.outcome = outcome if self.outcome is None else together(self.outcome, outcome)

    def take_answer(self) -> CacheAnswer | None:
        """What the cache answered in the request's exchange."""
        return self.outcome.cache if self.outcome is not None else None


def django_request(request: Any) -> HttpRequest:
    """The Django request inside a DRF request, or ``request`` itself."""
    inner: HttpRequest = getattr(request, "_request", request)
    return inner


def request_among(args: tuple[Any, ...]) -> HttpRequest | Request | None:
    """The request a view is called with; methods have it second. None: it is no view that was called."""
    for argument in args[:2]:
        if isinstance(argument, HttpRequest | Request):
            return argument
    return None


def record_of(request: Any) -> RequestRecord:
    """The record of ``request``, made now where the middleware is not installed."""
    plain = django_request(request)
    record: RequestRecord | None = getattr(plain, "perf", None)
    if record is None:
        record = RequestRecord()
        plain.perf = record  # type: ignore[attr-defined]
    return record
