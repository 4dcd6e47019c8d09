"""The URLconf of the scaling benchmarks: one cached view of any size, and the same without perf."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django_redis import get_redis_connection
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle
from tests.benchmarks.bodies import rendered

ROW_BYTES = 53


@lru_cache
def body(kilobytes: int) -> dict[str, Any]:
    """Rows of JSON, as many as fit."""
    rows = range(max(1, kilobytes * 1024 // ROW_BYTES))
    return {"results": [{"id": n, "name": f"asset {n}", "address": f"192.0.2.{n % 250}"} for n in rows]}


class Open(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []


class Plain(Open):
    throttle_classes = []

    def get(self, request: Request, kilobytes: int) -> Response:
        return Response(body(kilobytes))


class Cached(Open):
    throttle_classes = [PolicyThrottle]

    @cache_api_response(shared_by="everyone")
    def get(self, request: Request, kilobytes: int) -> Response:
        return Response(body(kilobytes))


def one_get(request: HttpRequest, kilobytes: int) -> HttpResponse:
    return HttpResponse(get_redis_connection("default").get(stored_at(kilobytes)), content_type="application/json")


def store(kilobytes: int) -> None:
    """Put into Redis what `one_get` reads."""
    get_redis_connection("default").set(stored_at(kilobytes), rendered(body(kilobytes)))


def stored_at(kilobytes: int) -> str:
    return f"bench:{kilobytes}"


urlpatterns = [
    path("api/plain/<int:kilobytes>", Plain.as_view()),
    path("api/one-get/<int:kilobytes>", one_get),
    path("api/cached/<int:kilobytes>", Cached.as_view(), name="cached"),
]
