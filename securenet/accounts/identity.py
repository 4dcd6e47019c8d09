"""Who a token speaks for: the claims while the account is unchanged, the database where it has changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.tokens import Token

from perf.gate.callers import grants_of

CLOCK_MARGIN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class TokenUser:
    """The user of a request that came with a token. Made from claims, so it costs no SQL."""

    pk: str
    username: str
    roles: frozenset[str]
    is_staff: bool
    is_superuser: bool
    version: int
    grants: str = ""
    is_active: bool = True
    is_authenticated: bool = True
    is_anonymous: bool = False

    @property
    def id(self) -> str:
        return self.pk

    @classmethod
    def from_token(cls, token: Token) -> TokenUser:
        """Read the claims that `securenet.accounts.tokens` writes."""
        return cls(
            pk=str(token["sub"]),
            username=str(token.get("username", "")),
            roles=frozenset(token.get("roles", ())),
            is_staff=bool(token.get("staff")),
            is_superuser=bool(token.get("superuser")),
            version=int(token.get("ver", 0)),
            grants=str(token.get("grants", "")),
        )

    @classmethod
    def from_user(cls, user: Any) -> TokenUser:
        """The same for a row of the database."""
        return cls(
            pk=str(user.pk),
            username=user.get_username(),
            roles=user.roles,
            is_staff=user.is_staff,
            is_superuser=user.is_superuser,
            version=user.token_version,
            grants=grants_of(user),
        )

    def get_username(self) -> str:
        """As Django's users have it."""
        return self.username

    def __str__(self) -> str:
        return self.username


def current_user(token: Token) -> TokenUser | None:
    """The token's user as the database has it now; None if the token is not good any more."""
    from securenet.accounts.models import User

    user = User.objects.filter(pk=token["sub"], is_active=True).first()
    if user is None or is_outdated(token, user):
        return None
    return TokenUser.from_user(user)


def is_outdated(token: Token, user: Any) -> bool:
    """Say whether the token was made before the user's last change of password, even in the same second."""
    return bool(token.get("pwd") != user.password_stamp)


def recent_versions() -> Iterable[tuple[str, int]]:
    """Identity versions that rose within the life of an access token; announced again when Redis was emptied."""
    from securenet.accounts.models import DeletedAccount, User

    since = timezone.now() - settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"] - CLOCK_MARGIN
    changed = User.objects.filter(token_version_changed_at__gte=since).values_list("pk", "token_version")
    deleted = DeletedAccount.objects.filter(deleted_at__gte=since).values_list("user_id", "token_version")
    return [(str(user_id), version) for user_id, version in (*changed, *deleted)]
