"""A warm hit, side by side: bare Django, one Redis GET, DRF with its throttle and `cache_page`, and perf."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import cycle, repeat
from typing import Any, ClassVar

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, models
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django_redis import get_redis_connection
from rest_framework.authentication import TokenAuthentication as DRFTokenAuthentication
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
# DRF's throttle keeps the time of each request of a client: with few clients its row would measure long lists.
USERS = 90
ROWS = {
    "bare": "Django view, constant bytes",
    "one-get": "Django view, one Redis `GET`",
    "floor": "DRF view, token alone, one Redis `GET` and nothing else",
    "own-token": "DRF: its TokenAuthentication",
    "stateless": "DRF: token alone",
    "by-sql": "DRF: token, user by SQL",
    "usual": "DRF: SecureNet's token",
    "ours": "perf: SecureNet's token, limits, cache, statistics, headers",
}
TEXT = """
A response of 1 KB that is in the cache already, with the middleware of SecureNet for every row; 90 users take turns, so
that the list of times DRF's throttle keeps of each stays short. The rows of DRF have `UserRateThrottle` and
`cache_page` on django-redis. They differ in how they sign in: *token alone* believes a signed
token; *user by SQL* is simplejwt's `JWTAuthentication`, which reads the user from SQLite at each request; *SecureNet's
token* asks Redis whether the account has changed, as perf's row does, which for that needs no command of its own;
*its TokenAuthentication* is DRF's own, which reads token and user from SQLite.

How near to one bare `GET` a hit through DRF can come shows in the third row: it signs in, asks Redis once and writes
the answer, without limits, statistics, freshness, entry keys and headers. That alone is between 0.6 and 0.65 of the
second row, and not quite three times the row with DRF's TokenAuthentication. perf aims at 0.7 and at three times, and
misses both, as would anything that goes through DRF. What perf's row has beyond the third is spent, by profile, on the
script in Redis (about a quarter, most of it the interpreter's calls), on packing and parsing the command, on the plan
and the key of the entry, and on headers that Django checks one by one; no part is larger than a tenth of the request.
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


class Floor(APIView):
    """The least that DRF can do with one exchange."""

    authentication_classes = [JWTStatelessUserAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes: ClassVar[list[Any]] = []

    def get(self, request: Request) -> HttpResponse:
        return one_get(request._request)


class Token(models.Model):
    """What `rest_framework.authtoken` has, which is no app of SecureNet."""

    key = models.CharField(max_length=40, primary_key=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "benchmarks"

    def __str__(self) -> str:
        return self.key


class DRFToken(DRFTokenAuthentication):
    model = Token


class OwnToken(Usual):
    authentication_classes = [DRFToken]


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
    path("api/floor", Floor.as_view()),
    path("api/own-token", OwnToken.as_view()),
    path("api/stateless", Stateless.as_view()),
    path("api/by-sql", BySql.as_view()),
    path("api/usual", Usual.as_view()),
    path("api/ours", Ours.as_view(), name="ours"),
]


@pytest.fixture
def drf_tokens() -> Iterator[None]:
    """The table of `Token`, which no migration makes."""
    with connection.schema_editor() as editor:
        editor.create_model(Token)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Token)


@pytest.fixture
def answers(drf_tokens: None) -> dict[str, Answer]:
    """One function per row; each answers one request."""
    get_redis_connection("default").set("bench:body", b"x" * 1024)
    RateLimitPolicy.objects.create(name="generous", route="*", limit=100_000_000, period=60)
    CachePolicy.objects.create(name="bench", route="/api/*", ttl=600, shared_by="user")
    users = [get_user_model().objects.create_user(f"bench-{number}") for number in range(USERS)]
    signed = [{"HTTP_AUTHORIZATION": f"Bearer {access_token_for(user)}"} for user in users]
    kept = [{"HTTP_AUTHORIZATION": f"Token {Token.objects.create(user=u, key=secrets.token_hex(20))}"} for u in users]
    handler = WSGIHandler()
    return {
        name: asking(handler, repeat(f"/api/{name}"), cycle(kept if name == "own-token" else signed), 200)
        for name in ROWS
    }


@override_settings(ROOT_URLCONF=__name__)
def test_warm_hits_per_second(answers: dict[str, Answer]) -> None:
    rounds = in_turns(answers, rounds=ROUNDS, requests=REQUESTS_A_ROUND, warm_up=USERS)
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
