"""The roles of SecureNet: their names, and what each may do in the admin.

A role is a Django group. What its members may do in the API is decided by name, in `permissions`; what they may do
in the admin is this table, which `securenet_setup` applies at every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q

PLATFORM_OWNER: Final = "platform_owner"
SECURITY_ADMIN: Final = "security_admin"
SOC_ANALYST: Final = "soc_analyst"
VIEWER: Final = "viewer"

ROLES: Final = (PLATFORM_OWNER, SECURITY_ADMIN, SOC_ANALYST, VIEWER)
ADMINS: Final = frozenset({PLATFORM_OWNER, SECURITY_ADMIN})
ANALYSTS: Final = ADMINS | {SOC_ANALYST}

USER_ADMINISTRATION: Final = ("accounts", "auth")  # app labels
PRODUCT_APPS: Final = ("network", "security", "vulnerabilities", "logs", "notifications", "dashboard")

_EVERYTHING: Final = Q()
_VIEW_PRODUCT: Final = Q(content_type__app_label__in=PRODUCT_APPS, codename__startswith="view_")
_TRIAGE: Final = Q(content_type__app_label="security", codename="change_finding") | Q(
    content_type__app_label="notifications", codename="change_notification"
)

ADMIN_PERMISSIONS: Final[Mapping[str, Q]] = {
    PLATFORM_OWNER: _EVERYTHING,
    SECURITY_ADMIN: ~Q(content_type__app_label__in=USER_ADMINISTRATION),
    SOC_ANALYST: _VIEW_PRODUCT | _TRIAGE,
    VIEWER: _VIEW_PRODUCT,
}


@transaction.atomic
def install_roles() -> None:
    """Create the groups that are missing, and give each exactly the permissions of `ADMIN_PERMISSIONS`."""
    for name in ROLES:
        group, _ = Group.objects.get_or_create(name=name)
        group.permissions.set(Permission.objects.filter(ADMIN_PERMISSIONS[name]))
