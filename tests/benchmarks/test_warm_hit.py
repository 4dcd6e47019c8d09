"""A warm hit, side by side: bare Django, one Redis GET, DRF with its throttle and `cache_page`, and perf.

``make bench`` prints the table. All rows run in one process, in turns, so a noisy machine is noisy for all.
Figures are ratios of requests per second; nothing about time is asserted.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django_redis import get_redis_connection
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.models import CachePolicy, RateLimitPolicy
from securenet.accounts.authentication import TokenAuthentication
from securenet.accounts.tokens import access_token_for

pytestmark = [pytest.mark.bench, pytest.mark.django_db(transaction=True)]

ROUNDS = 12
REQUESTS_A_ROUND = 150
PAYLOAD = {"results": [{"id": number, "name": f"asset {number}", "address": "192.0.2.1"} for number in range(20)]}


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 1024, content_type="application/json")


def one_get(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_redis_connection("default").get("bench:body"), content_type="application/json")


class Generous(UserRateThrottle):
    rate = "1000000/min"


class Usual(APIView):
    """What a DRF project does without perf; the token is checked without SQL, which favours it."""

    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [Generous]

    @method_decorator(cache_page(60))
    def get(self, request: Request) -> Response:
        return Response(PAYLOAD)


class Ours(APIView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response(PAYLOAD)


urlpatterns = [
    path("api/bare", bare),
    path("api/one-get", one_get),
    path("api/usual", Usual.as_view()),
    path("api/ours", Ours.as_view(), name="ours"),
]


@pytest.fixture
def requests(redis: Any) -> Iterator[dict[str, Callable[[], None]]]:
    """One function per row; each answers one request through Django's WSGI handler."""
    client = get_redis_connection("default")
    client.flushall()
    client.set("bench:body", b"x" * 1024)
    RateLimitPolicy.objects.all().delete()
    CachePolicy.objects.all().delete()
    RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=60)
    CachePolicy.objects.create(name="bench", route="/api/*", ttl=600, shared_by="user")
    user = get_user_model().objects.create_user("bench")
    token = access_token_for(user)
    with override_settings(ROOT_URLCONF=__name__):
        handler = WSGIHandler()
        yield {name: _request(handler, f"/api/{name}", token) for name in ("bare", "one-get", "usual", "ours")}


def test_warm_hits_per_second(requests: dict[str, Callable[[], None]]) -> None:
    seconds = dict.fromkeys(requests, 0.0)
    for answer in requests.values():
        for _ in range(20):
            answer()
    for _ in range(ROUNDS):
        for name, answer in requests.items():
            started = time.perf_counter()
            for _ in range(REQUESTS_A_ROUND):
                answer()
            seconds[name] += time.perf_counter() - started
    rates = {name: ROUNDS * REQUESTS_A_ROUND / took for name, took in seconds.items()}
    print("\n\n| warm hit, 1 process, 1 thread | requests/s | ours is |\n|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {rate:.0f} | {rates['ours'] / rate:.2f} x |")


def _request(handler: WSGIHandler, url: str, token: str) -> Callable[[], None]:
    def answer() -> None:
        statuses: list[str] = []
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": url, "QUERY_STRING": "", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "HTTP_ACCEPT": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {token}", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
        }  # fmt: skip
        response = handler(environ, lambda status, headers: statuses.append(status))
        b"".join(response)
        response.close()
        assert statuses == ["200 OK"], statuses

    return answer
