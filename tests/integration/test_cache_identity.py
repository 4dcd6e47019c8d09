"""Nobody sees another's data: over generated users, policies, parameters and headers, and the leaks of other caches.

The view says for whom and for what it was computed, so every answer tells whether it was this client's to get.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from django_redis import get_redis_connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.caching.local_copies import local_copies
from perf.models import CachePolicy
from perf.throttling import PolicyThrottle
from tests.integration.helpers import client_for, given_cache_policy, given_user

pytestmark = pytest.mark.urls("tests.integration.test_cache_identity")

HEADERS = ("X-A", "X-B")


class Echo(APIView):
    """Says everything that made it answer as it does."""

    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    @cache_api_response()
    def get(self, request: Request, name: str = "") -> Response:
        return Response(
            {
                "user": request.user.get_username(),
                "may": sorted(request.user.get_all_permissions()),
                "groups": sorted(request.user.groups.values_list("name", flat=True)),
                "flags": [request.user.is_staff, request.user.is_superuser],
                "name": name,
                "query": sorted(request.query_params.lists()),
                "headers": [request.headers.get(header) for header in HEADERS],
            }
        )


@cache_api_response(shared_by="everyone")
def whitespace_vary(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.headers.get("X-Tenant", ""), headers={"Vary": "  X-Tenant  "})


@cache_api_response(shared_by="everyone")
def shouted_private(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.META["REMOTE_ADDR"], headers={"Cache-Control": "PRIVATE"})


@cache_api_response(shared_by="everyone")
def varies_on_all(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.META["REMOTE_ADDR"], headers={"Vary": "Accept, *"})


@cache_api_response(shared_by="everyone")
def sets_a_cookie(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("ok")
    response.set_cookie("sid", request.META["REMOTE_ADDR"])
    return response


urlpatterns = [
    path("api/echo", Echo.as_view(), name="echo"),
    path("api/echo/<str:name>", Echo.as_view(), name="echo-name"),
    path("api/whitespace-vary", whitespace_vary),
    path("api/shouted-private", shouted_private),
    path("api/varies-on-all", varies_on_all),
    path("api/sets-a-cookie", sets_a_cookie),
]

# Texts in which delimiters, emptiness and absence could be mistaken for one another.
text = st.sampled_from(["", "a", "b", "ab", "a,b", "a&b=c", "-", "-,", "\\0", "a:b", "é", "2:ab"])
requests = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.sampled_from(["", "/a", "/b", "/ab"]),
        st.lists(st.tuples(st.sampled_from(["q", "r", "utm_x"]), text), max_size=3),
        st.tuples(st.none() | text, st.none() | text),
    ),
    min_size=4,
    max_size=25,
)


@pytest.fixture
def people() -> list[Any]:
    """A stranger, and users alike and unlike each other in roles, flags and permissions of their own."""
    special = given_user("special", "viewer")
    special.user_permissions.add(Permission.objects.first())
    both = [given_user(name, "viewer", "analyst") for name in ("carol", "carl")]
    return [
        None, given_user("alice", "viewer"), given_user("alfred", "viewer"), special, *both,
        given_user("staff", "viewer", is_staff=True), given_user("root", is_superuser=True),
    ]  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    st.sampled_from(CachePolicy.SharedBy.values),
    st.sets(st.sampled_from(HEADERS)),
    st.booleans(),
    requests,
)
def test_no_answer_was_computed_for_another_identity_class(
    people: list[Any], shared_by: str, vary_on: set[str], ignores_utm: bool, asked: list[Any]
) -> None:
    CachePolicy.objects.all().delete()
    get_redis_connection("default").flushall()
    local_copies.clear()
    given_cache_policy(
        shared_by=shared_by, vary_on_headers=sorted(vary_on), ignore_params=["utm_*"] if ignores_utm else []
    )
    for person, name, parameters, headers in asked:
        user = people[person]
        given_headers = {
            header: value.encode("ascii", "ignore").decode()
            for header, value in zip(HEADERS, headers, strict=True)
            if value is not None
        }
        echo = client_for(user).get(f"/api/echo{name}", query_params=_lists(parameters), headers=given_headers).json()
        assert echo["name"] == name.strip("/")
        kept = [(key, value) for key, value in parameters if not (ignores_utm and key.startswith("utm_"))]
        assert echo["query"] == sorted([key, values] for key, values in _lists(kept).items())
        for header, value in zip(HEADERS, echo["headers"], strict=True):
            if header in vary_on:
                assert value == given_headers.get(header)
        if shared_by == "user":
            assert echo["user"] == (user.get_username() if user else "")
        if shared_by != "everyone" and user is not None:
            assert echo["may"] == sorted(user.get_all_permissions())
            assert echo["groups"] == sorted(user.groups.values_list("name", flat=True))
            assert echo["flags"] == [user.is_staff, user.is_superuser]
        if shared_by != "everyone" and user is None:
            assert echo["user"] == ""


def _lists(parameters: list[tuple[str, str]]) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for key, value in parameters:
        lists.setdefault(key, []).append(value)
    return lists


class TestLeaksOfOtherCaches:
    """Each is an advisory or a defect of a cache in use elsewhere."""

    def test_whitespace_around_a_vary_header_does_not_hide_it(self) -> None:
        one, two = (Client().get("/api/whitespace-vary", headers={"X-Tenant": tenant}) for tenant in ("one", "two"))
        assert (one.content, two.content) == (b"one", b"two")

    @pytest.mark.parametrize("page", ["shouted-private", "varies-on-all"])
    def test_what_is_private_or_varies_on_everything_is_not_shared(self, page: str) -> None:
        answers = [Client(REMOTE_ADDR=f"192.0.2.{n}").get(f"/api/{page}").content for n in (1, 2)]
        assert answers == [b"192.0.2.1", b"192.0.2.2"]

    def test_a_cookie_of_the_first_is_not_handed_to_the_second(self) -> None:
        for number in (1, 2):
            response = Client(REMOTE_ADDR=f"192.0.2.{number}").get("/api/sets-a-cookie")
            assert response.cookies["sid"].value == f"192.0.2.{number}"

    def test_unrelated_cookies_do_not_make_a_response_shared(self) -> None:
        given_cache_policy(shared_by="user")
        client = client_for(given_user("alice"))
        client.cookies["theme"] = "dark"
        client.get("/api/echo")
        stranger = client_for()
        stranger.cookies["theme"] = "dark"
        assert stranger.get("/api/echo").json()["user"] == ""

    def test_an_authorization_header_alone_does_not_share(self) -> None:
        given_cache_policy(shared_by="user")
        assert client_for(given_user("alice")).get("/api/echo").json()["user"] == "alice"
        stranger = client_for(Authorization="Basic Zm9vOmJhcg==")
        assert stranger.get("/api/echo").json()["user"] != "alice"

    @pytest.mark.parametrize(("first", "second"), [(None, ""), ("", None), ("-,", "-"), ("ab", "a")])
    def test_absent_and_empty_and_joined_values_differ(self, first: str | None, second: str | None) -> None:
        given_cache_policy(vary_on_headers=["X-A", "X-B"])
        for value in (first, second):
            headers = {} if value is None else {"X-A": value}
            assert client_for().get("/api/echo", headers=headers).json()["headers"] == [value, None]

    def test_values_of_a_repeated_parameter_keep_their_order(self) -> None:
        given_cache_policy()
        for query in ("q=a&q=b", "q=b&q=a", "q=c&q=b"):
            values = query.replace("q=", "").split("&")
            assert client_for().get(f"/api/echo?{query}").json()["query"] == [["q", values]]

    def test_parameters_in_another_order_are_the_same_question(self) -> None:
        given_cache_policy()
        first = client_for().get("/api/echo?q=1&r=2")
        assert "hit" in client_for().get("/api/echo?r=2&q=1").headers["Cache-Status"]
        assert first.status_code == 200

    def test_a_request_with_a_body_is_not_answered_from_the_cache(self) -> None:
        given_cache_policy()
        client_for().get("/api/echo")
        with_body = client_for().generic("GET", "/api/echo", b'{"role": "admin"}', content_type="application/json")
        assert "hit" not in with_body.headers["Cache-Status"]

    def test_a_made_up_suffix_does_not_make_a_private_page_public(self) -> None:
        given_cache_policy("assets", route="/api/echo/*", shared_by="everyone")
        client_for(given_user("alice")).get("/api/echo")
        assert client_for().get("/api/echo").json()["user"] == ""

    def test_host_and_method_override_headers_change_nothing(self) -> None:
        given_cache_policy()
        poisoned = {"X-Forwarded-Host": "evil.example", "X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/admin"}
        first = client_for().get("/api/echo", headers=poisoned)
        assert b"evil" not in first.content
        assert client_for().get("/api/echo").content == first.content

    def test_a_login_that_ends_ends_what_it_saw(self) -> None:
        given_cache_policy(shared_by="user")
        user = given_user("alice")
        client = Client()
        client.force_login(user)
        assert client.get("/api/echo").json()["user"] == "alice"
        client.logout()
        assert client.get("/api/echo").json()["user"] == ""
