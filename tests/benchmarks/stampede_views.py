"""The views of the stampede: the same slow origin behind each cache. Only `stampede_process` imports this.

What they wait for stands for an origin that answers after a while. Each time one is asked is counted in Redis.
"""

from __future__ import annotations

import time

from cacheops import cached_view_as
from django.contrib.auth.models import Group
from django.urls import path
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_page
from django_redis import get_redis_connection
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_extensions.cache.decorators import cache_response

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle
from tests.benchmarks.cached_views import Key, Open
from tests.benchmarks.handler import PAYLOAD
from tests.benchmarks.stampede_process import ORIGIN_CALLS
from tests.chaos.stampede_site import ORIGIN_SECONDS


def from_origin() -> Response:
    get_redis_connection("default").incr(ORIGIN_CALLS)
    time.sleep(ORIGIN_SECONDS)
    return Response(PAYLOAD)


class Uncached(Open):
    def get(self, request: Request, number: int) -> Response:
        return from_origin()


class Page(Open):
    @method_decorator(cache_page(600))
    def get(self, request: Request, number: int) -> Response:
        return from_origin()


class Extensions(Open):
    @cache_response(timeout=600, key_func=Key())
    def get(self, request: Request, number: int) -> Response:
        return from_origin()


class Perf(Open):
    throttle_classes = [PolicyThrottle]

    @cache_api_response(ttl=600, shared_by="everyone")
    def get(self, request: Request, number: int) -> Response:
        return from_origin()


cacheops = cached_view_as(Group, timeout=600)
cacheops_lock = cached_view_as(Group, timeout=600, lock=True)

urlpatterns = [
    path("api/uncached/<int:number>", Uncached.as_view()),
    path("api/page/<int:number>", Page.as_view()),
    path("api/extensions/<int:number>", Extensions.as_view()),
    path("api/cacheops/<int:number>", cacheops(Uncached.as_view())),
    path("api/cacheops-lock/<int:number>", cacheops_lock(Uncached.as_view())),
    path("api/perf/<int:number>", Perf.as_view()),
]
