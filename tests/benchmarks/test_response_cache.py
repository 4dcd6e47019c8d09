"""The response cache beside its peers: hits, 304 and misses by size of the body, and what they cost Redis."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django_redis import get_redis_connection
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.models import CachePolicy, RateLimitPolicy
from perf.throttling import PolicyThrottle
from tests.benchmarks.handler import asking, handler_with, status_of
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Answer, in_turns
from tests.integration.conftest import forget_process_state
from tests.integration.helpers import settle

pytestmark = pytest.mark.bench

SIZES = {"1-KB": 18, "32-KB": 556, "512-KB": 8560}  # rows of JSON
ROUNDS = 9
REQUESTS = {"1-KB": 60, "32-KB": 40, "512-KB": 12}
PERF = ["perf.middleware.PerformanceMiddleware", "django.middleware.common.CommonMiddleware"]
OTHERS = ["django.middleware.http.ConditionalGetMiddleware", "django.middleware.common.CommonMiddleware"]
ROWS = {
    "bare": "Django view, constant bytes",
    "one-get": "Django view, one Redis `GET`",
    "page": "DRF, `UserRateThrottle`, `cache_page`",
    "extensions": "DRF, `UserRateThrottle`, drf-extensions",
    "perf": "perf: limits and cache",
    "perf-gzip": "the same, for a client that accepts gzip",
}
TEXT = """
A DRF view that everybody may see, whose JSON is in the cache already. perf's rows have `PerformanceMiddleware`, the
others `ConditionalGetMiddleware`, which makes their 304. perf keeps bodies compressed, and in the process as well, so
neither Redis nor the wire sees them again; a client that does not accept gzip costs it the unpacking.
"""


def payload(size: str) -> dict[str, Any]:
    return {"results": [{"id": n, "name": f"asset {n}", "address": f"192.0.2.{n % 250}"} for n in range(SIZES[size])]}


class Generous(UserRateThrottle):
    rate = "100000000/min"


class Open(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = [Generous]


class Page(Open):
    @method_decorator(cache_page(600))
    def get(self, request: Request, size: str) -> Response:
        return Response(payload(size))


class Ours(Open):
    throttle_classes = [PolicyThrottle]

    @cache_api_response(shared_by="everyone")
    def get(self, request: Request, size: str) -> Response:
        return Response(payload(size))


def bare(request: HttpRequest, size: str) -> HttpResponse:
    return HttpResponse(BODIES[size], content_type="application/json")


def one_get(request: HttpRequest, size: str) -> HttpResponse:
    return HttpResponse(get_redis_connection("default").get(f"bench:{size}"), content_type="application/json")


def extensions(request: HttpRequest, size: str) -> HttpResponse:
    return _extensions_view()(request, size=size)  # type: ignore[no-any-return]


def _extensions_view() -> Any:
    """Made here, because the package is not installed where nobody measures; its key has the query and the size."""
    global _view
    if _view is None:
        from rest_framework_extensions.cache.decorators import cache_response
        from rest_framework_extensions.key_constructor.bits import KwargsKeyBit, QueryParamsKeyBit
        from rest_framework_extensions.key_constructor.constructors import DefaultKeyConstructor

        class Key(DefaultKeyConstructor):
            kwargs = KwargsKeyBit()
            query = QueryParamsKeyBit()

        class Extensions(Open):
            @cache_response(timeout=600, key_func=Key())
            def get(self, request: Request, size: str) -> Response:
                return Response(payload(size))

        _view = Extensions.as_view()
    return _view


_view: Any = None
BODIES = {size: json.dumps(payload(size)).encode() for size in SIZES}
urlpatterns = [
    path("api/bare/<str:size>", bare),
    path("api/one-get/<str:size>", one_get),
    path("api/page/<str:size>", Page.as_view()),
    path("api/extensions/<str:size>", extensions),
    path("api/perf/<str:size>", Ours.as_view(), name="ours"),
]


@pytest.fixture
def handlers() -> Iterator[dict[str, WSGIHandler]]:
    for size, body in BODIES.items():
        get_redis_connection("default").set(f"bench:{size}", body)
    RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=60)
    CachePolicy.objects.create(name="bench", route="/api/*", ttl=600, shared_by="everyone")
    with override_settings(ROOT_URLCONF=__name__):
        others, ours = handler_with(OTHERS), handler_with(PERF)
        yield {name: ours if name.startswith("perf") else others for name in ROWS}


def url(name: str, size: str) -> str:
    return f"/api/{name.removesuffix('-gzip')}/{size}"


def headers_of(name: str) -> dict[str, str]:
    return {"HTTP_ACCEPT_ENCODING": "gzip"} if name.endswith("-gzip") else {}


def rows_for(handlers: dict[str, WSGIHandler], size: str) -> dict[str, Answer]:
    return {name: asking(handlers[name], repeat(url(name, size)), repeat(headers_of(name)), 200) for name in ROWS}


def etag_of(handler: WSGIHandler, path: str) -> str:
    found: dict[str, str] = {}
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
    }  # fmt: skip
    response = handler(environ, lambda status, fields: found.update(fields))
    b"".join(response)
    response.close()
    return found["ETag"]


def with_queries(handler: WSGIHandler, path: str, numbers: Iterable[int]) -> Answer:
    """Each request has a query of its own, so each is a miss."""

    def answer() -> None:
        assert status_of(handler, path, {"QUERY_STRING": f"n={next(iterator)}"}) == 200

    iterator = iter(numbers)
    return answer


def test_cache_by_size(handlers: dict[str, WSGIHandler]) -> None:
    tables: list[str | Table] = [TEXT]
    for size, requests in REQUESTS.items():
        rounds = in_turns(rows_for(handlers, size), rounds=ROUNDS, requests=requests, warm_up=5)
        ours = rounds["perf-gzip"]
        rows = []
        for name, label in ROWS.items():
            wire, memory = _redis_cost(handlers[name], name, size)
            ratio = "–" if name == "perf-gzip" else str(ours.speed_against(rounds[name]))
            rows.append([label, f"{rounds[name].per_second:.0f}", ratio, f"{wire:,.0f}", memory])
        tables += [
            f"**Hits, {size.replace('-', ' ')}**",
            Table(["", "requests/s", "perf (gzip) is", "bytes from Redis per hit", "bytes in Redis per entry"], rows),
        ]
    publish("cache", "The response cache", *tables, *_others(handlers))


def _others(handlers: dict[str, WSGIHandler]) -> list[str | Table]:
    size, numbers = "32-KB", itertools.count()
    peers = ("page", "extensions", "perf")
    not_modified = {
        name: asking(
            handlers[name],
            repeat(url(name, size)),
            repeat({"HTTP_IF_NONE_MATCH": etag_of(handlers[name], url(name, size))}),
            304,
        )
        for name in peers
    }
    misses = {name: with_queries(handlers[name], url(name, size), numbers) for name in peers}
    parts: list[str | Table] = []
    for title, answers in (("304, 32 KB", not_modified), ("Misses, 32 KB", misses)):
        rounds = in_turns(answers, rounds=ROUNDS, requests=20, warm_up=3)
        parts += [
            f"**{title}**",
            Table(
                ["", "requests/s", "perf is"],
                [
                    [
                        ROWS[name],
                        f"{rounds[name].per_second:.0f}",
                        "–" if name == "perf" else str(rounds["perf"].speed_against(rounds[name])),
                    ]
                    for name in peers
                ],
            ),
        ]
    return parts


def _redis_cost(handler: WSGIHandler, name: str, size: str) -> tuple[float, str]:
    """Bytes that Redis sends per hit, and what the entry takes there."""
    client = get_redis_connection("default")
    settle()
    times = 10
    before = client.info("stats")["total_net_output_bytes"]
    idle = client.info("stats")["total_net_output_bytes"] - before
    before = client.info("stats")["total_net_output_bytes"]
    for _ in range(times):
        status_of(handler, url(name, size), headers_of(name))
    sent = client.info("stats")["total_net_output_bytes"] - before - idle
    if name == "bare":
        return sent / times, "–"
    keys = set(client.keys("*"))
    for key in keys:
        if not key.startswith(b"bench:"):
            client.delete(key)
    forget_process_state()
    if name == "one-get":
        return sent / times, f"{client.memory_usage(f'bench:{size}'):,}"
    limits = (b"throttle", b":limit:", b":statistics:", b":revision", b":blocked:", b":clients:")
    status_of(handler, url(name, size), headers_of(name))
    entry = [
        key for key in client.keys("*") if not key.startswith(b"bench:") and not any(part in key for part in limits)
    ]
    return sent / times, f"{sum(client.memory_usage(key) or 0 for key in entry):,}"
