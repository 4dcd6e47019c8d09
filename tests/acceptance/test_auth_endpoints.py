"""Tokens: who gets one, and from when on it is good for nothing. Changes are made in the admin on web server A."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Iterator

import httpx
import jwt
import pytest

from tests.acceptance.answers import invalid_fields, problem
from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import PASSWORD, Site

SECRET = "/api/network/targets"  # for admins
NEW_PASSWORD = "another-Passw0rd-entirely"


@pytest.fixture
def account(site: Site) -> tuple[str, int]:
    """Name and id of a viewer of this test's own."""
    name = f"user-{uuid.uuid4().hex[:10]}"
    return name, site.add_user(name, "viewer")


@pytest.fixture
def user(account: tuple[str, int]) -> str:
    """The name of a viewer of this test's own."""
    return account[0]


@pytest.fixture
def page(account: tuple[str, int]) -> str:
    """The user's page in the admin."""
    return f"/admin/accounts/user/{account[1]}/change/"


@pytest.fixture(scope="module")
def roles(site: Site) -> dict[str, str]:
    """Ids of the roles, as the admin's form has them."""
    listed = site.shell(
        "from django.contrib.auth.models import Group; import json\n"
        "print(json.dumps(dict(Group.objects.values_list('name', 'id'))))"
    )
    return {name: str(pk) for name, pk in json.loads(listed).items()}


@pytest.fixture
def holders(site: Site, user: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of both web servers with one token, which both have seen already."""
    with site.client(user) as a, site.client(user, server="b") as b:
        for client in (a, b):
            assert client.get("/api/notifications").status_code == 200
            assert client.get(SECRET).status_code == 403
        yield a, b


class TestSignIn:
    def test_credentials_give_two_tokens(self, site: Site, user: str) -> None:
        tokens = site.sign_in(user)
        assert tokens.keys() == {"access", "refresh"}
        with site.client() as client:
            client.headers["Authorization"] = f"Bearer {tokens['access']}"
            assert client.get("/api/dashboard").status_code == 200

    def test_token_of_one_server_is_good_on_the_other(self, site: Site, user: str) -> None:
        with site.client(user, server="b") as client:
            assert client.get("/api/dashboard").status_code == 200

    def test_unknown_user_wrong_password_and_inactive_user_are_told_the_same(self, site: Site, user: str) -> None:
        site.add_user(gone := f"gone-{uuid.uuid4().hex[:8]}")
        site.shell(
            "from django.contrib.auth import get_user_model as u\n"
            f"u().objects.filter(username={gone!r}).update(is_active=False)"
        )
        attempts = [("nobody-of-that-name", PASSWORD), (user, "wrong"), (gone, PASSWORD)]
        with site.client() as client:
            answers = [client.post("/api/auth/token", json={"username": u, "password": p}) for u, p in attempts]
        bodies = [problem(answer, 401) for answer in answers]
        for body in bodies:
            del body["request_id"]
        assert bodies[0] == bodies[1] == bodies[2]
        assert len({answer.headers["WWW-Authenticate"] for answer in answers}) == 1

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {"username", "password"}),
            ({"username": "viewer"}, {"password"}),
            ({"username": "", "password": ""}, {"username", "password"}),
            ({"username": ["viewer"], "password": {"a": 1}}, {"username", "password"}),
            ({"username": None, "password": None}, {"username", "password"}),
            ({"username": "viewer\0", "password": "x"}, {"username"}),
            ({"username": "x" * 151, "password": "x" * 4097}, {"username", "password"}),
            ({"username": "viewer", "password": "x", "otp": "1"}, {"otp"}),
        ],
    )
    def test_incomplete_credentials_are_named(self, site: Site, body: dict[str, object], wrong: set[str]) -> None:
        with site.client() as client:
            assert invalid_fields(client.post("/api/auth/token", json=body)) == wrong

    def test_form_of_credentials_is_not_accepted(self, site: Site) -> None:
        with site.client() as client:
            problem(client.post("/api/auth/token", data={"username": "viewer", "password": PASSWORD}), 415)


class TestRefresh:
    def test_refresh_token_gives_an_access_token_that_works(self, site: Site, user: str) -> None:
        refresh = site.sign_in(user)["refresh"]
        with site.client(server="b") as client:
            answer = client.post("/api/auth/refresh", json={"refresh": refresh})
            assert answer.json().keys() == {"access"}
            client.headers["Authorization"] = f"Bearer {answer.json()['access']}"
            assert client.get("/api/dashboard").status_code == 200

    def test_what_is_no_refresh_token_is_refused(self, site: Site, user: str) -> None:
        tokens = site.sign_in(user)
        with site.client() as client:
            for wrong in (tokens["access"], "garbage", "a.b.c", tokens["refresh"][:-4] + "AAAA"):
                problem(client.post("/api/auth/refresh", json={"refresh": wrong}), 401)
            assert invalid_fields(client.post("/api/auth/refresh", json={})) == {"refresh"}

    def test_it_ends_with_the_account_and_with_the_password(self, site: Site, user: str) -> None:
        refresh = site.sign_in(user)["refresh"]
        with site.client() as client:
            for edit in ("user.is_active = False", f"user.is_active = True; user.set_password({NEW_PASSWORD!r})"):
                site.shell(
                    "from django.contrib.auth import get_user_model as u\n"
                    f"user = u().objects.get(username={user!r}); {edit}; user.save()"
                )
                problem(client.post("/api/auth/refresh", json={"refresh": refresh}), 401)
            fresh = site.sign_in(user, NEW_PASSWORD)["refresh"]
            assert client.post("/api/auth/refresh", json={"refresh": fresh}).status_code == 200


def forged_tokens(site: Site) -> dict[str, str]:
    """Tokens that nobody here has signed, made from one that is good."""
    good = site.sign_in("viewer")
    head, claims, signature = good["access"].split(".")
    as_admin = {**jwt.decode(good["access"], options={"verify_signature": False}), "superuser": True}
    part = base64.urlsafe_b64encode(json.dumps(as_admin).encode()).decode().rstrip("=")
    return {
        "garbage": "garbage",
        "empty parts": "..",
        "not ASCII": "äöü",
        "claims changed": f"{head}.{part}.{signature}",
        "signature cut": f"{head}.{claims}.{signature[:-6]}",
        "unsigned": jwt.encode(as_admin, None, algorithm="none"),
        "another key": jwt.encode(as_admin, "k" * 50, algorithm="HS256"),
        "a refresh token": good["refresh"],
        "very long": "a" * 6000,
    }


class TestBadTokens:
    @pytest.mark.parametrize(
        "kind",
        [
            "garbage", "empty parts", "not ASCII", "claims changed", "signature cut", "unsigned", "another key",
            "a refresh token", "very long",
        ],
    )  # fmt: skip
    def test_forged_token_is_401(self, site: Site, kind: str) -> None:
        with site.client() as client:
            header = f"Bearer {forged_tokens(site)[kind]}".encode("latin-1")
            refused = client.get(SECRET, headers={b"Authorization": header})
        problem(refused, 401)
        assert refused.headers["WWW-Authenticate"].startswith("Bearer")

    @pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Basic dmlld2VyOnB3", "Token abc", ""])
    def test_other_credentials_are_401(self, site: Site, header: str) -> None:
        with site.client() as client:
            problem(client.get("/api/dashboard", headers={"Authorization": header}), 401)

    def test_cached_answers_need_a_good_token_as_well(self, site: Site) -> None:
        path = f"/api/network/assets?test={uuid.uuid4()}"
        with site.client("viewer") as viewer, site.client() as nobody:
            viewer.get(path)
            assert viewer.get(path).headers["Cache-Status"].startswith("securenet; hit")
            problem(nobody.get(path), 401)
            problem(nobody.get(path, headers={"Authorization": "Bearer garbage"}), 401)


Holders = tuple[httpx.Client, httpx.Client]


class TestChangesOfAccounts:
    """The very next request with the token that is out already, on both web servers."""

    def test_promotion_counts(self, browser: AdminBrowser, page: str, roles: dict[str, str], holders: Holders) -> None:
        browser.send(page, groups=[roles["viewer"], roles["security_admin"]])
        for client in reversed(holders):
            assert client.get(SECRET).status_code == 200

    def test_demotion_counts(self, browser: AdminBrowser, page: str, roles: dict[str, str], holders: Holders) -> None:
        browser.send(page, groups=[roles["platform_owner"]])
        for client in holders:
            assert client.get(SECRET).status_code == 200
            assert "hit" in client.get(SECRET).headers["Cache-Status"]
        browser.send(page, groups=[roles["viewer"]])
        for client in reversed(holders):
            problem(client.get(SECRET), 403)
            assert client.get("/api/notifications").status_code == 200

    def test_promotion_to_superuser_and_back_counts(self, browser: AdminBrowser, page: str, holders: Holders) -> None:
        browser.send(page, is_superuser="on")
        for client in reversed(holders):
            assert client.get("/api/performance/metrics").status_code == 200
        browser.send(page, is_superuser=False)
        for client in reversed(holders):
            problem(client.get("/api/performance/metrics"), 403)

    def test_deactivation_counts_and_can_be_taken_back(
        self, browser: AdminBrowser, page: str, holders: Holders
    ) -> None:
        browser.send(page, is_active=False)
        for client in reversed(holders):
            problem(client.get("/api/notifications"), 401)
            problem(client.get("/api/dashboard"), 401)
        browser.send(page, is_active="on")
        for client in holders:
            assert client.get("/api/notifications").status_code == 200

    def test_change_of_password_ends_all_tokens(
        self, site: Site, browser: AdminBrowser, user: str, page: str, holders: Holders
    ) -> None:
        browser.send(re.sub("change/$", "password/", page), password1=NEW_PASSWORD, password2=NEW_PASSWORD)
        for client in reversed(holders):
            problem(client.get("/api/notifications"), 401)
        with site.client() as client:
            problem(client.post("/api/auth/token", json={"username": user, "password": PASSWORD}), 401)
            client.headers["Authorization"] = f"Bearer {site.sign_in(user, NEW_PASSWORD)['access']}"
            assert client.get("/api/notifications").status_code == 200

    def test_deletion_ends_all_tokens(self, browser: AdminBrowser, page: str, holders: Holders) -> None:
        browser.send(re.sub("change/$", "delete/", page), post="yes")
        for client in reversed(holders):
            problem(client.get("/api/notifications"), 401)

    def test_new_token_and_old_one_are_the_same_person_in_the_cache(
        self, site: Site, browser: AdminBrowser, user: str, page: str, roles: dict[str, str], holders: Holders
    ) -> None:
        """The old token of somebody promoted is answered from the cache of the new role, not of the old one."""
        path = f"/api/network/assets?test={uuid.uuid4()}"
        old, _ = holders
        old.get(path)
        assert "hit" in old.get(path).headers["Cache-Status"]
        browser.send(page, groups=[roles["viewer"], roles["soc_analyst"]])
        assert "fwd=miss" in old.get(path).headers["Cache-Status"]
        with site.client() as new:
            new.headers["Authorization"] = f"Bearer {site.sign_in(user)['access']}"
            assert "hit" in new.get(path).headers["Cache-Status"]
