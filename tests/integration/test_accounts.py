"""Signing in, tokens and how they become outdated, roles, and first-time setup."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO

import jwt
import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from rest_framework.test import APIClient

from perf.models import RateLimitPolicy
from securenet.accounts.identity import recent_versions
from securenet.accounts.models import User
from securenet.accounts.roles import ROLES, install_roles
from securenet.accounts.tokens import access_token_for, refresh_token_for
from tests.integration.people import PASSWORD, client_for, client_with, fields_of, given_user

ADMIN_PAGE = "/api/network/targets"  # open to admins only
OPEN_PAGE = "/api/network/assets"  # open to everybody who is signed in


def sign_in(username: str, password: str = PASSWORD):
    return APIClient().post("/api/auth/token", {"username": username, "password": password})


def refresh(token: str):
    return APIClient().post("/api/auth/refresh", {"refresh": token})


def claims(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


# --- Credentials


def test_credentials_give_tokens_that_name_the_user_and_the_roles():
    user = given_user("viewer", "soc_analyst")
    answer = sign_in(user.username)
    assert answer.status_code == 200
    access = claims(answer.json()["access"])
    assert access["sub"] == str(user.pk)
    assert access["username"] == user.username
    assert access["roles"] == ["soc_analyst", "viewer"]
    assert (access["staff"], access["superuser"]) == (False, False)
    assert access["ver"] == user.token_version
    assert {"exp", "iat", "jti"} <= access.keys()
    assert "roles" not in claims(answer.json()["refresh"])
    assert answer["Cache-Control"] == "no-store"


def test_tokens_from_sign_in_open_the_api():
    user = given_user("viewer")
    client = client_with(sign_in(user.username).json()["access"])
    assert client.get(OPEN_PAGE).status_code == 200


def test_unknown_user_wrong_password_and_inactive_user_get_the_same_refusal():
    user, inactive = given_user(), given_user(is_active=False)
    answers = [sign_in("nobody"), sign_in(user.username, "wrong"), sign_in(inactive.username)]
    assert {answer.status_code for answer in answers} == {401}
    assert {answer["WWW-Authenticate"] for answer in answers} == {'Bearer realm="api"'}
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]
    assert bodies[0] == bodies[1] == bodies[2]


def test_sign_in_names_missing_and_unknown_fields():
    answer = APIClient().post("/api/auth/token", {"username": "a", "passwrd": "b"})
    assert answer.status_code == 400
    assert fields_of(answer) == {"passwrd"}
    assert fields_of(APIClient().post("/api/auth/token", {"username": "a"})) == {"password"}


def test_a_password_keeps_the_spaces_around_it():
    user = given_user()
    user.set_password("  spaced out  ")
    user.save()
    assert sign_in(user.username, "  spaced out  ").status_code == 200
    assert sign_in(user.username, "spaced out").status_code == 401


# --- Refresh


def test_refresh_puts_the_current_roles_into_the_new_token():
    user = given_user("viewer")
    token = refresh_token_for(user)
    user.groups.set([Group.objects.get_or_create(name="security_admin")[0]])
    answer = refresh(token)
    assert answer.status_code == 200
    assert claims(answer.json()["access"])["roles"] == ["security_admin"]
    assert client_with(answer.json()["access"]).get(ADMIN_PAGE).status_code == 200


def test_refresh_is_refused_after_a_change_of_password_even_within_the_same_second():
    user = given_user()
    token = refresh_token_for(user)
    user.set_password("another one entirely")
    user.save()
    assert refresh(token).status_code == 401
    assert refresh(refresh_token_for(user)).status_code == 200


def test_refresh_is_refused_for_inactive_and_deleted_users():
    inactive, deleted = given_user(), given_user()
    tokens = [refresh_token_for(inactive), refresh_token_for(deleted)]
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    deleted.delete()
    assert [refresh(token).status_code for token in tokens] == [401, 401]


def test_refresh_takes_refresh_tokens_only():
    user = given_user()
    assert refresh(access_token_for(user)).status_code == 401
    assert refresh("rubbish").status_code == 401
    assert client_with(refresh_token_for(user)).get(OPEN_PAGE).status_code == 401


# --- Tokens follow the account


def test_a_role_that_is_given_or_taken_counts_for_the_next_request_of_an_old_token():
    user = given_user("viewer")
    client = client_for(user)
    admins = Group.objects.get_or_create(name="security_admin")[0]
    assert client.get(ADMIN_PAGE).status_code == 403
    user.groups.add(admins)
    assert client.get(ADMIN_PAGE).status_code == 200
    admins.user_set.remove(user)
    assert client.get(ADMIN_PAGE).status_code == 403


def _deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


def _change_password(user: User) -> None:
    user.set_password("something else entirely")
    user.save()


@pytest.mark.parametrize("change", [_deactivate, _change_password, User.delete])
def test_the_next_request_is_refused_after(change: Callable[[User], object]):
    user = given_user("viewer")
    client = client_for(user)
    assert client.get(OPEN_PAGE).status_code == 200
    change(user)
    assert client.get(OPEN_PAGE).status_code == 401


def _group(name: str = "team") -> Group:
    return Group.objects.get_or_create(name=name)[0]


def _rename(user: User) -> None:
    group = user.groups.get()
    group.name = "renamed"
    group.save()


def _bulk_update(user: User) -> None:
    user.is_staff = True
    User.objects.bulk_update([user], ["is_staff"])


def _save_field(name: str, value: object) -> Callable[[User], None]:
    def change(user: User) -> None:
        setattr(user, name, value)
        user.save()

    change.__name__ = f"save_{name}"
    return change


CHANGES = [
    _save_field("username", "someone_else"),
    _save_field("password", make_password("new", hasher="pbkdf2_sha1")),
    _save_field("is_active", False),
    _save_field("is_staff", True),
    _save_field("is_superuser", True),
    _deactivate,
    _bulk_update,
    _rename,
    lambda user: user.groups.add(_group("another")),
    lambda user: user.groups.remove(user.groups.get()),
    lambda user: user.groups.clear(),
    lambda user: user.groups.set([_group("another")]),
    lambda user: _group("another").user_set.add(user),
    lambda user: user.groups.get().user_set.remove(user),
    lambda user: user.groups.get().user_set.clear(),
    lambda user: user.groups.get().delete(),
    lambda user: Group.objects.filter(user=user).delete(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_token_version_rises_with(change: Callable[[User], object]):
    user, bystander = given_user("team"), given_user()
    before = user.token_version
    change(user)
    assert User.objects.get(pk=user.pk).token_version > before
    assert User.objects.get(pk=bystander.pk).token_version == bystander.token_version


def test_the_token_version_stays_when_nothing_a_token_says_changes():
    user = given_user("team")
    user.email = "someone@example.org"
    user.save()
    User.objects.filter(pk=user.pk).update(first_name="Some")
    assert sign_in(user.username).status_code == 200  # writes last_login
    assert User.objects.get(pk=user.pk).token_version == user.token_version


def test_a_password_hash_that_is_only_renewed_outdates_no_token():
    user = given_user("team")
    weak = make_password(PASSWORD, hasher="pbkdf2_sha1")
    User._base_manager.filter(pk=user.pk).update(password=weak)
    assert sign_in(user.username).status_code == 200
    now = User.objects.get(pk=user.pk)
    assert now.password != weak
    assert (now.token_version, now.password_changed_at) == (user.token_version, user.password_changed_at)


def test_an_instance_read_long_ago_does_not_lower_the_version():
    user = given_user("team")
    old = User.objects.get(pk=user.pk)
    user.groups.clear()
    raised = User.objects.get(pk=user.pk).token_version
    old.email = "old@example.org"
    old.save()
    assert User.objects.get(pk=user.pk).token_version == raised


def test_a_change_that_is_rolled_back_raises_and_announces_nothing():
    user = given_user("viewer")
    client = client_for(user)

    class Undo(Exception):
        pass

    with pytest.raises(Undo), transaction.atomic():
        User.objects.filter(pk=user.pk).update(is_active=False)
        raise Undo
    assert User.objects.get(pk=user.pk).token_version == user.token_version
    assert client.get(OPEN_PAGE).status_code == 200


def test_recent_versions_name_changed_and_deleted_accounts():
    changed, deleted, untouched = given_user("team"), given_user("team"), User.objects.create_user("untouched")
    changed.groups.clear()
    last = deleted.token_version
    stale = User.objects.get(pk=deleted.pk)
    deleted.groups.clear()
    deleted_id = deleted.pk
    stale.delete()
    versions = dict(recent_versions())
    assert versions[str(changed.pk)] == User.objects.get(pk=changed.pk).token_version
    assert versions[str(deleted_id)] > last + 1
    assert str(untouched.pk) not in versions


def test_roles_are_read_once_and_forgotten_when_they_change(django_assert_num_queries):
    user = given_user("viewer")
    with django_assert_num_queries(1):
        assert user.roles == {"viewer"}
        assert user.roles == {"viewer"}
    user.groups.add(_group("soc_analyst"))
    assert user.roles == {"viewer", "soc_analyst"}


# --- Roles in the admin


def test_roles_have_the_admin_permissions_of_their_table():
    install_roles()
    owner, admin, analyst, viewer = (given_user(role, is_staff=True) for role in ROLES)
    assert owner.has_perm("accounts.change_user")
    assert owner.has_perm("auth.change_group")
    assert not admin.has_perm("accounts.view_user")
    assert not admin.has_perm("auth.change_group")
    assert admin.has_perms(["perf.change_ratelimitpolicy", "network.add_scantarget", "security.change_finding"])
    assert analyst.has_perms(["security.change_finding", "network.view_asset"])
    assert not analyst.has_perm("network.change_scantarget")
    assert viewer.has_perm("security.view_finding")
    assert not viewer.has_perm("security.change_finding")


def test_the_pages_of_users_and_roles_open_and_the_four_roles_cannot_be_renamed():
    install_roles()
    owner = given_user("platform_owner", is_staff=True)
    client = Client()
    client.force_login(owner)
    assert client.get("/admin/accounts/user/").status_code == 200
    assert client.get(f"/admin/accounts/user/{owner.pk}/change/").status_code == 200
    assert client.get("/admin/accounts/user/add/").status_code == 200
    role = Group.objects.get(name="viewer")
    page = client.get(f"/admin/auth/group/{role.pk}/change/")
    assert page.status_code == 200
    assert b'name="name"' not in page.content
    client.post("/admin/auth/group/", {"action": "delete_selected", "_selected_action": [role.pk], "post": "yes"})
    assert Group.objects.filter(name="viewer").exists()
    own = Group.objects.create(name="auditors")
    assert b'name="name"' in client.get(f"/admin/auth/group/{own.pk}/change/").content


# --- Web pages


def test_the_sign_in_page_labels_its_fields_and_loads_nothing_inline():
    page = Client().get("/login?next=/admin/")
    html = page.content.decode()
    assert page.status_code == 200
    assert set(re.findall(r'<label for="(\w+)"', html)) == {"id_username", "id_password"}
    assert 'name="next" value="/admin/"' in html
    assert "style=" not in html
    assert "<script" not in html
    assert "<style" not in html


def test_people_sign_in_and_out_by_browser():
    user, client = given_user(), Client()
    refused = client.post("/login", {"username": user.username, "password": "wrong"})
    assert refused.status_code == 200
    assert 'role="alert"' in refused.content.decode()
    accepted = client.post("/login", {"username": user.username, "password": PASSWORD})
    assert (accepted.status_code, accepted["Location"]) == (302, "/")
    assert client.get("/login").status_code == 302
    assert client.post("/logout")["Location"] == "/login"
    assert client.get("/login").status_code == 200


def test_sign_in_does_not_lead_to_other_hosts():
    user = given_user()
    answer = Client().post("/login", {"username": user.username, "password": PASSWORD, "next": "https://evil.example/"})
    assert answer["Location"] == "/"


@pytest.mark.parametrize("page", ["/login", "/admin/login/"])
def test_guessing_by_browser_is_limited_like_guessing_by_api(page: str):
    RateLimitPolicy.objects.filter(name="authentication").delete()
    RateLimitPolicy.objects.create(name="authentication", route="/api/auth/*", count_by="ip", limit=2, period=3600)
    client = Client()
    for _ in range(5):
        assert client.get(page).status_code == 200
    guesses = [client.post(page, {"username": "admin", "password": "guess"}).status_code for _ in range(3)]
    assert guesses == [200, 200, 429]


# --- Setup


@pytest.fixture
def chosen_password(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SECURENET_ADMIN_PASSWORD", "a chosen one, long")
    return "a chosen one, long"


@pytest.fixture
def no_chosen_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECURENET_ADMIN_PASSWORD", raising=False)


def set_up(*options: str) -> str:
    out = StringIO()
    call_command("securenet_setup", *options, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.usefixtures("no_chosen_password")
def test_setup_makes_an_owner_and_prints_its_password_once():
    printed = set_up()
    found = re.fullmatch(r"Admin user: admin   password: (\S+)   \(shown only once\)\n", printed)
    assert found, printed
    admin = User.objects.get(username="admin")
    assert admin.check_password(found[1])
    assert (admin.is_superuser, admin.is_staff, admin.roles) == (True, True, {"platform_owner"})
    assert set(ROLES) <= set(Group.objects.values_list("name", flat=True))
    assert set_up() == ""
    assert User.objects.get(username="admin").password == admin.password


def test_setup_takes_the_chosen_password_and_does_not_print_it(chosen_password: str):
    assert chosen_password not in set_up()
    assert User.objects.get(username="admin").check_password(chosen_password)


def test_setup_leaves_the_password_of_an_existing_admin_unless_told(chosen_password: str):
    User.objects.create_superuser("admin", password="the old one")
    set_up()
    assert User.objects.get(username="admin").check_password("the old one")
    set_up("--reset-password")
    assert User.objects.get(username="admin").check_password(chosen_password)


@pytest.mark.usefixtures("no_chosen_password")
def test_setup_makes_no_second_administrator():
    User.objects.create_superuser("alice", password="hers")
    assert set_up() == ""
    assert not User.objects.filter(username="admin").exists()


def test_setup_says_when_the_chosen_password_is_weak(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECURENET_ADMIN_PASSWORD", "12345")
    assert "weak" in set_up()
    assert User.objects.get(username="admin").check_password("12345")


# --- Guessing


@pytest.fixture
def two_sign_ins_an_hour():
    RateLimitPolicy.objects.filter(name="authentication").delete()
    return RateLimitPolicy.objects.create(
        name="authentication", route="/api/auth/*", count_by="ip", limit=2, period=3600
    )


def guess_in_api(username: str, address: str) -> int:
    client = APIClient(REMOTE_ADDR=address)
    return client.post("/api/auth/token", {"username": username, "password": "a guess"}).status_code


def guess_in_form(page: str) -> Callable[[str, str], int]:
    def guess(username: str, address: str) -> int:
        form = {"username": username, "password": "a guess"}
        return Client(REMOTE_ADDR=address).post(page, form).status_code

    return guess


@pytest.mark.parametrize("guess", [guess_in_api, guess_in_form("/login"), guess_in_form("/admin/login/")])
def test_many_addresses_do_not_help_to_guess_one_users_password(two_sign_ins_an_hour, guess):
    guesses = [guess(spelling, f"192.0.2.{n}") for n, spelling in enumerate(["ann", "Ann ", "ANN", "ann"], start=1)]
    assert [code == 429 for code in guesses] == [False, False, True, True]
    assert guess("ben", "192.0.2.9") != 429


@pytest.mark.parametrize("guess", [guess_in_api, guess_in_form("/login"), guess_in_form("/admin/login/")])
def test_many_names_do_not_help_to_guess_from_one_address(two_sign_ins_an_hour, guess):
    guesses = [guess(f"user{n}", "192.0.2.1") for n in range(4)]
    assert [code == 429 for code in guesses] == [False, False, True, True]


def test_a_made_up_token_costs_as_much_as_a_good_one():
    RateLimitPolicy.objects.all().delete()
    RateLimitPolicy.objects.create(name="all", route="*", limit=2, period=3600)
    client = APIClient(HTTP_AUTHORIZATION="Bearer made.up.token")
    assert [client.get(OPEN_PAGE).status_code for _ in range(4)] == [401, 401, 429, 429]


# --- Permissions in person


def test_a_permission_of_ones_own_outdates_the_token_and_stands_in_the_next_one():
    from django.contrib.auth.models import Permission

    user = given_user("viewer")
    assert "grants" not in claims(access_token_for(user))
    version = user.token_version
    user.user_permissions.add(Permission.objects.first())
    user.refresh_from_db()
    assert user.token_version > version
    assert claims(access_token_for(user))["grants"]
