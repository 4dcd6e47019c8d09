"""The page "Try it": it says what a request would meet, is right about it, and counts nothing."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_redis import get_redis_connection

from perf.admin.trial import Trial
from perf.models import AccessRule, RateLimitPolicy, Revision
from perf.policies.explain import Reason
from perf.rate_limiting import limits_in_code
from tests.integration.helpers import (
    client_for,
    given_cache_policy,
    given_limit,
    given_user,
    settle,
    staff_with,
    statuses,
    undisturbed,
)
from tests.integration.test_store_failure import frozen_redis

__all__ = ["frozen_redis"]

pytestmark = pytest.mark.urls("tests.integration.admin_and_site")


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    return client


def page_of(client: Client, path: str = "/api/uncached", **fields: Any) -> Any:
    return client.get(reverse("admin:perf_try_it"), {"path": path, **fields})


def trial_of(client: Client, path: str = "/api/uncached", **fields: Any) -> Trial:
    page = page_of(client, path, **fields)
    assert page.status_code == 200
    assert not page.context["form"].errors
    trial: Trial = page.context["trial"]
    return trial


def text_of(page: Any) -> str:
    """What a reader sees, without tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page.content.decode())))


def deciding(trial: Trial) -> set[str]:
    return {row.policy.name for row in trial.explanation.limits if row.decides}


def redis_contents() -> dict[bytes, tuple[bytes, bool]]:
    """Every key with its value as Redis serialises it, and whether it expires."""
    client = get_redis_connection("default")
    return {key: (client.dump(key), client.pttl(key) >= 0) for key in client.keys("*")}


def given_policies_of_many_kinds() -> None:
    given_limit("posts", position=1, route="/api/*", methods=["POST"])
    given_limit("viewers", position=2, route="/api/*", roles=["viewer"])
    given_limit("signed-in", position=3, count_by="user", route="/api/c*")
    given_limit("one-view", position=4, route="uncached")
    given_limit("glob", position=5, route="/api/*/7")
    given_limit("off", position=6, enabled=False)
    given_limit("rest", position=7)
    given_limit("by-address", scope="address", count_by="ip", position=1, limit=50, algorithm="fixed_window")
    given_limit("burst", scope="burst", position=1, limit=20, algorithm="token_bucket", burst=10)
    given_limit("watched", scope="watched", position=1, mode="observe", limit=20)


def test_nothing_is_counted(admin: Client) -> None:
    given_policies_of_many_kinds()
    given_cache_policy()
    ann = given_user("ann", "viewer")
    for client in (client_for(), client_for(ann)):
        client.get("/api/counter")
        client.get("/api/uncached")
    settle()
    revisions = Revision.objects.count()
    with undisturbed():
        before = redis_contents()
        assert any(b":limit:" in key for key in before)
        assert any(b":entry:" in key for key in before)
        for user in ("", "ann"):
            for path in ("/api/counter", "/api/uncached", "/api/limited", "/api/plain", "/nowhere"):
                for method in ("GET", "POST"):
                    assert page_of(admin, path, method=method, user=user).status_code == 200
        assert redis_contents() == before
        client_for().get("/api/uncached")  # the clean twin: a request is seen by this comparison
        assert redis_contents() != before
    assert Revision.objects.count() == revisions


REQUESTS = [
    ("GET", "/api/uncached", None),
    ("GET", "/api/uncached", "ann"),
    ("GET", "/api/uncached", "ben"),
    ("GET", "/api/counter", None),
    ("GET", "/api/counter", "ann"),
    ("GET", "/api/counter", "ben"),
    ("POST", "/api/counter", None),
    ("POST", "/api/counter", "ann"),
    ("HEAD", "/api/counter", None),
    ("GET", "/api/counter/7", None),
    ("GET", "/api/counter/7", "ben"),
    ("GET", "/api/counter/8", None),
    ("GET", "/api/counter?utm_source=x&page=2", None),
    ("GET", "/api/c%6Funter", None),
    ("GET", "/api/function", None),
    ("GET", "/api/limited", None),
    ("GET", "/api/plain", "ann"),
    ("GET", "/api/nowhere", None),
]


@pytest.mark.parametrize(("method", "path", "name"), REQUESTS)
def test_a_real_request_is_decided_by_the_policies_that_were_named(
    admin: Client, method: str, path: str, name: str | None
) -> None:
    given_policies_of_many_kinds()
    given_cache_policy("seldom", position=1, route="/api/counter/*", ttl=30)
    given_cache_policy("others", position=2, ttl=60)
    users = {"ann": given_user("ann", "viewer"), "ben": given_user("ben")}
    trial = trial_of(admin, path, method=method, user=name or "")
    response = getattr(client_for(users[name] if name else None), method.lower())(path)
    sent = response.headers
    predicted = {header.name: header.value for header in trial.headers}
    limits = names_in(sent.get("RateLimit-Policy", ""))
    if trial.viewed is not None and trial.viewed.asks_policies:
        assert limits == deciding(trial) - {"watched"}
        assert limits, "the request was decided by something"
    else:
        assert limits == {rule.name for rule in trial.limits}
    assert predicted.get("RateLimit-Policy") == sent.get("RateLimit-Policy")
    assert standings_in(predicted.get("RateLimit", "")) == standings_in(sent.get("RateLimit", ""))
    statuses_told = [header.value for header in trial.headers if header.name == "Cache-Status"]
    assert sent["Cache-Status"] in statuses_told
    if trial.terms is not None:
        assert predicted["Cache-Control"] == sent["Cache-Control"]
    assert (response.status_code == 404) == (trial.viewed is None)


def names_in(field: str) -> set[str]:
    return set(re.findall(r'"([^"]*)"', field))


def standings_in(field: str) -> list[tuple[str, int]]:
    """Names and what is left, without the seconds, which pass."""
    return [(name, int(left)) for name, left in re.findall(r'"([^"]*)";r=(\d+)', field)]


DAY = 24 * 3600


@pytest.mark.parametrize("algorithm", RateLimitPolicy.Algorithm.values)
@pytest.mark.parametrize(("cost", "penalty"), [(1, False), (2, False), (2, True), (0, False)])
def test_the_fields_of_the_next_request_are_foretold(admin: Client, algorithm: str, cost: int, penalty: bool) -> None:
    # A period that lasts: the seconds may differ by those that pass in the test, and by no others.
    given_limit("tried", limit=3, cost=cost, penalty=penalty, period=DAY, algorithm=algorithm)
    given_limit("beside", scope="beside", limit=50, period=DAY, algorithm=algorithm)
    client = client_for()
    codes = []
    for _ in range(5):
        page = page_of(admin)
        told = next(header.value for header in page.context["trial"].headers if header.name == "RateLimit")
        response = client.get("/api/uncached")
        sent = response.headers["RateLimit"]
        assert standings_in(told) == standings_in(sent)
        for before, after in zip(seconds_in(told), seconds_in(sent), strict=True):
            assert (before - after) % DAY in range(61)
        assert (page.context["verdict"] == "Refused by tried: 429.") == (response.status_code == 429)
        codes.append(response.status_code)
    assert codes == [200] * (3 // cost if cost else 5) + [429] * (5 - 3 // cost if cost else 0)


def seconds_in(field: str) -> list[int]:
    return [int(seconds) for seconds in re.findall(r";t=(\d+)", field)]


def test_a_refusal_on_a_cached_view_is_no_hit(admin: Client) -> None:
    given_limit(limit=1)
    given_cache_policy()
    client = client_for()
    client.get("/api/counter")
    told = {header.name: header.value for header in trial_of(admin, "/api/counter").headers}
    refused = client.get("/api/counter")
    assert refused.status_code == 429
    assert told["Cache-Status"] == refused.headers["Cache-Status"]
    assert ("Cache-Control" in told) == ("Cache-Control" in refused.headers)


def test_says_what_is_used_and_left_of_each_limit(admin: Client) -> None:
    given_limit("per-minute", limit=5)
    statuses(client_for(), "/api/uncached", 2)
    (standing,) = trial_of(admin).standings or ()
    assert (standing.rule.name, standing.used, standing.remaining) == ("per-minute", 2, 3)
    assert trial_of(admin, address="192.0.2.1").standings[0].used == 0  # type: ignore[index]
    assert "per-minute ip:127.0.0.1 2 3 5 in 60 s 1" in text_of(page_of(admin))


def test_every_policy_has_its_reason(admin: Client) -> None:
    given_policies_of_many_kinds()
    reasons = {row.policy.name: row.reason for row in trial_of(admin).explanation.limits}
    assert reasons == {
        "posts": Reason.METHOD,
        "viewers": Reason.ROLE,
        "signed-in": Reason.ROUTE,
        "one-view": Reason.DECIDES,
        "glob": Reason.ROUTE,
        "off": Reason.DISABLED,
        "rest": Reason.EARLIER,
        "by-address": Reason.DECIDES,
        "burst": Reason.DECIDES,
        "watched": Reason.DECIDES,
    }
    text = text_of(page_of(admin, "/api/counter"))
    for words in (
        "other methods: POST",
        "other roles: viewer",
        "counts users, and nobody is signed in",
        "another route",
        "disabled",
        "decides: only observes",
    ):
        assert words in text
    assert "one-view comes first in the scope default" in text_of(page_of(admin))


def test_roles_stand_for_anyone_who_has_them(admin: Client) -> None:
    given_policies_of_many_kinds()
    given_user("ann", "viewer")
    assert "viewers" in deciding(trial_of(admin, roles=["viewer"]))
    page = page_of(admin, roles=["viewer"], user="ann")
    assert "choose either a user or roles" in text_of(page)
    assert "trial" not in page.context


def test_a_user_is_named_with_the_roles_it_has(admin: Client) -> None:
    given_limit()
    ann = given_user("ann", "viewer")
    text = text_of(page_of(admin, user="ann", address="2001:db8::7"))
    assert "disabled" not in text
    ann.is_active = False
    ann.save()
    assert "the account is disabled" in text_of(page_of(admin, user="ann"))
    assert "user:ann" in text
    assert "Roles viewer" in text
    assert "2001:db8::7 (ip:2001:db8::/64)" in text


def test_access_rules_say_whom_they_exempt_and_block(admin: Client) -> None:
    ann = given_user("ann")
    given_limit(limit=1)
    AccessRule.objects.create(name="friends", effect="exempt", network="192.0.2.0/24", reason="-")
    AccessRule.objects.create(name="banned", effect="blocked", user=ann, reason="too much")
    AccessRule.objects.create(
        name="once", effect="blocked", network="192.0.2.0/24", reason="-", expires_at=timezone.now() - timedelta(1)
    )
    page = page_of(admin, address="192.0.2.9")
    assert page.context["verdict"] == "Allowed: an access rule exempts the client from all limits."
    reasons = {row.policy.name: row.reason for row in page.context["trial"].explanation.access}
    assert reasons == {"banned": Reason.SUBJECT, "once": Reason.EXPIRED, "friends": Reason.DECIDES}
    assert "another user" in text_of(page)
    assert "RateLimit" not in {header.name for header in page.context["trial"].headers}
    blocked = page_of(admin, user="ann", address="192.0.2.9")
    assert "banned: 403" in blocked.context["verdict"]
    assert "banned comes first" in text_of(blocked)
    assert client_for(ann).get("/api/uncached", REMOTE_ADDR="192.0.2.9").status_code == 403
    assert client_for().get("/api/uncached", REMOTE_ADDR="192.0.2.9").status_code == 200
    # No one asks for access rules there, so nobody is blocked.
    assert page_of(admin, "/api/plain", user="ann").context["verdict"] == "Allowed: no limit is asked."


def test_says_what_a_view_does_not_ask_for(admin: Client) -> None:
    given_limit()
    given_cache_policy("everything")
    assert "No view is on this path: 404." in text_of(page_of(admin, "/nowhere"))
    assert "no PolicyThrottle" in text_of(page_of(admin, "/api/plain"))
    assert "not cached: cache_api_response is not on the view's GET" in text_of(page_of(admin))
    assert "not cached" in text_of(page_of(admin, "/api/counter", method="POST"))
    assert "has no method DELETE: 405" in text_of(page_of(admin, "/api/counter", method="DELETE"))
    assert "TTL 60 s by everything" in text_of(page_of(admin, "/api/counter"))
    assert "TTL 60 s by everything" in text_of(page_of(admin, "/api/function"))
    assert "a policy that the code names is not shown here" in text_of(page_of(admin, "/api/limited-by-policy"))


def test_limits_in_code_are_shown_with_what_is_used_of_them(admin: Client) -> None:
    assert any(rule.name == "limited" for rule in limits_in_code.values())
    client_for().get("/api/limited")
    trial = trial_of(admin, "/api/limited")
    assert [(each.rule.name, each.used, each.remaining) for each in trial.standings or ()] == [("limited", 1, 1)]


def test_parameters_that_a_cache_policy_ignores_are_left_out(admin: Client) -> None:
    given_cache_policy(ignore_params=["utm_*"], ttl_jitter=10, ttl=100)
    page = page_of(admin, "/api/counter?page=2&utm_source=x")
    assert page.context["trial"].parameters == (("page", "2"),)
    assert "public, max-age=90…110" in text_of(page)
    assert "TTL 100 s by cache" in text_of(page_of(admin, "/api/counter?name=%ff&raw=\xff"))


HOSTILE = "/api/<script>alert(1)</script>\"'&amp;%3Cimg%20src=x%3E%0D%0A%00?q=<b>&r=%ff"


def test_hostile_text_is_escaped(admin: Client) -> None:
    given_cache_policy()
    for fields in ({"path": HOSTILE}, {"path": "/api/counter?x=<script>alert(1)</script>"}, {"user": "<script>"}):
        content = page_of(admin, **fields).content.decode()
        assert "<script>alert(1)" not in content
        assert "<img src=x" not in content
        assert "<b>" not in content
        assert "&lt;" in content


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("path", "api/counter", "write one that starts with /"),
        ("path", "/" + "a" * 2000, "at most 2000 characters"),
        ("user", "nobody", "There is no user nobody."),
        ("address", "elsewhere", "is no address"),
        ("method", "BREW", "not one of the available choices"),
        ("roles", "no-such-role", "not one of the available choices"),
    ],
)
def test_mistakes_are_explained(admin: Client, field: str, value: str, advice: str) -> None:
    page = page_of(admin, **{field: value})
    assert any(advice in error for error in page.context["form"].errors[field])
    assert "trial" not in page.context


def test_the_address_is_ones_own_as_trusted_proxies_tell_it(admin: Client, settings: Any) -> None:
    settings.PERF_TRUSTED_PROXIES = ["127.0.0.0/8"]
    url = reverse("admin:perf_try_it")
    headers = {"X-Forwarded-For": "198.51.100.7"}
    assert 'value="198.51.100.7"' in admin.get(url, headers=headers).content.decode()
    page = admin.get(url, {"path": "/api/uncached"}, headers=headers)
    assert str(page.context["trial"].caller.address) == "198.51.100.7"


def test_without_redis_the_matching_is_explained_all_the_same(admin: Client, frozen_redis: None) -> None:
    given_limit("open", route="/api/uncached")
    given_limit("closed", route="/api/counter", on_store_error="deny")
    page = page_of(admin)
    assert page.status_code == 200
    assert "Redis is away, so counters cannot be read" in text_of(page)
    assert deciding(page.context["trial"]) == {"open"}
    assert page.context["verdict"] == "Allowed while Redis is away."
    assert page_of(admin, "/api/counter").context["verdict"] == "Refused while Redis is away by closed: 503."


def test_only_who_may_see_rate_limit_policies_may_try() -> None:
    assert page_of(Client()).status_code == 302
    assert page_of(staff_with("view_cachepolicy")).status_code == 403


def test_kinds_of_policies_that_one_may_not_see_are_not_shown() -> None:
    given_limit("visible")
    given_cache_policy("hidden-cache")
    AccessRule.objects.create(name="hidden-rule", effect="exempt", network="192.0.2.0/24", reason="-")
    text = text_of(page_of(staff_with("view_ratelimitpolicy")))
    assert "visible" in text
    assert "hidden" not in text


def test_it_reads_only(admin: Client) -> None:
    assert admin.post(reverse("admin:perf_try_it"), {"path": "/"}).status_code == 405


@pytest.mark.parametrize(
    ("page", "links"),
    [
        ("ratelimitpolicy", True),
        ("cachepolicy", True),
        ("accessrule", True),
        ("jobpolicy", False),
        ("revision", False),
    ],
)
def test_the_lists_of_policies_lead_to_it(admin: Client, page: str, links: bool) -> None:
    content = admin.get(reverse(f"admin:perf_{page}_changelist")).content.decode()
    assert (f'href="{reverse("admin:perf_try_it")}"' in content) is links


def test_the_index_of_the_app_leads_to_it(admin: Client) -> None:
    assert reverse("admin:perf_try_it") in admin.get(reverse("admin:app_list", args=["perf"])).content.decode()
    others = staff_with("view_cachepolicy")
    assert reverse("admin:perf_try_it") not in others.get(reverse("admin:app_list", args=["perf"])).content.decode()


def test_the_page_runs_no_script_and_its_tables_and_fields_are_named(admin: Client) -> None:
    given_policies_of_many_kinds()
    content = page_of(admin).content.decode()
    main = content[content.index('id="content-main"') :]
    assert "style=" not in main
    assert "onclick" not in main
    fields = re.findall(r'<(?:input type="text"|select)[^>]* id="(\w+)"', main)
    assert len(fields) == 4
    assert all(f'<label for="{name}"' in main for name in fields)
    assert "<legend>" in main  # of the roles
    assert main.count("<caption>") == main.count("<table")
    assert "<th>" not in main
