"""``rate_limit``: limits for plain Django views and for any callable, by a rate in code or a policy of the admin."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request

from perf.gate.callers import Caller, caller_of
from perf.gate.exchange import enter
from perf.gate.inquiry import Inquiry
from perf.gate.outcome import IdentityChanged
from perf.models import MAX_COST, MAX_LIMIT, MAX_SECONDS, RateLimitPolicy
from perf.policies.routes import parse_route
from perf.policies.snapshot import LimitRule
from perf.problems import Problem, problem_response
from perf.records import django_request, record_of, request_among
from perf.refusals import refusal

Function = TypeVar("Function", bound=Callable[..., Any])

_RATE = re.compile(r"(?P<limit>\d+)\s*/\s*(?P<count>\d*)(?P<unit>[smhd])[a-z]*")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

limits_in_code: Final[dict[str, LimitRule]] = {}  # by id; for who wants to look at what clients used of them


class RateLimited(Problem):
    """A limited callable was called too often. ``wait`` is the number of seconds after which a call succeeds."""


def rate_limit(
    rate: str = "",
    *,
    policy: str = "",
    count_by: str = "",
    cost: int = 1,
    key: Callable[..., str] | None = None,
) -> Callable[[Function], Function]:
    """Limit a view or any other callable, sync or async, by a rate written here or a policy of the admin.

    A view, that is what is called with a request, answers with the problem; everything else raises `RateLimited`.

    Args:
        rate: such as ``5/m``, ``100/h`` or ``10/30s``; a sliding window.
        policy: name of a rate-limit policy, which then decides instead, edits included. While there is no enabled
            policy of that name, nothing is limited.
        count_by: as in `perf.models.RateLimitPolicy`, for ``rate`` only; ``user_or_ip`` by default, for callables
            without a request ``everyone``.
        cost: what a call costs; for ``rate`` only.
        key: called with the arguments of the call, names the client to count, in place of ``count_by``.

    Raises:
        ValueError: neither or both of ``rate`` and ``policy``, a rate that cannot be read, an unknown ``count_by``, or
            a cost that no call could ever pay.
        RateLimited: at a call, where it is no view.
        TypeError: at a call without a request that is counted by what only a request tells.
    """
    if bool(rate) == bool(policy):
        raise ValueError('Give @rate_limit either a rate, such as "5/m", or policy="name of a policy".')
    if policy and (count_by or cost != 1):
        raise ValueError("The policy says what to count by and what a call costs; give count_by and cost with a rate.")
    if key and count_by:
        raise ValueError("Give @rate_limit either count_by or key.")

    def decorate(function: Function) -> Function:
        own = (_rule_in_code(function, rate, "key" if key else count_by, cost),) if rate else ()
        limits_in_code.update({str(rule.id): rule for rule in own})

        def admit(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Problem | None:
            request = request_among(args)
            client = key(*args, **kwargs) if key else None
            inquire = _inquiry if request is None else functools.partial(_inquiry_about, request)
            return _ask(request, inquire(own, policy, client))

        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def limited_async(*args: Any, **kwargs: Any) -> Any:
                refused = await sync_to_async(admit, thread_sensitive=False)(args, kwargs)
                return _refuse(refused, args) if refused else await function(*args, **kwargs)

            limited_async.perf_is_limited = True  # type: ignore[attr-defined]
            return limited_async  # type: ignore[return-value]

        @functools.wraps(function)
        def limited(*args: Any, **kwargs: Any) -> Any:
            refused = admit(args, kwargs)
            return _refuse(refused, args) if refused else function(*args, **kwargs)

        limited.perf_is_limited = True  # type: ignore[attr-defined]
        return limited  # type: ignore[return-value]

    return decorate


def parse_rate(rate: str) -> tuple[int, int]:
    """Read ``5/m`` as (5, 60): how many, in how many seconds. Raises ValueError."""
    found = _RATE.fullmatch(rate.strip().lower())
    if found:
        limit, period = int(found["limit"]), int(found["count"] or 1) * _UNIT_SECONDS[found["unit"]]
        if 1 <= limit <= MAX_LIMIT and 1 <= period <= MAX_SECONDS:
            return limit, period
    raise ValueError(f"{rate!r} is no rate; write such as 5/m, 100/h or 10/30s, for at most {MAX_SECONDS} s.")


def limited_name(function: Callable[..., Any]) -> str:
    """What a limit in code is named by: module and name of the function, or of the class that it is the view of."""
    named = _limited_object(function)
    name = getattr(named, "__qualname__", type(named).__qualname__)
    return f"{named.__module__}.{name.encode('ascii', 'backslashreplace').decode()}"


def _limited_object(function: Callable[..., Any]) -> Any:
    # All functions that `as_view()` makes have one name.
    return getattr(function, "view_class", None) or getattr(function, "cls", None) or function


def _rule_in_code(function: Callable[..., Any], rate: str, count_by: str, cost: int) -> LimitRule:
    limit, period = parse_rate(rate)
    if count_by not in ("", "key", *RateLimitPolicy.CountBy.values):
        raise ValueError(f"count_by={count_by!r}: write one of {', '.join(RateLimitPolicy.CountBy.values)}.")
    if not 0 <= cost <= min(limit, MAX_COST):
        raise ValueError(f"cost={cost}: a call under {rate} can cost from 0 to {min(limit, MAX_COST)}.")
    whole = limited_name(function)
    name = whole.removeprefix(f"{_limited_object(function).__module__}.")
    return LimitRule(
        # The limit is not in it, so a changed one keeps what was used.
        id=f"{whole}:{period}:{count_by}",
        name=name,
        scope=name,
        position=0,
        route=parse_route("*"),
        methods=frozenset(),
        roles=frozenset(),
        observe=False,
        count_by=count_by,
        algorithm=RateLimitPolicy.Algorithm.SLIDING_WINDOW.value,
        limit=limit,
        period=period,
        capacity=limit,
        cost=cost,
        penalty=False,
        on_store_error=RateLimitPolicy.OnStoreError.ALLOW.value,
    )


def _inquiry_about(
    request: HttpRequest | Request, own: tuple[LimitRule, ...], policy: str, client: str | None
) -> Inquiry:
    record = record_of(request)
    if record.caller is None:
        record.caller = caller_of(django_request(request))
    return Inquiry.about(
        django_request(request),
        record.caller if client is None else dataclasses.replace(record.caller, key=client),
        own_limits=tuple(_counting_by(rule, rule.count_by or "user_or_ip") for rule in own),
        named_limits=(policy,) if policy else (),
    )


def _inquiry(own: tuple[LimitRule, ...], policy: str, client: str | None) -> Inquiry:
    """For a call without a request: nobody is known but who ``key`` names."""
    for rule in own:
        if rule.count_by not in ("", "key", "everyone"):
            raise TypeError(
                f"{rule.name} was called without a request, so nobody is there to count by {rule.count_by!r}: "
                'give @rate_limit a key, or count_by="everyone".'
            )
    return Inquiry(
        method="",
        path="",
        view_name="",
        caller=Caller(None, frozenset(), None, key=client),
        own_limits=tuple(_counting_by(rule, rule.count_by or "everyone") for rule in own),
        named_limits=(policy,) if policy else (),
    )


def _counting_by(rule: LimitRule, count_by: str) -> LimitRule:
    return rule if rule.count_by == count_by else dataclasses.replace(rule, count_by=count_by)


def _ask(request: HttpRequest | Request | None, inquiry: Inquiry) -> Problem | None:
    record = record_of(request) if request is not None else None
    if record is not None and record.is_warming:
        return None
    outcome = enter(inquiry)
    if isinstance(outcome, IdentityChanged):  # authentication will say so
        return None
    if record is not None:
        record.keep(outcome)
    return refusal(outcome.admission)


def _refuse(problem: Problem, args: tuple[Any, ...]) -> HttpResponseBase:
    request = request_among(args)
    if isinstance(request, HttpRequest):
        return problem_response(problem, request)
    if isinstance(request, Request):
        raise problem
    raise RateLimited(
        problem.status_code,
        problem.title,
        str(problem.detail),
        type=problem.type,
        retry_after=problem.wait,
        **problem.members,
    )
