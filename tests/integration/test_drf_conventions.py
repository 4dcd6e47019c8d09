"""`PolicyThrottle` is a throttle as DRF knows it: beside others, overridden, scoped, in the browsable API."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle, ScopedRateThrottle, UserRateThrottle
from rest_framework.views import APIView, exception_handler

from perf.admin.view_patterns import is_on_any_view
from perf.caching.paths import view_paths
from perf.models import AccessRule
from perf.throttling import PolicyThrottle, rate_limit
from tests.integration.helpers import client_for, given_cache_policy, given_limit, redis_commands, statuses, undisturbed

pytestmark = pytest.mark.urls("tests.integration.test_drf_conventions")


class Plain(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [PolicyThrottle]

    def get(self, request: Request) -> Response:
        return Response({"ok": True})

    def post(self, request: Request) -> Response:
        return Response({"ok": True})


class Twice(UserRateThrottle):
    rate = "2/min"


class Patient(BaseThrottle):
    """Refuses everything, for a long time."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        return False

    def wait(self) -> float:
        return 5000.5


class WithAnother(Plain):
    throttle_classes = [PolicyThrottle, Twice]


class WithPatient(Plain):
    throttle_classes = [PolicyThrottle, Patient]


class Uploads(Plain):
    throttle_scope = "uploads"


class ScopedInBoth(Plain):
    throttle_classes = [PolicyThrottle, ScopedRateThrottle]
    throttle_scope = "uploads"


class Overridden(Plain):
    """Projects override `throttled` to say it in their own way."""

    def throttled(self, request: Request, wait: float | None) -> None:
        raise TeapotError(wait)


class TeapotError(Exception):
    pass


class Browsable(Plain):
    renderer_classes = [BrowsableAPIRenderer, JSONRenderer]


class DefaultHandler(Plain):
    """A project that keeps DRF's own exception handler."""

    def get_exception_handler(self) -> Any:
        return exception_handler


class LimitedMethod(Plain):
    @rate_limit("1/m")
    def get(self, request: Request) -> Response:
        return Response({"ok": True})


urlpatterns = [
    path("api/plain", Plain.as_view()),
    path("api/with-another", WithAnother.as_view()),
    path("api/with-patient", WithPatient.as_view()),
    path("api/uploads", Uploads.as_view()),
    path("api/scoped-in-both", ScopedInBoth.as_view()),
    path("api/overridden", Overridden.as_view()),
    path("api/browsable", Browsable.as_view()),
    path("api/default-handler", DefaultHandler.as_view()),
    path("api/limited-method", LimitedMethod.as_view()),
    path("api/decorated", rate_limit("3/m")(Plain.as_view())),
]


def test_other_throttles_of_the_view_are_asked_as_well() -> None:
    given_limit(limit=100)
    assert statuses(client_for(), "/api/with-another", 3) == [200, 200, 429]


def test_a_refused_request_counts_for_the_other_throttles_too() -> None:
    policy = given_limit(limit=1)
    client = client_for()
    assert statuses(client, "/api/with-another", 2) == [200, 429]
    policy.limit = 100
    policy.save()
    assert client.get("/api/with-another").status_code == 429, "DRF asks every throttle, also after one has refused"


def test_the_longest_wait_of_all_throttles_is_named() -> None:
    given_limit("short", limit=1, period=10)
    client = client_for()
    client.get("/api/with-patient")
    refused = client.get("/api/with-patient")
    assert refused.headers["Retry-After"] == "5001"
    assert refused.json()["violated-policies"] == ["short"]


def test_views_may_say_it_in_their_own_way() -> None:
    given_limit(limit=1, period=60)
    client = client_for()
    client.raise_request_exception = True  # type: ignore[attr-defined]
    client.get("/api/overridden")
    with pytest.raises(TeapotError) as told:
        client.get("/api/overridden")
    assert 1 <= told.value.args[0] <= 60


class TestThrottleScope:
    def test_a_policy_names_the_scope_of_views_as_its_route(self) -> None:
        given_limit("uploads", route="scope:uploads", limit=1)
        assert statuses(client_for(), "/api/uploads", 2) == [200, 429]
        assert statuses(client_for(), "/api/plain", 3) == [200, 200, 200]

    def test_the_admin_knows_that_such_a_route_matches_a_view(self) -> None:
        view_paths.cache_clear()
        assert is_on_any_view("scope:uploads")
        assert not is_on_any_view("scope:nobodys")
        view_paths.cache_clear()

    def test_within_one_scope_of_policies_position_decides_as_ever(self) -> None:
        given_limit("everything", route="*", position=20, limit=100)
        given_limit("uploads", route="scope:uploads", position=10, limit=1)
        assert statuses(client_for(), "/api/uploads", 2) == [200, 429]

    def test_drfs_own_scoped_throttle_works_beside_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ScopedRateThrottle, "THROTTLE_RATES", {"uploads": "2/min"})
        given_limit(limit=100)
        assert statuses(client_for(), "/api/scoped-in-both", 3) == [200, 200, 429]


class TestDrfsOwnExceptionHandler:
    def test_a_refusal_is_429_with_retry_after_and_the_rate_limit_fields(self) -> None:
        given_limit("tight", limit=1, period=60)
        client = client_for()
        client.get("/api/default-handler")
        refused = client.get("/api/default-handler")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert refused.headers["RateLimit"].startswith('"tight";r=0')

    def test_an_access_rule_is_403(self) -> None:
        AccessRule.objects.create(name="no", effect="blocked", network="127.0.0.0/8", reason="test")
        assert client_for().get("/api/default-handler").status_code == 403


class TestBrowsableApi:
    def test_a_page_counts_as_one_request_although_it_renders_forms(self) -> None:
        given_limit("pages", limit=3)
        client = client_for()
        page = client.get("/api/browsable", headers={"Accept": "text/html"})
        assert page.headers["Content-Type"].startswith("text/html")
        assert page.headers["RateLimit"].startswith('"pages";r=2')
        assert client.get("/api/browsable").headers["RateLimit"].startswith('"pages";r=1')

    def test_a_refusal_is_a_problem_there_as_well(self) -> None:
        given_limit(limit=1)
        client = client_for()
        client.get("/api/browsable", headers={"Accept": "text/html"})
        assert client.get("/api/browsable", headers={"Accept": "text/html"}).status_code == 429


class TestBesideLimitsInCode:
    def test_a_limited_method_stands_under_policies_and_its_own_rate(self) -> None:
        given_limit("policy", limit=10)
        client = client_for()
        first = client.get("/api/limited-method")
        assert '"policy";q=10' in first.headers["RateLimit-Policy"]
        assert '"LimitedMethod.get";q=1' in first.headers["RateLimit-Policy"]
        assert client.get("/api/limited-method").status_code == 429

    def test_a_decorator_around_the_view_does_not_hide_it_from_policies(self) -> None:
        given_limit(limit=2)
        assert statuses(client_for(), "/api/decorated", 3) == [200, 200, 429]


def test_the_gate_is_asked_once_however_many_look() -> None:
    given_limit(limit=1000)
    given_cache_policy()
    client = client_for()
    client.get("/api/plain")
    with undisturbed(), redis_commands() as commands:
        client.get("/api/plain")
    assert commands["evalsha"] == 1
