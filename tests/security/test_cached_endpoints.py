"""The product's own cached endpoints under the policies of the first release: whoever lost a right gets no hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from perf.caching import invalidate
from perf.models import CachePolicy
from securenet.accounts.models import User
from securenet.network.models import Asset
from securenet.notifications.models import Notification
from securenet.policies.first_release import CACHE_POLICIES
from tests.integration.people import client_for, client_of, given_user

SHARED = [
    "/api/dashboard/cached",
    "/api/security/findings",
    "/api/security/summary",
    "/api/network/assets",
    "/api/logs",
]
CACHED = [*SHARED, "/api/notifications"]
SUFFIXES = [
    "/x.css",
    "/x.js",
    ";x.css",
    "%2fx.css",
    "/..%2fx.css",
    "%2e%2e%2fx.css",
    "%00.css",
    "%0d%0aX-Evil:1",
    "/",
    "//",
]


@pytest.fixture(autouse=True)
def cache_policies() -> None:
    for fields in CACHE_POLICIES:
        CachePolicy.objects.create(**fields)


def is_hit(answer: Any) -> bool:
    return "; hit" in answer["Cache-Status"]


def filled(path: str, role: str = "viewer") -> APIClient:
    """A client of somebody whose answer for ``path`` is stored."""
    client = client_of(role)
    assert client.get(path).status_code == 200
    assert is_hit(client.get(path)), "what follows is about hits"
    return client


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _change_password(user: User) -> None:
    user.set_password("quite another pass phrase")
    user.save()


@pytest.mark.parametrize("change", [_deactivate, _change_password, User.delete])
def test_a_token_that_is_good_no_more_gets_no_hit(change: Callable[[User], object]):
    user = given_user("viewer")
    client = client_for(user)
    for path in CACHED:
        assert client.get(path).status_code == 200
        assert is_hit(client.get(path)), path
    change(user)
    for path in CACHED:
        answer = client.get(path)
        assert (answer.status_code, is_hit(answer)) == (401, False), path


def test_a_role_that_was_taken_takes_the_answers_of_the_role_along():
    filled("/api/network/targets", "security_admin")
    user = given_user("security_admin")
    client = client_for(user)
    assert is_hit(client.get("/api/network/targets")), "shared by role"
    user.groups.set([Group.objects.get_or_create(name="viewer")[0]])
    answer = client.get("/api/network/targets")
    assert (answer.status_code, is_hit(answer)) == (403, False)


def test_strangers_get_no_hit():
    strangers = (Client(), Client(headers={"Authorization": "Bearer x"}), Client(headers={"Cookie": "sessionid=x"}))
    for path in CACHED:
        filled(path)
        answers = [stranger.get(path) for stranger in strangers]
        assert [(answer.status_code, is_hit(answer)) for answer in answers] == [(401, False)] * 3, path


@pytest.mark.parametrize("path", ["/api/dashboard/cached", "/api/notifications"])
def test_a_path_that_looks_like_a_file_yields_nothing_to_others(path: str):
    victim = given_user("viewer")
    Notification.objects.create(user=victim, title="for the victim alone")
    lured, thief = client_for(victim), Client()
    for suffix in SUFFIXES:
        answer = lured.get(path + suffix)
        assert answer.status_code == 404, suffix
        assert "public" not in answer.get("Cache-Control", ""), suffix
        stolen = thief.get(path + suffix)
        assert (stolen.status_code, b"for the victim alone" in stolen.content) == (404, False), suffix
    assert "private" in lured.get(f"{path}?.css")["Cache-Control"]
    assert thief.get(f"{path}?.css").status_code == 401


def test_shared_caches_in_front_are_told_to_keep_nothing():
    for path in CACHED:
        answer = filled(path).get(path)
        assert "private" in answer["Cache-Control"], path
        assert {"authorization", "cookie"} <= set(answer["Vary"].lower().replace(",", " ").split()), path


UNKEYED = (
    "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Original-URL", "X-Rewrite-URL", "Origin",
    "Accept-Language", "X-HTTP-Method-Override", "X-Forwarded-Prefix", "Forwarded", "User-Agent", "Range", "Via",
)  # fmt: skip


def test_what_one_client_puts_into_a_header_is_in_nobody_elses_answer():
    poisoner, other = client_of("viewer"), client_of("viewer")
    for number in (1, 2):
        Asset.objects.create(address=f"192.0.2.{number}")
    for header in UNKEYED:
        invalidate(everything=True)
        path = "/api/network/assets?page_size=1"
        poisoner.get(path, headers={header: "evil.example"})
        answer = other.get(path)
        assert (answer.status_code, len(answer.json()["results"])) == (200, 1), header
        assert b"evil" not in answer.content + str(answer.headers).encode(), header


@pytest.mark.parametrize(
    "cloaked", ["utm_x=1;page_size=1", "page_size=2;page_size=1", "utm_x=1%26page_size=1", "PAGE_SIZE=1"]
)
def test_a_parameter_hidden_in_one_that_is_ignored_poisons_nothing(cloaked: str):
    for number in (1, 2, 3):
        Asset.objects.create(address=f"192.0.2.{number}")
    client_of("viewer").get("/api/network/assets", QUERY_STRING=cloaked)
    clean = client_of("viewer").get("/api/network/assets")
    assert len(clean.json()["results"]) == 3


def test_a_get_with_a_body_or_another_method_leaves_no_entry():
    path = "/api/network/assets"
    Asset.objects.create(address="192.0.2.1")
    client_of("viewer").generic("GET", path, b'{"page_size": 0}', content_type="application/json")
    for method in ("HEAD", "OPTIONS", "POST", "TRACE"):
        client_of("viewer").generic(method, path)
    answer = client_of("viewer").get(path)
    assert (answer.status_code, len(answer.json()["results"])) == (200, 1)


def test_notifications_are_never_shared_even_by_people_of_one_role():
    alice, bob = given_user("viewer"), given_user("viewer")
    Notification.objects.create(user=alice, title="for alice alone")
    assert b"for alice alone" in client_for(alice).get("/api/notifications").content
    answer = client_for(bob).get("/api/notifications")
    assert (answer.json()["results"], is_hit(answer)) == ([], False)
