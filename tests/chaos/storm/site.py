"""The product's addresses, and views whose bodies say whom they were made for and which origin call made them.

Each origin call is also written to the file that STORM_ORIGINS names: a line when it begins, one when it ends.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from typing import Any

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from securenet import urls as product
from tests.chaos.site import Limited
from tests.chaos.storm.origins import ROUNDS
from tests.chaos.storm.plan import ALGORITHMS


def _note(call: str, **facts: Any) -> None:
    """One write to a file opened for appending: lines of several processes do not mix."""
    line = json.dumps({"call": call, "at": time.monotonic_ns(), "process": os.getpid(), **facts})
    descriptor = os.open(os.environ["STORM_ORIGINS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)


def _computed(key: str, owner: str) -> dict[str, str]:
    """Some milliseconds of work, recorded."""
    call = uuid.uuid4().hex
    _note(call, key=key)
    digest = hashlib.pbkdf2_hmac("sha256", call.encode(), key.encode(), ROUNDS).hex()
    _note(call)
    return {"owner": owner, "call": call, "digest": digest}


def _role(request: Request) -> str:
    user: Any = request.user
    return "+".join(sorted(user.roles))


class Mine(APIView):
    """Cached for the user alone."""

    @cache_api_response()
    def get(self, request: Request) -> Response:
        name = request.user.get_username()
        return Response(_computed(f"mine:{name}", name))


class OfRole(APIView):
    """Cached for all users of the same role."""

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response(_computed(f"role:{_role(request)}", _role(request)))


class OfEveryone(APIView):
    """Cached for everyone."""

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response(_computed("everyone", "everyone"))


class WithCookie(APIView):
    """Its policy shares it with everyone, and it must not be shared all the same: the response sets a cookie."""

    @cache_api_response()
    def get(self, request: Request) -> Response:
        name = request.user.get_username()
        response = Response({"owner": name})
        response.set_cookie("who", name)
        return response


urlpatterns = [
    *(path(f"api/{name}", Limited.as_view(), {"name": name}) for name in ("open", "local", *ALGORITHMS)),
    path("api/storm/mine", Mine.as_view(), name="mine"),
    path("api/storm/role", OfRole.as_view(), name="role"),
    path("api/storm/everyone", OfEveryone.as_view(), name="everyone"),
    path("api/storm/cookie", WithCookie.as_view(), name="cookie"),
    *product.urlpatterns,
]
handler400, handler404, handler500 = product.handler400, product.handler404, product.handler500
