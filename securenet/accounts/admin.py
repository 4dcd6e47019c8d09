"""Users and roles in the admin. The four roles keep their names and permissions: code relies on them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from securenet.accounts.models import User
from securenet.accounts.roles import ROLES
from securenet.accounts.views_web import with_limited_posts

admin.site.unregister(Group)
admin.site.login = with_limited_posts(admin.site.login)  # type: ignore[method-assign]


@admin.register(User)
class AccountAdmin(UserAdmin):
    """Django's page, with roles in sight."""

    list_display = ["username", "email", "role_names", "is_active", "is_staff", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups"]
    readonly_fields = ["last_login", "date_joined", "password_changed_at", "token_version"]
    fieldsets = [
        (None, {"fields": ["username", "password"]}),
        (_("Person"), {"fields": ["first_name", "last_name", "email"]}),
        (_("Access"), {"fields": ["is_active", "is_staff", "is_superuser", "groups", "user_permissions"]}),
        (_("History"), {"fields": ["last_login", "date_joined", "password_changed_at", "token_version"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["username", "usable_password", "password1", "password2", "is_staff", "groups"]})
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=_("roles"))
    def role_names(self, user: User) -> str:
        """The names of the user's groups."""
        return ", ".join(sorted(group.name for group in user.groups.all())) or "-"


@admin.register(Group)
class RoleAdmin(GroupAdmin):
    """Groups of one's own are free; the four roles are only looked at here, and given on the user's page."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_role(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_role(obj) and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Bulk deletion asks no object's permission of its own: name the protected ones here."""
        to_delete, counts, needed, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, needed, [*protected, *(str(group) for group in objs if _is_role(group))]


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in ROLES
