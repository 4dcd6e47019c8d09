"""Users for tests, and clients that act for them."""

from __future__ import annotations

from functools import cache
from itertools import count

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient

from securenet.accounts.models import User
from securenet.accounts.roles import install_roles
from securenet.accounts.tokens import access_token_for

PASSWORD = "correct horse battery staple"
_numbers = count(1)


@cache
def _hashed() -> str:
    """Hashing is slow on purpose; once is enough for all test users."""
    return make_password(PASSWORD)


def given_user(*roles: str, **fields: object) -> User:
    """A user with these roles and the password `PASSWORD`."""
    user = User.objects.create(username=f"user{next(_numbers)}", password=_hashed(), **fields)
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in roles])
    user.refresh_from_db()
    return user


def client_for(user: User) -> APIClient:
    """An API client with an access token of the user."""
    return client_with(access_token_for(user))


def client_with(token: str) -> APIClient:
    """An API client with this access token."""
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def client_of(*roles: str) -> APIClient:
    """An API client of a new user with these roles."""
    return client_for(given_user(*roles))


def staff_client(role: str) -> Client:
    """A browser in which a new user with this role, and access to the admin, is signed in."""
    install_roles()
    client = Client()
    client.force_login(given_user(role, is_staff=True))
    return client


def fields_of(response: object) -> set[str]:
    """The fields that a problem names."""
    assert response["Content-Type"] == "application/problem+json"
    return {error["field"] for error in response.json().get("errors", ())}
