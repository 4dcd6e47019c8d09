"""The site under load: views that cost nothing beside their limits. A path is what a policy's route names."""

from __future__ import annotations

from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle


class Limited(APIView):
    """Answers whom the policies of its path let pass."""

    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = [PolicyThrottle]

    def get(self, request: Request, name: str) -> Response:
        return Response({"name": name})


class Cached(Limited):
    """The same, through the cache."""

    @cache_api_response(ttl=1)
    def get(self, request: Request, name: str) -> Response:
        return Response({"name": name})


urlpatterns = [
    path("api/<slug:name>", Limited.as_view(), name="limited"),
    path("api/cached/<slug:name>", Cached.as_view(), name="cached"),
]
