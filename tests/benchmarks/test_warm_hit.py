"""A warm hit, side by side: bare Django, one Redis GET, DRF with its throttle and `cache_page`, and perf."""

from __future__ import annotations

from itertools import repeat

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
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication

from perf.caching import cache_api_response
from perf.models import CachePolicy, RateLimitPolicy
from securenet.accounts.authentication import TokenAuthentication
from securenet.accounts.tokens import access_token_for
from tests.benchmarks.handler import PAYLOAD, asking
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Answer, in_turns

pytestmark = pytest.mark.bench

ROUNDS = 12
REQUESTS_A_ROUND = 150
ROWS = {
    "bare": "Django view, constant bytes",
    "one-get": "Django view, one Redis `GET`",
    "stateless": "DRF: token alone",
    "by-sql": "DRF: token, user by SQL",
    "usual": "DRF: SecureNet's token",
    "ours": "perf: SecureNet's token, limits, cache, statistics, headers",
}
TEXT = """
A response of 1 KB that is in the cache already, with the middleware of SecureNet for every row. The rows of DRF have
`UserRateThrottle` and `cache_page` on django-redis. They differ in how they sign in: *token alone* believes a signed
token; *user by SQL* is simplejwt's `JWTAuthentication`, which reads the user from SQLite at each request; *SecureNet's
token* asks Redis whether the account has changed, as perf's row does, which for that needs no command of its own.
"""


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"x" * 1024, content_type="application/json")


def one_get(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_redis_connection("default").get("bench:body"), content_type="application/json")


class Generous(UserRateThrottle):
    rate = "1000000/min"


class Usual(APIView):
    """What a DRF project does without perf, on SecureNet's own tokens: one exchange with Redis checks the token."""

    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [Generous]

    @method_decorator(cache_page(60))
    def get(self, request: Request) -> Response:
        return Response(PAYLOAD)


class Stateless(Usual):
    authentication_classes = [JWTStatelessUserAuthentication]


class BySql(Usual):
    authentication_classes = [JWTAuthentication]


class Ours(APIView):
    authentication_classes = [TokenAuthentication]
    permission_classes = [IsAuthenticated]

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response(PAYLOAD)


urlpatterns = [
    path("api/bare", bare),
    path("api/one-get", one_get),
    path("api/stateless", Stateless.as_view()),
    path("api/by-sql", BySql.as_view()),
    path("api/usual", Usual.as_view()),
    path("api/ours", Ours.as_view(), name="ours"),
]


@pytest.fixture
def answers() -> dict[str, Answer]:
    """One function per row; each answers one request."""
    get_redis_connection("default").set("bench:body", b"x" * 1024)
    RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=60)
    CachePolicy.objects.create(name="bench", route="/api/*", ttl=600, shared_by="user")
    user = get_user_model().objects.create_user("bench")
    authorization = {"HTTP_AUTHORIZATION": f"Bearer {access_token_for(user)}"}
    handler = WSGIHandler()
    return {name: asking(handler, repeat(f"/api/{name}"), repeat(authorization), 200) for name in ROWS}


@override_settings(ROOT_URLCONF=__name__)
def test_warm_hits_per_second(answers: dict[str, Answer]) -> None:
    rounds = in_turns(answers, rounds=ROUNDS, requests=REQUESTS_A_ROUND)
    ours = rounds["ours"]
    publish(
        "warm-hit",
        "A warm hit",
        TEXT,
        Table(
            ["", "requests/s", "perf is"],
            [
                [
                    label,
                    f"{rounds[name].per_second:.0f}",
                    str(ours.speed_against(rounds[name])) if name != "ours" else "–",
                ]
                for name, label in ROWS.items()
            ],
        ),
    )
