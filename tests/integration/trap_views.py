"""Views on which a careless cache fails: ``@pytest.mark.urls("tests.integration.trap_views")``.

Every answer says which computing it comes from. `answer_paths` makes a process of its own answer the paths on its
standard input.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.test import Client
from django.urls import path
from django.utils import timezone, translation
from django.views.decorators.http import condition
from rest_framework.permissions import AllowAny, DjangoModelPermissions, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.versioning import AcceptHeaderVersioning
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.throttling import PolicyThrottle

calls = itertools.count(1)
during: list[Callable[[], object]] = []  # what happens while `interrupted` is being computed


def number() -> str:
    """Which computing this is, in which process."""
    return f"{os.getpid()}-{next(calls)}"


@cache_api_response(shared_by="everyone")
def shaped(request: HttpRequest) -> HttpResponse:
    """Its status and headers are those that the query asks for."""
    wanted = request.GET.dict()
    response = HttpResponse(number(), status=int(wanted.pop("status", 200)))
    for name, value in wanted.items():
        response.headers[name] = value
    return response


@cache_api_response()
def echo(request: HttpRequest, rest: str = "") -> HttpResponse:
    """What the request asked for, and its own address as a link."""
    me = {"rest": rest, "user": request.user.get_username(), "q": request.GET.getlist("q")}
    return JsonResponse({"calls": number(), "link": request.build_absolute_uri(), **me})


@cache_api_response(shared_by="everyone")
def local_time(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{timezone.get_current_timezone_name()} {translation.get_language()}")


class Versioned(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]
    renderer_classes = [JSONRenderer]
    versioning_class = AcceptHeaderVersioning

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response({"version": request.version})


class Browsable(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]
    renderer_classes = [JSONRenderer, BrowsableAPIRenderer]

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response({"calls": number()})

    def post(self, request: Request) -> Response:
        return Response({})


class Groups(APIView):
    """Only for those who may see groups, and a lookup in the database."""

    permission_classes = [IsAuthenticated, DjangoModelPermissions]
    throttle_classes = [PolicyThrottle]
    queryset = Group.objects.all()

    @cache_api_response()
    def get(self, request: Request) -> Response:
        return Response({"calls": number()})


@cache_api_response(shared_by="everyone")
def form(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_token(request))


@cache_api_response(shared_by="everyone")
def flashed(request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(map(str, get_messages(request))))


@cache_api_response(shared_by="everyone")
@condition(etag_func=lambda request: '"of-the-view"')
def conditional(request: HttpRequest) -> HttpResponse:
    return HttpResponse(number())


@cache_api_response(shared_by="everyone")
def ranged(request: HttpRequest) -> HttpResponse:
    """Answers a range by itself, as a view for media does, and HEAD with nothing."""
    if request.method == "HEAD":
        return HttpResponse()
    if "Range" in request.headers:
        return HttpResponse(b"whole"[:2], status=206, headers={"Content-Range": "bytes 0-1/5"})
    return HttpResponse(b"whole")


@cache_api_response(shared_by="everyone", tags=["interrupted"])
def interrupted(request: HttpRequest) -> HttpResponse:
    for happen in during:
        happen()
    if "cookie" in request.GET:
        response = HttpResponse(number())
        response.set_cookie("sid", "secret")
        return response
    return HttpResponse(number())


@cache_api_response(shared_by="everyone", tags=["groups"])
def counted(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(Group.objects.count()))


class Places:
    """A middleware: the client's time zone, as projects set it per user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(request.headers.get("X-Time-Zone", "UTC")):
            return self.get_response(request)


urlpatterns = [
    path("api/shaped", shaped, name="shaped"),
    path("api/echo", echo, name="echo"),
    path("api/echo/<path:rest>", echo, name="echo-rest"),
    path("api/local-time", local_time, name="local-time"),
    path("api/versioned", Versioned.as_view(), name="versioned"),
    path("api/browsable", Browsable.as_view(), name="browsable"),
    path("api/groups", Groups.as_view(), name="groups"),
    path("api/form", form, name="form"),
    path("api/flashed", flashed, name="flashed"),
    path("api/conditional", conditional, name="conditional"),
    path("api/ranged", ranged, name="ranged"),
    path("api/interrupted", interrupted, name="interrupted"),
    path("api/counted", counted, name="counted"),
]


def answer_paths() -> None:
    """Answer until the input ends: a path per line, a JSON object per line."""
    for line in sys.stdin:
        response: Any = Client().get(line.strip())
        answer = {"status": response.status_code, "body": response.content.decode(), "headers": dict(response.headers)}
        print(json.dumps(answer), flush=True)
