"""One view that takes its time, and notes each time it is computed; it can be told to kill its process once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle

ORIGIN_SECONDS = 0.3


class Slow(APIView):
    permission_classes = [AllowAny]
    authentication_classes = []
    throttle_classes = [PolicyThrottle]

    @cache_api_response(ttl=600, shared_by="everyone")
    def get(self, request: Request) -> Response:
        with Path(os.environ["ORIGIN_CALLS"]).open("a") as calls:
            calls.write(f"{os.getpid()}\n")
        time.sleep(ORIGIN_SECONDS)
        if os.environ.get("KILL_FIRST") and _is_first():
            os.kill(os.getpid(), signal.SIGKILL)
        return Response({"by": os.getpid()})


def _is_first() -> bool:
    try:
        Path(os.environ["KILL_FIRST"]).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Other(Slow):
    def get(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("api/slow", Slow.as_view(), name="slow"), path("api/other", Other.as_view(), name="other")]
