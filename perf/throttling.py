"""``PolicyThrottle``: DRF asks it, the gate decides. One request has one exchange, whoever asks first.

`rate_limit`, for everything that is not a DRF view, is in `perf.rate_limiting` and can be imported from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from perf.caching.decorator import SETTINGS_ATTRIBUTE
from perf.caching.lookup import CacheLookup, CacheSettings
from perf.gate.callers import Caller, caller_of
from perf.gate.exchange import enter
from perf.gate.inquiry import Inquiry
from perf.gate.outcome import Blocked, IdentityChanged, Outcome
from perf.problems import Problem
from perf.rate_limiting import RateLimited, rate_limit
from perf.records import django_request, record_of
from perf.refusals import refusal, retry_after

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time it imports this module, as the default throttle

__all__ = ["PolicyThrottle", "RateLimited", "ask_gate", "is_limited", "rate_limit"]


class PolicyThrottle(BaseThrottle):
    """Lets the rate-limit policies of the admin decide. Put it into ``throttle_classes`` or the defaults of DRF.

    As DRF has it, a request over a limit is `Throttled`, by way of ``view.throttled()``, and other throttles of the
    view are asked as well. A client that an access rule blocks, or a store that is away under a policy that denies,
    is no throttling: those are problems of their own (403 and 503).
    """

    _wait: float | None = None

    def allow_request(self, request: Request, view: APIView) -> bool:
        record = record_of(request)
        if not record.was_throttled:
            caller = record.caller or caller_of(django_request(request), request.user)
            if isinstance(ask_gate(request, view, caller), IdentityChanged):
                # Only credentials with a version can be outdated.
                raise Problem(401, "Credentials outdated", "The account has changed; sign in again.")
        if record.outcome is None:
            return True
        admission = record.outcome.admission
        if isinstance(admission, Blocked):
            self._wait = retry_after(admission)
            return False
        if problem := refusal(admission):
            raise problem
        return True

    def wait(self) -> float | None:
        """Seconds after which a retry succeeds; None where the request was allowed."""
        return self._wait


def ask_gate(request: Request, view: APIView, caller: Caller) -> Outcome | IdentityChanged:
    """The exchange of a DRF request: limits if the view has a `PolicyThrottle`, cache if its handler is cached.

    The outcome is kept on the request's record. Authentication may call this before the throttle does, to learn
    whether its credentials are still good in the same exchange.
    """
    record = record_of(request)
    lookup = _lookup_for(request, view, caller)
    record.throttle_scope = getattr(view, "throttle_scope", None) or ""
    outcome = enter(
        Inquiry.about(
            django_request(request),
            caller,
            throttle_scope=record.throttle_scope,
            limited=is_limited(view) and not record.is_warming,
            quiet=record.is_warming,
            query_for=lookup.query if lookup else None,
        )
    )
    if isinstance(outcome, Outcome):
        record.was_throttled = True
        record.caller = caller
        record.keep(outcome)
        record.cache_lookup = lookup
        if lookup is not None and outcome.cache is not None:
            # The lease comes with the answer; whatever becomes of the request, it must not outlive it.
            record.on_finish.append(lookup.release)
            lookup.note_lease(outcome.cache)
    return outcome


def is_limited(view: APIView) -> bool:
    """Say whether the view asks for policies at all."""
    return any(isinstance(throttle, PolicyThrottle) for throttle in view.get_throttles())


def _lookup_for(request: Request, view: APIView, caller: Caller) -> CacheLookup | None:
    handler = getattr(view, (request.method or "GET").lower(), None)
    settings = getattr(handler, SETTINGS_ATTRIBUTE, None)
    return CacheLookup(request, caller, settings) if isinstance(settings, CacheSettings) else None
