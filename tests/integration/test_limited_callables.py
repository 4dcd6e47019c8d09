"""``@rate_limit`` on plain views, on methods, and on functions that know nothing of requests."""

from __future__ import annotations

import time

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View

from perf.models import AccessRule
from perf.throttling import RateLimited, rate_limit
from tests.integration.helpers import given_limit

pytestmark = pytest.mark.urls("tests.integration.test_limited_callables")


@rate_limit("2/m")
def send_report(address: str) -> str:
    return f"sent to {address}"


@rate_limit("2/m", key=lambda address: address)
def send_mail(address: str) -> str:
    return f"sent to {address}"


@rate_limit("1/m", key=lambda address: address)
async def send_later(address: str) -> str:
    return f"sent to {address}"


@rate_limit(policy="mails", key=lambda address: address)
def send_by_policy(address: str) -> str:
    return f"sent to {address}"


@rate_limit("1/s")
def once_a_second() -> None:
    pass


@rate_limit("5/m", count_by="user")
def needs_a_request() -> None:
    pass


@rate_limit("2/m", count_by="ip")
@rate_limit("1/m", key=lambda request: request.GET.get("account", ""))
def log_in(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


def calls_a_limited_function(request: HttpRequest) -> HttpResponse:
    return HttpResponse(send_report("ops"))


@method_decorator(rate_limit("1/m"), name="get")
class Page(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("ok")


@rate_limit("1/m")
async def async_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [
    path("log-in", log_in),
    path("api/report", calls_a_limited_function),
    path("page", Page.as_view()),
    path("async-page", async_page),
]


class TestFunctions:
    def test_a_call_over_the_limit_raises_with_the_time_to_wait(self) -> None:
        assert [send_report(name) for name in ("ann", "ben")] == ["sent to ann", "sent to ben"]
        with pytest.raises(RateLimited, match="send_report") as refused:
            send_report("cid")
        assert refused.value.wait is not None
        assert 0 < refused.value.wait <= 60

    def test_a_key_counts_clients_apart(self) -> None:
        for _ in range(2):
            send_mail("ann")
        with pytest.raises(RateLimited):
            send_mail("ann")
        assert send_mail("ben") == "sent to ben"

    def test_coroutines_are_limited_as_well(self) -> None:
        assert async_to_sync(send_later)("ann") == "sent to ann"
        with pytest.raises(RateLimited):
            async_to_sync(send_later)("ann")

    def test_a_policy_counts_by_the_key_and_obeys_edits(self) -> None:
        policy = given_limit("mails", limit=1)
        send_by_policy("ann")
        with pytest.raises(RateLimited):
            send_by_policy("ann")
        send_by_policy("ben")
        policy.limit = 5
        policy.save()
        send_by_policy("ann")
        policy.delete()
        assert [send_by_policy("ann") for _ in range(9)][-1] == "sent to ann", "without a policy nothing is limited"

    def test_a_call_after_the_wait_succeeds(self) -> None:
        once_a_second()
        with pytest.raises(RateLimited) as refused:
            once_a_second()
        time.sleep(refused.value.wait or 0)
        once_a_second()

    def test_what_only_a_request_tells_cannot_be_counted_without_one(self) -> None:
        with pytest.raises(TypeError, match="give @rate_limit a key"):
            needs_a_request()

    def test_rules_about_networks_are_not_about_calls_without_an_address(self) -> None:
        AccessRule.objects.create(name="all-of-ipv6", effect="blocked", network="::/0", reason="test")
        assert send_report("ann") == "sent to ann"


class TestViews:
    def test_each_of_several_limits_counts(self) -> None:
        client = Client()
        assert client.get("/log-in?account=ann").status_code == 200
        assert client.get("/log-in?account=ann").status_code == 429, "the account"
        assert client.get("/log-in?account=ben").status_code == 429, "the address"
        assert client.get("/log-in?account=ann", REMOTE_ADDR="192.0.2.1").status_code == 429, "the account, elsewhere"
        assert client.get("/log-in?account=cid", REMOTE_ADDR="192.0.2.1").status_code == 200

    def test_methods_of_views(self) -> None:
        assert [Client().get("/page").status_code for _ in range(2)] == [200, 429]

    def test_async_views(self) -> None:
        client = AsyncClient()
        assert [async_to_sync(client.get)("/async-page").status_code for _ in range(2)] == [200, 429]

    def test_a_limited_function_that_a_plain_view_calls_answers_429(self) -> None:
        client = Client()
        codes = [client.get("/api/report").status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        refused = client.get("/api/report")
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60


class TestWhatCannotBe:
    @pytest.mark.parametrize("cost", [-1, -(10**9), 6, 10**12])
    def test_costs_that_mint_budget_or_can_never_be_paid(self, cost: int) -> None:
        with pytest.raises(ValueError, match="cost"):
            rate_limit("5/m", cost=cost)(send_report)

    @pytest.mark.parametrize("rate", ["0/m", "5/0s", "5/40d", "99999999999/m", "-1/m", "m", "5"])
    def test_rates(self, rate: str) -> None:
        with pytest.raises(ValueError, match="is no rate"):
            rate_limit(rate)(send_report)

    def test_contradictions(self) -> None:
        for options in (
            {},
            {"rate": "5/m", "policy": "x"},
            {"policy": "x", "cost": 2},
            {"policy": "x", "count_by": "ip"},
            {"rate": "5/m", "count_by": "ip", "key": str},
        ):
            with pytest.raises(ValueError, match=r"rate_limit|policy"):
                rate_limit(**options)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="count_by"):
            rate_limit("5/m", count_by="shoe size")(send_report)


def test_two_class_based_views_of_one_module_have_counters_of_their_own() -> None:
    class First(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("first")

    class Second(First):
        pass

    first, second = (rate_limit("2/m", count_by="ip")(view.as_view()) for view in (First, Second))
    assert [first(RequestFactory().get("/")).status_code for _ in range(3)] == [200, 200, 429]
    assert second(RequestFactory().get("/")).status_code == 200
