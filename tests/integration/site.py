"""A small site with views of all kinds, for tests of perf: ``@pytest.mark.urls("tests.integration.site")``."""

from __future__ import annotations

import itertools
import threading
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from rest_framework.decorators import api_view, permission_classes, throttle_classes
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle, rate_limit

calls = itertools.count(1)
hold = threading.Event()  # the slow view waits for it


class Counter(APIView):
    """Says how often the views were computed, and for whom."""

    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    @cache_api_response(tags=["counter"])
    def get(self, request: Request, pk: int = 0) -> Response:
        return Response({"calls": next(calls), "user": str(request.user), "query": dict(request.query_params.lists())})

    def post(self, request: Request) -> Response:
        return Response({"calls": next(calls)}, status=201)


class Private(Counter):
    permission_classes = [IsAuthenticated]


class Uncached(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    def get(self, request: Request) -> Response:
        return Response({"calls": next(calls)})


class Unstorable(APIView):
    """What it answers is chosen by ``?how=``."""

    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    @cache_api_response()
    def get(self, request: Request) -> Any:
        how = request.query_params.get("how", "")
        number = next(calls)
        response: Any = Response({"calls": number})
        match how:
            case "cookie":
                response.set_cookie("sid", "secret")
            case "private" | "no-store":
                response["Cache-Control"] = how
            case "vary-star":
                response["Vary"] = "*"
            case "vary-unknown":
                response["Vary"] = "X-Tenant"
            case "streaming":
                response = StreamingHttpResponse([b"a", b"b"])
            case "error":
                response = Response({"calls": number}, status=503)
            case "missing":
                response = Response({"calls": number}, status=404)
            case "raise":
                raise RuntimeError("the view failed")
            case "own-freshness":
                response["Cache-Control"] = request.query_params["says"]
            case "expires":
                response["Expires"] = request.query_params["says"]
            case "not-found":
                raise NotFound("no such thing")
            case "gone":
                response = Response({"calls": number}, status=410)
            case "big":
                response = Response({"calls": number, "padding": "x" * 5000})
        return response


class Failing(APIView):
    """Answers until `break_it` is set."""

    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]
    break_it = threading.Event()

    @cache_api_response()
    def get(self, request: Request) -> Response:
        if self.break_it.is_set():
            raise RuntimeError("the origin is down")
        return Response({"calls": next(calls)})


class Long(APIView):
    """A body that is worth compressing."""

    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response({"calls": next(calls), "padding": "security " * 2000})


class Slow(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    @cache_api_response()
    def get(self, request: Request) -> Response:
        number = next(calls)
        hold.wait(10)
        return Response({"calls": number})


class Things(ViewSet):
    permission_classes = [AllowAny]

    @cache_api_response()
    def list(self, request: Request) -> Response:
        return Response({"calls": next(calls)})


@api_view(["GET"])
@permission_classes([AllowAny])
@throttle_classes([PolicyThrottle])
@cache_api_response()
def function(request: Request) -> Response:
    return Response({"calls": next(calls)})


@cache_api_response(shared_by="everyone", ttl=60)
def plain(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"calls": next(calls)})


@cache_api_response(shared_by="everyone", ttl=60)
async def plain_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"calls": next(calls)})


@rate_limit("2/m", count_by="ip")
def limited(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"calls": next(calls)})


@rate_limit("2/m", count_by="ip")
async def limited_async(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"calls": next(calls)})


@rate_limit(policy="named")
def limited_by_policy(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"calls": next(calls)})


urlpatterns = [
    path("api/counter", Counter.as_view(), name="counter"),
    path("api/counter/<int:pk>", Counter.as_view(), name="counter-detail"),
    path("api/private", Private.as_view(), name="private"),
    path("api/uncached", Uncached.as_view(), name="uncached"),
    path("api/unstorable", Unstorable.as_view(), name="unstorable"),
    path("api/failing", Failing.as_view(), name="failing"),
    path("api/long", Long.as_view(), name="long"),
    path("api/slow", Slow.as_view(), name="slow"),
    path("api/things", Things.as_view({"get": "list"}), name="things"),
    path("api/function", function, name="function"),
    path("api/plain", plain, name="plain"),
    path("api/plain-async", plain_async, name="plain-async"),
    path("api/limited", limited, name="limited"),
    path("api/limited-async", limited_async, name="limited-async"),
    path("api/limited-by-policy", limited_by_policy, name="limited-by-policy"),
]
