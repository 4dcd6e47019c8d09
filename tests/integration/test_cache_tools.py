"""What developers, operators and admins have around the cache: errors in time, a command, warming, an inside view."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.decorators import login_required, permission_required
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.views import View
from rest_framework.decorators import api_view
from rest_framework.views import APIView

from perf.caching import cache_api_response
from perf.caching.paths import routes_of_path, view_paths
from perf.jobs import submit
from perf.jobs.run import run_job
from perf.models import Job
from perf.throttling import rate_limit
from tests.integration.helpers import client_for, given_cache_policy, given_user
from tests.integration.test_response_cache import calls

pytestmark = pytest.mark.urls("tests.integration.site")


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


class TestOrderOfDecorators:
    @pytest.mark.parametrize(
        ("below", "advice"),
        [
            (lambda: api_view(["GET"])(page), "below @api_view"),
            (lambda: APIView.as_view(), "on the method"),
            (lambda: View.as_view(), "on the method"),
            (lambda: login_required(page), "below @login_required"),
            (lambda: permission_required("perf.view_job")(page), "below @login_required"),
            (lambda: rate_limit("5/m")(page), "below @rate_limit"),
            (lambda: View, "a method such as get"),
        ],
    )
    def test_above_what_has_to_run_on_hits_too_it_says_where_to_go(self, below: Callable[[], Any], advice: str) -> None:
        with pytest.raises(TypeError, match=advice):
            cache_api_response()(below())

    def test_below_them_it_is_fine(self) -> None:
        cached = cache_api_response()(page)
        for decorator in (api_view(["GET"]), login_required, rate_limit("5/m")):
            decorator(cached)

    def test_without_parentheses_it_says_so(self) -> None:
        with pytest.raises(TypeError, match="parentheses"):
            cache_api_response(page)  # type: ignore[arg-type]


class TestCommand:
    def run(self, *arguments: str) -> str:
        output = StringIO()
        call_command("perf_cache", "invalidate", *arguments, stdout=output)
        return output.getvalue()

    @pytest.mark.parametrize(
        "chosen",
        [
            ["--tag", "counter"],
            ["--policy", "cache"],
            ["--route", "counter"],
            ["--path", "/api/counter"],
            ["--everything"],
        ],
    )
    def test_drops_what_is_named(self, chosen: list[str]) -> None:
        given_cache_policy("cache")
        client = client_for()
        before = calls(client.get("/api/counter"))
        assert self.run(*chosen) == "Dropped.\n"
        assert calls(client.get("/api/counter")) > before

    def test_leaves_the_rest(self) -> None:
        given_cache_policy("cache")
        client = client_for()
        before = calls(client.get("/api/counter"))
        self.run("--tag", "another")
        assert calls(client.get("/api/counter")) == before

    @pytest.mark.parametrize(
        ("chosen", "advice"),
        [([], "Say what"), (["--policy", "typo"], "no cache policy typo"), (["--path", "/nowhere"], "no cached view")],
    )
    def test_explains_mistakes(self, chosen: list[str], advice: str) -> None:
        with pytest.raises(CommandError, match=advice):
            self.run(*chosen)


class TestInsideView:
    def test_key_and_reason_are_for_admins(self, settings: Any) -> None:
        settings.PERF_ADMIN_ROLES = ["ops"]
        given_cache_policy()
        admin, viewer = client_for(given_user("ann", "ops")), client_for(given_user("ben", "viewer"))
        status = admin.get("/api/unstorable?how=cookie").headers["Cache-Status"]
        assert 'detail="sets cookies"' in status
        assert 'key="' in status
        status = viewer.get("/api/unstorable?how=cookie").headers["Cache-Status"]
        assert "detail" not in status
        assert "key" not in status


class TestWarming:
    @pytest.fixture(autouse=True)
    def project(self) -> Any:
        view_paths.cache_clear()
        for role in ("ops", "viewer"):
            Group.objects.get_or_create(name=role)
        yield
        view_paths.cache_clear()

    def warm(self, **params: Any) -> dict[str, Any]:
        job = submit("cache_warm", params)
        run_job(str(job.pk))
        job = Job.objects.get(pk=job.pk)
        assert job.status == "completed", job.error
        result: dict[str, Any] = job.result
        return result

    @pytest.mark.parametrize("threads", [1, 4])
    def test_counts_what_it_filled_found_fresh_and_could_not_fill(self, settings: Any, threads: int) -> None:
        settings.PERF_WARM_THREADS = threads
        given_cache_policy("counter", route="/api/counter", shared_by="role")
        given_cache_policy("failing", route="/api/unstorable", shared_by="role", max_body_bytes=1)
        first = self.warm(roles=["ops", "viewer"])
        assert first["by_policy"] == {"counter": {"filled": 2}, "failing": {"not_filled": 2}}
        assert self.warm(policies=["counter"], roles=["ops", "viewer"])["fresh"] == 2

    def test_what_it_filled_is_what_users_of_the_role_get(self) -> None:
        given_cache_policy("counter", route="/api/counter", shared_by="role")
        self.warm(roles=["viewer"])
        response = client_for(given_user("ann", "viewer")).get("/api/counter")
        assert "hit" in response.headers["Cache-Status"]


@pytest.mark.urls("tests.integration.site")
def test_a_view_cached_below_api_view_is_found_by_its_path() -> None:
    view_paths.cache_clear()
    try:
        assert routes_of_path("/api/function") == ["function"]
    finally:
        view_paths.cache_clear()
