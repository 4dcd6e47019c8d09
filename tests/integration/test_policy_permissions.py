"""Viewing, changing, publishing and bringing back policies are four permissions."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from perf.models import JobPolicy, RateLimitPolicy, Revision
from tests.integration.helpers import given_cache_policy, given_limit, staff_with
from tests.integration.test_simultaneous_edits import form_on, url_of

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "admin:perf_ratelimitpolicy_changelist"
CHANGE = ["view_ratelimitpolicy", "change_ratelimitpolicy", "add_ratelimitpolicy", "delete_ratelimitpolicy"]
PUBLISH = "publish_revision"


def post_form(client: Client, url: str, **fields: Any) -> Any:
    return client.post(url, {**form_on(client.get(url)), **fields})


def act(client: Client, action: str, policy: Any, **fields: Any) -> Any:
    return client.post(reverse(LIST), {"action": action, "_selected_action": [policy.pk], **fields})


def test_who_may_only_view_changes_nothing() -> None:
    policy = given_limit(limit=100)
    client = staff_with("view_ratelimitpolicy")
    assert client.get(url_of(policy)).status_code == 200
    assert client.post(url_of(policy), {"limit": "1"}).status_code == 403
    assert RateLimitPolicy.objects.get().limit == 100


def test_without_publishing_a_policy_in_force_is_seen_and_not_changed() -> None:
    policy = given_limit(limit=100)
    client = staff_with(*CHANGE)
    page = client.get(url_of(policy))
    assert "you may not publish: duplicate it" in page.content.decode()
    assert client.post(url_of(policy), {"limit": "1"}).status_code == 403
    assert (
        client.post(reverse("admin:perf_ratelimitpolicy_delete", args=[policy.pk]), {"post": "yes"}).status_code == 403
    )
    act(client, "delete_selected", policy, post="yes")
    assert RateLimitPolicy.objects.get().limit == 100


def test_without_publishing_a_disabled_policy_is_prepared_and_stays_disabled() -> None:
    policy = given_limit(limit=100, enabled=False)
    client = staff_with(*CHANGE)
    assert post_form(client, url_of(policy), limit="60", enabled="on").status_code == 302
    policy.refresh_from_db()
    assert (policy.limit, policy.enabled) == (60, False)


def test_without_publishing_a_new_policy_is_a_disabled_one() -> None:
    client = staff_with(*CHANGE)
    fields = {"name": "mine", "route": "/api/mine", "limit": "60", "enabled": "on"}
    response = post_form(client, reverse("admin:perf_ratelimitpolicy_add"), **fields)
    assert response.status_code == 302
    assert RateLimitPolicy.objects.get().enabled is False


@pytest.mark.parametrize("action", ["enable", "disable", "observe", "enforce"])
def test_without_publishing_no_action_changes_what_is_in_force(action: str) -> None:
    policy = given_limit(limit=100, enabled=action != "enable", mode="observe" if action == "enforce" else "enforce")
    before = RateLimitPolicy.objects.values().get()
    client = staff_with(*CHANGE)
    act(client, action, policy)
    assert RateLimitPolicy.objects.values().get() == before
    act(staff_with(*CHANGE, PUBLISH), action, policy)
    assert RateLimitPolicy.objects.values().get() != before


def test_without_publishing_a_copy_is_where_to_begin() -> None:
    policy = given_limit(limit=100)
    act(staff_with(*CHANGE), "duplicate", policy)
    copy = RateLimitPolicy.objects.exclude(pk=policy.pk).get()
    assert (copy.enabled, copy.limit) == (False, 100)


def test_without_publishing_nothing_is_edited_in_the_list() -> None:
    policy = given_limit(position=5)
    fields = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": policy.pk, "form-0-position": 1, "_save": 1}
    client = staff_with(*CHANGE)
    assert "form-0-position" not in client.get(reverse(LIST)).content.decode()
    client.post(reverse(LIST), fields)
    policy.refresh_from_db()
    assert (policy.position, policy.enabled) == (5, True)
    staff_with(*CHANGE, PUBLISH).post(reverse(LIST), fields)
    policy.refresh_from_db()
    assert (policy.position, policy.enabled) == (1, False)


def test_job_policies_are_in_force_enabled_or_not() -> None:
    policy = JobPolicy.objects.create(name="cache_warm", capacity=5, enabled=False)
    permissions = ["view_jobpolicy", "change_jobpolicy", "add_jobpolicy"]
    client = staff_with(*permissions)
    assert client.post(url_of(policy), {"capacity": "9"}).status_code == 403
    assert client.get(reverse("admin:perf_jobpolicy_add")).status_code == 403
    assert post_form(staff_with(*permissions, PUBLISH), url_of(policy), capacity="9").status_code == 302
    assert JobPolicy.objects.get().capacity == 9


def test_bringing_back_is_a_permission_of_its_own() -> None:
    policy = given_cache_policy(ttl=60)
    old = Revision.objects.first()
    policy.ttl = 30
    policy.save()
    url = reverse("admin:perf_revision_bring_back", args=[old.number])
    everything_else = [
        *(f"{verb}_{model}" for verb in ("view", "add", "change", "delete") for model in ("cachepolicy", "revision")),
        PUBLISH,
    ]
    assert staff_with(*everything_else).post(url).status_code == 403
    assert staff_with("bring_back_revision", "view_revision").post(url).status_code == 302
    policy.refresh_from_db()
    assert policy.ttl == 60
