"""The caches that are compared, one row each; their views are in `cached_views`, which needs the peers installed."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.core.handlers.wsgi import WSGIHandler
from django_redis import get_redis_connection

from perf.models import CachePolicy, RateLimitPolicy
from tests.benchmarks.bodies import body, rendered
from tests.benchmarks.handler import handler_with, status_of
from tests.benchmarks.rounds import Answer

VIEWS = "tests.benchmarks.cached_views"  # ROOT_URLCONF
PERF_MIDDLEWARE = ("perf.middleware.PerformanceMiddleware", "django.middleware.common.CommonMiddleware")
OTHER_MIDDLEWARE = ("django.middleware.http.ConditionalGetMiddleware", "django.middleware.common.CommonMiddleware")


@dataclass(frozen=True, slots=True)
class Cache:
    """A row: a view with a cache, and how it is asked. ``name`` is the view's in `cached_views`."""

    name: str
    label: str
    middleware: Sequence[str] = OTHER_MIDDLEWARE
    headers: Mapping[str, str] = field(default_factory=dict)

    def handler(self) -> WSGIHandler:
        return handler_with(self.middleware)

    def path(self, body_name: str) -> str:
        return f"/api/{self.name}/{body_name}"


BARE = Cache("bare", "Django view, constant bytes")
ONE_GET = Cache("one-get", "Django view, one Redis `GET`")
PAGE = Cache("page", "DRF, `UserRateThrottle`, `cache_page`")
EXTENSIONS = Cache("extensions", "DRF, `UserRateThrottle`, drf-extensions")
PERF = Cache("perf", "perf: limits and cache", PERF_MIDDLEWARE)
PERF_GZIP = Cache("perf", "the same, for a client that accepts gzip", PERF_MIDDLEWARE, {"HTTP_ACCEPT_ENCODING": "gzip"})


def given_policies_and_bodies(names: Iterable[str]) -> None:
    """What perf's rows are decided by, and what the row with one ``GET`` reads."""
    for name in names:
        get_redis_connection("default").set(stored_at(name), rendered(body(name)))
    RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=60)
    CachePolicy.objects.create(name="bench", route="/api/*", ttl=600, shared_by="everyone")


def stored_at(name: str) -> str:
    """The key that the row with one ``GET`` reads."""
    return f"bench:{name}"


def missing(cache: Cache, body_name: str, numbers: Iterable[int], headers: Iterable[Mapping[str, str]]) -> Answer:
    """Each request has a query of its own, so each is a miss."""

    def answer() -> None:
        fields = {"QUERY_STRING": f"n={next(queries)}", **cache.headers, **next(others)}
        assert status_of(handler, path, fields) == 200

    handler, path, queries, others = cache.handler(), cache.path(body_name), iter(numbers), iter(headers)
    return answer


def etag_of(cache: Cache, body_name: str) -> str:
    """The ETag of a response, which is in the cache after it."""
    found: dict[str, str] = {}
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": cache.path(body_name), "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
    }  # fmt: skip
    response = cache.handler()(environ, lambda status, fields: found.update(fields))
    b"".join(response)
    response.close()
    return found["ETag"]
