"""Every limiter that is compared, each on the same DRF view; also the URLconf of these benchmarks.

Only `make bench` installs the peers, so this is imported where a benchmark runs and never where tests are collected.
All limit a client, known by a header and without SQL, to ``settings.BENCH_RATE``: (requests, seconds).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import path
from django.utils.decorators import method_decorator
from django_ratelimit.decorators import ratelimit
from django_redis import get_redis_connection
from limits import RateLimitItem, RateLimitItemPerSecond
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle, UserRateThrottle
from rest_framework.views import APIView
from rest_framework.views import exception_handler as drf_exception_handler

from perf.models import RateLimitPolicy
from perf.throttling import PolicyThrottle
from tests.benchmarks.handler import PAYLOAD, UnexpectedStatus

HEADERS = "perf.middleware.PerformanceMiddleware"


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in user that no database has to be asked about."""

    pk: int
    is_authenticated: bool = True
    roles: frozenset[str] = frozenset()

    def get_username(self) -> str:
        return f"visitor-{self.pk}"


class VisitorAuthentication(BaseAuthentication):
    """Believes the header ``X-Visitor``."""

    def authenticate(self, request: Request) -> tuple[Visitor, None]:
        return Visitor(int(request.META["HTTP_X_VISITOR"])), None


def visitor(number: int) -> dict[str, str]:
    """The headers of a client."""
    return {"HTTP_X_VISITOR": str(number)}


class Unlimited(APIView):
    """The view that all the others are, too."""

    authentication_classes = [VisitorAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes: list[type[BaseThrottle]] = []

    def get(self, request: Request) -> Response:
        return Response(PAYLOAD)

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return drf_exception_handler


class BenchRate(UserRateThrottle):
    rate = "as the settings say"

    def parse_rate(self, rate: str | None) -> tuple[int, int]:
        return settings.BENCH_RATE


class Drf(Unlimited):
    throttle_classes = [BenchRate]


class DjangoRatelimit(Unlimited):
    @method_decorator(ratelimit(key="user", rate=lambda group, request: settings.BENCH_RATE))
    def get(self, request: Request) -> Response:
        return Response(PAYLOAD)


@lru_cache
def storage() -> RedisStorage:
    """The same server by the same connections as django-redis'."""
    return RedisStorage("redis://", connection_pool=get_redis_connection("default").connection_pool)


@lru_cache
def strategy(kind: type[RateLimiter]) -> RateLimiter:
    return kind(storage())


@lru_cache
def item(rate: tuple[int, int]) -> RateLimitItem:
    return RateLimitItemPerSecond(*rate)


class MovingWindowThrottle(BaseThrottle):
    strategy: type[RateLimiter] = MovingWindowRateLimiter

    def allow_request(self, request: Request, view: APIView) -> bool:
        return strategy(self.strategy).hit(item(settings.BENCH_RATE), "user", str(request.user.pk))


class SlidingCounterThrottle(MovingWindowThrottle):
    strategy = SlidingWindowCounterRateLimiter


class LimitsMovingWindow(Unlimited):
    throttle_classes = [MovingWindowThrottle]


class LimitsSlidingCounter(Unlimited):
    throttle_classes = [SlidingCounterThrottle]


class Perf(APIView):
    """One policy per address, see `given_policies`."""

    authentication_classes = [VisitorAuthentication]
    permission_classes = [IsAuthenticated]
    throttle_classes = [PolicyThrottle]

    def get(self, request: Request, rest: str = "") -> Response:
        return Response(PAYLOAD)


@dataclass(frozen=True, slots=True)
class Limiter:
    """A row: where it is asked for, its middleware, what a refused client gets.

    ``at_most`` is what its algorithm admits in any rolling period by its own definition, as a multiple of the limit.
    """

    name: str
    path: str
    view: type[APIView]
    at_most: str = ""
    middleware: tuple[str, ...] = ()
    refuses_with: int = 429


UNLIMITED = Limiter("no limiter", "/api/unlimited", Unlimited)
PEERS = (
    Limiter("DRF", "/api/drf", Drf, "1"),
    Limiter("django-ratelimit", "/api/django-ratelimit", DjangoRatelimit, "2", refuses_with=403),
    Limiter("limits moving window", "/api/limits/moving-window", LimitsMovingWindow, "1"),
    Limiter("limits sliding counter", "/api/limits/sliding-counter", LimitsSlidingCounter, "2"),
)
PERF = tuple(
    Limiter(f"perf {algorithm}", f"/api/perf/{algorithm}", Perf, at_most, (HEADERS,))
    for algorithm, at_most in (("sliding_window", "1"), ("fixed_window", "2"), ("token_bucket", "2"))
)
SLIDING_WINDOW = PERF[0]
WITHOUT_HEADERS = Limiter(f"{SLIDING_WINDOW.name}, no middleware", SLIDING_WINDOW.path, Perf)


def given_policies(**fields: Any) -> None:
    """A policy for each of perf's rows, of its algorithm, at ``settings.BENCH_RATE``."""
    limit, period = settings.BENCH_RATE
    for limiter in PERF:
        algorithm = limiter.path.rpartition("/")[2]
        RateLimitPolicy.objects.create(
            name=algorithm, route=limiter.path, algorithm=algorithm, limit=limit, period=period, **fields
        )


def admission(limiter: Limiter) -> Callable[[int], bool]:
    """A function that asks the limiter's view, without handler and middleware, whether a client is admitted."""
    view = limiter.view.as_view()

    def admits(client: int) -> bool:
        request = HttpRequest()
        request.method, request.path = "GET", limiter.path
        request.path_info = limiter.path
        request.META = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "127.0.0.1", **visitor(client)}
        status = view(request).status_code
        if status not in (200, limiter.refuses_with):
            raise UnexpectedStatus(f"{limiter.name} answered with {status}.")
        return status == 200

    return admits


urlpatterns = [
    *(path(limiter.path[1:], limiter.view.as_view(), name=limiter.name) for limiter in (UNLIMITED, *PEERS, *PERF)),
    path("api/<path:rest>", Perf.as_view(), name="anywhere"),
]
