"""The button "Preview" on the forms of policies: what it shows, to whom, and that it saves nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from perf.models import CachePolicy, RateLimitPolicy, Revision
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user, settle
from tests.integration.test_policy_admin import change_url, form_of
from tests.integration.test_store_failure import frozen_redis

__all__ = ["frozen_redis"]

pytestmark = pytest.mark.urls("tests.integration.admin_and_site")


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    return client


def previewed(client: Client, policy: Any, **fields: Any) -> Any:
    """The answer to the button, with these fields edited."""
    url = change_url(policy)
    return client.post(url, {**form_of(client, url), **fields, "_preview": "Preview"})


def given_traffic(*times: int) -> None:
    """So many requests of each of several strangers."""
    for number, count in enumerate(times):
        for _ in range(count):
            client_for().get("/api/uncached", REMOTE_ADDR=f"192.0.2.{number}")
    settle()


def test_shows_who_would_be_blocked_and_saves_nothing(admin: Client) -> None:
    policy = given_limit(limit=5)
    given_traffic(8, 3)
    revisions = Revision.objects.count()
    page = previewed(admin, policy, limit="2")
    assert page.status_code == 200
    text = page.content.decode()
    assert "4 more requests of 2 clients would be blocked." in text
    assert "11 recorded requests of 2 clients" in text
    assert "GET uncached" in text
    assert "<svg" in text
    assert (RateLimitPolicy.objects.get().limit, Revision.objects.count()) == (5, revisions)


def test_shows_what_a_longer_ttl_would_spare(admin: Client) -> None:
    policy = given_cache_policy(ttl=0)
    for _ in range(5):
        client_for().get("/api/counter")
    settle()
    preview = previewed(admin, policy, ttl="600").context["preview"]
    assert (preview.cache_before.hits, preview.cache_after.hits) == (0, 0), "ttl 0 asks no cache, so nothing is known"
    policy.ttl = 1
    policy.save()
    for _ in range(5):
        client_for().get("/api/counter")
    settle()
    assert previewed(admin, policy, ttl="600").context["preview"].cache_after.hits >= 3
    assert CachePolicy.objects.get().ttl == 1


def test_a_form_with_errors_shows_them_and_saves_nothing(admin: Client) -> None:
    policy = given_limit(limit=5)
    page = previewed(admin, policy, limit="-1")
    assert page.context["adminform"].form.errors["limit"]
    assert RateLimitPolicy.objects.get().limit == 5


def test_a_new_policy_can_be_previewed_before_it_is_there(admin: Client) -> None:
    given_limit(limit=1000)
    given_traffic(6)
    url = reverse("admin:perf_ratelimitpolicy_add")
    fields = {"name": "new", "route": "/api/*", "limit": "2", "position": "0", "_preview": "Preview"}
    page = admin.post(url, {**form_of(admin, url), **fields})
    assert "4 more requests would be blocked, all of one client." in page.content.decode()
    assert not RateLimitPolicy.objects.filter(name="new").exists()


def test_without_traffic_it_says_so(admin: Client) -> None:
    assert "There is no recorded traffic to judge by." in previewed(admin, given_limit(), limit="2").content.decode()


def test_while_redis_is_away_it_says_so(admin: Client, frozen_redis: None) -> None:
    policy = given_limit()
    url = change_url(policy)
    fields = form_of(admin, url)
    page = admin.post(url, {**fields, "_preview": "Preview"})
    assert page.status_code == 503
    assert "Redis does not answer" in page.content.decode()


def test_is_for_those_who_may_change_the_policy() -> None:
    policy = given_limit(limit=5)
    client = Client()
    user = given_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_ratelimitpolicy"))
    client.force_login(user)
    answer = client.post(change_url(policy), {"limit": "2", "_preview": "Preview"})
    assert answer.status_code == 403
    assert RateLimitPolicy.objects.get().limit == 5


@pytest.mark.parametrize("model", ["ratelimitpolicy", "cachepolicy"])
def test_the_button_is_on_the_forms(admin: Client, model: str) -> None:
    assert 'name="_preview"' in admin.get(reverse(f"admin:perf_{model}_add")).content.decode()


def test_hostile_paths_are_shown_harmless(admin: Client) -> None:
    policy = given_limit(limit=1)
    for _ in range(3):
        client_for().get("/api/<script>alert(1)</script>")
    settle()
    assert "<script>alert" not in previewed(admin, policy, limit="100").content.decode()
