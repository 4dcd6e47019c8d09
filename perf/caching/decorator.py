"""``cache_api_response``: hands out the entry the gate found, or stores what the view returns.

The look-up has usually happened already, in the throttle's exchange; the decorator only makes one of its own where no
`PolicyThrottle` ran. It stands after authentication, permissions and throttles, on hits too.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponseBase
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from perf import tracing
from perf.caching.entry import Entry
from perf.caching.http import dress, response_from, set_cache_status
from perf.caching.lookup import RAISED, CacheLookup, CacheSettings
from perf.gate.callers import caller_of
from perf.gate.exchange import enter
from perf.gate.inquiry import Inquiry
from perf.gate.outcome import CacheAnswer, CacheState, IdentityChanged
from perf.records import django_request, record_of, request_among

View = TypeVar("View", bound=Callable[..., Any])

SETTINGS_ATTRIBUTE = "perf_cache_settings"
LIMITED_ATTRIBUTE = "perf_is_limited"  # `rate_limit` leaves it on what it wraps


def cache_api_response(
    view: None = None,
    /,
    *,
    ttl: int | None = None,
    tags: Iterable[str] = (),
    shared_by: str = "user",
    vary_on_headers: Iterable[str] = (),
) -> Callable[[View], View]:
    """Cache the responses of a view or a view's method to GET and HEAD.

    A cache policy whose route matches decides; the arguments count where none does.

    Args:
        ttl: seconds a response is fresh; ``PERF_DEFAULT_TTL`` (300) if None, nothing is cached if 0.
        tags: names by which `perf.caching.invalidate` drops the responses.
        shared_by: ``user``, ``role`` or ``everyone``.
        vary_on_headers: request headers that make responses differ.

    Raises:
        TypeError: used without parentheses, on something that is not a view, or above what has to run on hits as well.
    """
    if view is not None:
        raise TypeError("Write @cache_api_response() with parentheses.")
    settings = CacheSettings(ttl, tuple(tags), shared_by, tuple(sorted(name.lower() for name in vary_on_headers)))

    def decorate(view: View) -> View:
        _refuse_unsafe_order(view)
        wrapper = _async_wrapper(view, settings) if iscoroutinefunction(view) else _sync_wrapper(view, settings)
        setattr(wrapper, SETTINGS_ATTRIBUTE, settings)
        return wrapper  # type: ignore[return-value]

    return decorate


# What it must not stand above: attributes by which such a view is known, and what to do.
_UNSAFE = {
    "cls": "authentication, permissions and throttles of DRF would run on a miss only: put it below @api_view, or on "
    "the method of the class",
    "view_class": "the checks in the class would run on a miss only: put it on the method, such as get",
    "login_url": "the check of who may see it would run on a miss only: put it below @login_required, "
    "@permission_required and @user_passes_test",
    LIMITED_ATTRIBUTE: "hits would not count: put it below @rate_limit",
}


def _refuse_unsafe_order(view: Any) -> None:
    if not callable(view) or isinstance(view, type):
        raise TypeError("@cache_api_response goes on a view function or a method such as get, list or retrieve.")
    for attribute, advice in _UNSAFE.items():
        if hasattr(view, attribute):
            name = getattr(view, "__qualname__", view)
            raise TypeError(f"@cache_api_response stands in the wrong place on {name}: {advice}.")


def _sync_wrapper(view: Callable[..., Any], settings: CacheSettings) -> Callable[..., Any]:
    @functools.wraps(view)
    def cached_view(*args: Any, **kwargs: Any) -> HttpResponseBase:
        request = _request_in(args)
        lookup, answer, entry = _look_up(request, settings)
        if entry is not None and answer.state in _SERVED:
            return _hit(lookup, answer, entry)
        lookup.begin()
        try:
            response = view(*args, **kwargs)
        except Exception as error:
            spare = _spare_for(error, lookup, answer, entry)
            if spare is None:
                raise
            return spare
        return _computed(lookup, answer, entry, response)

    return cached_view


def _async_wrapper(view: Callable[..., Any], settings: CacheSettings) -> Callable[..., Any]:
    @functools.wraps(view)
    async def cached_view(*args: Any, **kwargs: Any) -> HttpResponseBase:
        request = _request_in(args)
        lookup, answer, entry = await sync_to_async(_look_up, thread_sensitive=False)(request, settings)
        if entry is not None and answer.state in _SERVED:
            return _hit(lookup, answer, entry)
        lookup.begin()
        try:
            response = await view(*args, **kwargs)
        except Exception as error:
            spare = await sync_to_async(_spare_for, thread_sensitive=False)(error, lookup, answer, entry)
            if spare is None:
                raise
            return spare
        return await sync_to_async(_computed, thread_sensitive=False)(lookup, answer, entry, response)

    return cached_view


_SERVED = {CacheState.HIT, CacheState.STALE, CacheState.STORE_DOWN}


def _request_in(args: tuple[Any, ...]) -> Any:
    if (request := request_among(args)) is not None:
        return request
    raise TypeError(
        "@cache_api_response found no request among the view's arguments: put it directly on the view, "
        "below decorators that change its arguments."
    )


def _look_up(request: Any, settings: CacheSettings) -> tuple[CacheLookup, CacheAnswer, Entry | None]:
    record = record_of(request)
    lookup: CacheLookup | None = record.cache_lookup
    answer = record.take_answer()
    if lookup is None or lookup.settings is not settings:
        lookup, answer = _own_exchange(request, settings)
    record.on_finish.append(lookup.release)
    if answer is None:
        return lookup, CacheAnswer(CacheState.UNSTORABLE), None
    entry = lookup.accept(answer)
    if answer.state is CacheState.WAIT:
        answer, entry = lookup.wait(answer)
        if answer.state is CacheState.HIT:
            record.cache_status = "collapsed"
    return lookup, answer, entry


def _own_exchange(request: Any, settings: CacheSettings) -> tuple[CacheLookup, CacheAnswer | None]:
    """Where no throttle has asked: one exchange for the cache alone."""
    plain = django_request(request)
    record = record_of(request)
    caller = record.caller or caller_of(plain, getattr(request, "user", None))
    lookup = CacheLookup(request, caller, settings)
    outcome = enter(Inquiry.about(plain, caller, query_for=lookup.query))
    if isinstance(outcome, IdentityChanged):
        return lookup, None
    record.gate_seconds += outcome.seconds
    if tracing.is_on():
        tracing.note_exchange(outcome)
    return lookup, outcome.cache


def _hit(lookup: CacheLookup, answer: CacheAnswer, entry: Entry) -> HttpResponseBase:
    collapsed = record_of(lookup.request).cache_status == "collapsed"
    lifetime = lookup.lifetime if answer.state is CacheState.STORE_DOWN else answer.lifetime
    ttl = math.floor(lifetime - answer.age)
    if answer.state is CacheState.STORE_DOWN:
        set_cache_status(lookup, "hit", detail="STORE_DOWN")
    elif collapsed:
        set_cache_status(lookup, "fwd=miss", "collapsed", f"ttl={ttl}")
    else:
        set_cache_status(lookup, "hit", f"ttl={ttl}")
    if entry.headers[:1] == ((RAISED, "1"),):
        raise _missing(lookup.request, entry)
    return dress(response_from(entry), lookup, entry, answer.age, lifetime)


def _missing(request: Any, entry: Entry) -> Exception:
    """What the view raised; its answer is made anew, since it speaks of this request."""
    detail = entry.body.decode()
    return NotFound(detail) if isinstance(request, Request) else Http404(detail)


def _spare_for(
    error: Exception, lookup: CacheLookup, answer: CacheAnswer, old: Entry | None
) -> HttpResponseBase | None:
    """The view raised: the old response, where there is one and the policy lets it stand in for a failure."""
    if type(error) in (Http404, NotFound) and lookup.remember_missing(404, str(error)):
        set_cache_status(lookup, "fwd=miss", "stored", f"ttl={math.floor(lookup.stored_lifetime)}")
        return None
    refusal = isinstance(error, Http404 | PermissionDenied) or getattr(error, "status_code", 500) < 500
    if old is not None and not refusal and _may_replace_error(lookup, answer):
        lookup.release()
        return _hit(lookup, answer, old)
    lookup.release(unstorable=True)
    return None


def _may_replace_error(lookup: CacheLookup, answer: CacheAnswer) -> bool:
    return lookup.terms is not None and answer.age < answer.lifetime + lookup.terms.stale_if_error


def _computed(
    lookup: CacheLookup, answer: CacheAnswer, spare: Entry | None, response: HttpResponseBase
) -> HttpResponseBase:
    if response.status_code >= 500 and spare is not None and _may_replace_error(lookup, answer):
        lookup.release()
        return _hit(lookup, answer, spare)
    forward = "stale" if answer.state is CacheState.REFRESH else "miss" if lookup.key else "bypass"
    if getattr(response, "is_rendered", True):
        return _store(lookup, forward, response)
    # A template or DRF response has its bytes and headers only after rendering.
    response.add_post_render_callback(lambda rendered: _store(lookup, forward, rendered))  # type: ignore[attr-defined]
    return response


def _store(lookup: CacheLookup, forward: str, response: HttpResponseBase) -> HttpResponseBase:
    entry, stored = lookup.finish(response)
    if entry is None:
        set_cache_status(lookup, f"fwd={forward}", detail=stored)
        return response
    ttl = f"ttl={math.floor(lookup.stored_lifetime)}"
    if stored == "stored":
        set_cache_status(lookup, f"fwd={forward}", "stored", ttl)
    else:
        set_cache_status(lookup, f"fwd={forward}", ttl, detail=stored)
    return dress(response, lookup, entry, 0.0, lookup.stored_lifetime)
