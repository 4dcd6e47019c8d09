"""Rate limits where requests come in: ``PolicyThrottle`` for DRF, ``rate_limit`` for plain Django views.

Both only translate: the gate decides. One request has one exchange, whoever asks first.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from perf.caching.decorator import SETTINGS_ATTRIBUTE
from perf.caching.lookup import CacheLookup, CacheSettings
from perf.gate.callers import Caller, caller_of
from perf.gate.exchange import Inquiry, enter
from perf.gate.outcome import Admission, Allowed, Blocked, Forbidden, IdentityChanged, Outcome, Unavailable
from perf.policies.routes import parse_route
from perf.policies.snapshot import LimitRule
from perf.problems import Problem, problem_response
from perf.records import RequestRecord, django_request, record_of

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time it imports this module, as the default throttle

View = TypeVar("View", bound=Callable[..., Any])

_RATE = re.compile(r"(?P<limit>\d+)\s*/\s*(?P<count>\d*)(?P<unit>[smhd])[a-z]*")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class PolicyThrottle(BaseThrottle):
    """Lets the rate-limit policies of the admin decide. Put it into ``throttle_classes`` or the defaults of DRF.

    A refusal is raised as a problem (429, 403 or 503) that names the policies.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        record = record_of(request)
        if record.outcome is None:
            caller = record.caller or caller_of(django_request(request), request.user)
            outcome = ask_gate(request, view, caller)
            if isinstance(outcome, IdentityChanged):  # only credentials with a version can be outdated
                raise Problem(401, "Credentials outdated", "The account has changed; sign in again.")
        if record.outcome is not None:
            raise_if_refused(record.outcome.admission)
        return True

    def wait(self) -> float | None:
        """Never asked: refusals carry their own Retry-After."""
        return None


def ask_gate(request: Request, view: APIView, caller: Caller) -> Outcome | IdentityChanged:
    """The exchange of a DRF request: limits if the view has a `PolicyThrottle`, cache if its handler is cached.

    The outcome is kept on the request's record. Authentication may call this before the throttle does, to learn
    whether its credentials are still good in the same exchange.
    """
    record = record_of(request)
    plain = django_request(request)
    lookup = _lookup_for(request, view, caller)
    outcome = enter(
        Inquiry.about(
            plain,
            caller,
            limited=is_limited(view) and not record.is_warming,
            quiet=record.is_warming,
            query_for=lookup.query if lookup else None,
        )
    )
    if isinstance(outcome, Outcome):
        _keep(record, caller, outcome, lookup)
    return outcome


def is_limited(view: APIView) -> bool:
    """Say whether the view asks for policies at all."""
    return any(isinstance(throttle, PolicyThrottle) for throttle in view.get_throttles())


def raise_if_refused(admission: Admission) -> None:
    """Turn a refusal into a `Problem`; an allowed request returns."""
    problem = refusal(admission)
    if problem is not None:
        raise problem


def refusal(admission: Admission) -> Problem | None:
    """The problem that tells a client why it was refused and when to come back."""
    match admission:
        case Allowed():
            return None
        case Blocked(violated=violated):
            seconds = max(1, math.ceil(admission.wait))
            names = [state.rule.name for state in violated]
            return Problem(
                429,
                "Too many requests",
                f"The limit of {', '.join(_in_words(state.rule) for state in violated)} is used up. "
                f"Try again in {seconds} s.",
                type="https://iana.org/assignments/http-problem-types#quota-exceeded",
                headers={"Retry-After": str(seconds)},
                **{"violated-policies": names},
            )
        case Forbidden(rule=rule):
            return Problem(403, "Blocked", f"Access rule {rule} blocks this client.", rule=rule)
        case Unavailable(policies=policies, retry_after=retry_after):
            return Problem(
                503,
                "Limits cannot be checked",
                f"The store is away and {', '.join(policies)} lets nobody pass without it.",
                type="https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
                headers={"Retry-After": str(math.ceil(retry_after))},
                **{"violated-policies": list(policies)},
            )


def rate_limit(
    rate: str = "", *, policy: str = "", count_by: str = "user_or_ip", cost: int = 1
) -> Callable[[View], View]:
    """Limit a plain Django view, sync or async, by a rate written here or a policy of the admin.

    Args:
        rate: such as ``5/m``, ``100/h`` or ``10/30s``; a sliding window.
        policy: name of a rate-limit policy, which then decides instead, edits included.
        count_by: as in `perf.models.RateLimitPolicy`; for ``rate`` only.
        cost: what a request costs; for ``rate`` only.

    Raises:
        ValueError: neither or both of ``rate`` and ``policy``, or a rate that cannot be read.
    """
    if bool(rate) == bool(policy):
        raise ValueError('Give @rate_limit either a rate, such as "5/m", or policy="name of a policy".')

    def decorate(view: View) -> View:
        own = (_rule_in_code(view, rate, count_by, cost),) if rate else ()
        named = (policy,) if policy else ()

        def admit(request: HttpRequest) -> HttpResponse | None:
            record = record_of(request)
            if record.is_warming:
                return None
            caller = record.caller or caller_of(request)
            outcome = enter(Inquiry.about(request, caller, own_limits=own, named_limits=named))
            if isinstance(outcome, IdentityChanged):
                return None
            _keep(record, caller, outcome, None)
            problem = refusal(outcome.admission)
            return problem_response(problem, request) if problem else None

        if iscoroutinefunction(view):

            @functools.wraps(view)
            async def limited_async(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
                refused = await sync_to_async(admit, thread_sensitive=False)(request)
                return refused or await view(request, *args, **kwargs)

            return limited_async  # type: ignore[return-value]

        @functools.wraps(view)
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            return admit(request) or view(request, *args, **kwargs)

        return limited  # type: ignore[return-value]

    return decorate


def parse_rate(rate: str) -> tuple[int, int]:
    """Read ``5/m`` as (5, 60): how many, in how many seconds. Raises ValueError."""
    found = _RATE.fullmatch(rate.strip().lower())
    if not found or int(found["limit"]) < 1 or found["count"] == "0":
        raise ValueError(f"{rate!r} is no rate; write such as 5/m, 100/h or 10/30s.")
    return int(found["limit"]), int(found["count"] or 1) * _UNIT_SECONDS[found["unit"]]


def _rule_in_code(view: Callable[..., Any], rate: str, count_by: str, cost: int) -> LimitRule:
    limit, period = parse_rate(rate)
    name = getattr(view, "__qualname__", "view")
    return LimitRule(
        id=f"{view.__module__}.{name}",
        name=name,
        scope=name,
        position=0,
        route=parse_route("*"),
        methods=frozenset(),
        roles=frozenset(),
        observe=False,
        count_by=count_by,
        algorithm="sliding_window",
        limit=limit,
        period=period,
        capacity=limit,
        cost=cost,
        penalty=False,
        on_store_error="allow",
    )


def _lookup_for(request: Request, view: APIView, caller: Caller) -> CacheLookup | None:
    handler = getattr(view, (request.method or "GET").lower(), None)
    settings = getattr(handler, SETTINGS_ATTRIBUTE, None)
    return CacheLookup(request, caller, settings) if isinstance(settings, CacheSettings) else None


def _keep(record: RequestRecord, caller: Caller, outcome: Outcome, lookup: CacheLookup | None) -> None:
    record.caller = caller
    record.outcome = outcome
    record.gate_seconds += outcome.seconds
    record.cache_lookup = lookup
    if lookup is not None and outcome.cache is not None:
        # The lease comes with the answer; whatever becomes of the request, it must not outlive it.
        record.on_finish.append(lookup.release)
        lookup.note_lease(outcome.cache)


def _in_words(rule: LimitRule) -> str:
    return f"{rule.name} ({rule.limit} in {rule.period} s)"
