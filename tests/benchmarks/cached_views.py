"""The URLconf of `caches`: one view per cache, all of which answer the same JSON to everybody.

Only `make bench` installs the peers, so this is imported where a benchmark runs and never where tests are collected.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django_redis import get_redis_connection
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView
from rest_framework_extensions.cache.decorators import cache_response
from rest_framework_extensions.key_constructor.bits import KwargsKeyBit, QueryParamsKeyBit
from rest_framework_extensions.key_constructor.constructors import DefaultKeyConstructor

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle
from tests.benchmarks.bodies import RANDOM, SIZES, body, computed_body, rendered
from tests.benchmarks.caches import stored_at

CONSTANT = {name: rendered(body(name)) for size in SIZES for name in (size, f"{RANDOM}{size}")}


class Generous(UserRateThrottle):
    rate = "100000000/min"


class Open(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = [Generous]


class Page(Open):
    @method_decorator(cache_page(600))
    def get(self, request: Request, name: str) -> Response:
        return Response(computed_body(name))


class Key(DefaultKeyConstructor):
    """By default the key has neither the path's parameters nor the query."""

    kwargs = KwargsKeyBit()
    query = QueryParamsKeyBit()


class Extensions(Open):
    @cache_response(timeout=600, key_func=Key())
    def get(self, request: Request, name: str) -> Response:
        return Response(computed_body(name))


class Perf(Open):
    throttle_classes = [PolicyThrottle]

    @cache_api_response(shared_by="everyone")
    def get(self, request: Request, name: str) -> Response:
        return Response(computed_body(name))


def bare(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(CONSTANT[name], content_type="application/json")


def one_get(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(get_redis_connection("default").get(stored_at(name)), content_type="application/json")


urlpatterns = [
    path("api/bare/<str:name>", bare),
    path("api/one-get/<str:name>", one_get),
    path("api/page/<str:name>", Page.as_view()),
    path("api/extensions/<str:name>", Extensions.as_view()),
    path("api/perf/<str:name>", Perf.as_view(), name="perf"),
]
