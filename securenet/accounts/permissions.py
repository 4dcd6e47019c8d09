"""Who may use an endpoint, by role. Decided from the request's user alone, without SQL; superusers may everything.

The message of a refusal names the roles that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from securenet.accounts.roles import ADMINS, ANALYSTS, ROLES


def has_role(user: Any, roles: Iterable[str]) -> bool:
    """Say whether a signed-in user has one of ``roles``, or is a superuser."""
    if user is None or not user.is_authenticated:
        return False
    return bool(user.is_superuser) or not user.roles.isdisjoint(roles)


class RolePermission(BasePermission):
    """Base of the permissions: ``roles`` may, and with ``open_to_read`` everybody signed in may read."""

    roles: ClassVar[frozenset[str]] = frozenset()
    open_to_read: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """The detail of the 403."""
        return f"This needs one of the roles {', '.join(role for role in ROLES if role in self.roles)}."

    def has_permission(self, request: Request, view: APIView) -> bool:
        if self.open_to_read and request.method in SAFE_METHODS:
            return bool(request.user and request.user.is_authenticated)
        return has_role(request.user, self.roles)


def HasRole(*roles: str) -> type[RolePermission]:
    """A permission for users with one of ``roles``."""
    return type("HasRole", (RolePermission,), {"roles": frozenset(roles)})


def ReadOnlyOrRole(*roles: str) -> type[RolePermission]:
    """A permission to read for everybody who is signed in, and to write for users with one of ``roles``."""
    return type("ReadOnlyOrRole", (RolePermission,), {"roles": frozenset(roles), "open_to_read": True})


class IsAdminRole(RolePermission):
    """Platform owners and security admins."""

    roles = ADMINS


class MayScan(RolePermission):
    """Who may start security scans."""

    roles = ANALYSTS


class MayIngest(RolePermission):
    """Who may send log events."""

    roles = ANALYSTS
