"""Changes of groups and their members, and deleted users, as changes of token versions.

Changes of a user's own fields are seen by `models.User.save` and `models.UserQuerySet.update`.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.db.models.signals import m2m_changed, post_save, pre_delete, pre_save

from securenet.accounts import versions
from securenet.accounts.models import User

_PREFIX = "securenet.accounts"


def connect() -> None:
    """Called once, when the app is ready."""
    m2m_changed.connect(membership_changed, sender=User.groups.through, dispatch_uid=f"{_PREFIX}.membership_changed")
    m2m_changed.connect(
        membership_changed, sender=User.user_permissions.through, dispatch_uid=f"{_PREFIX}.permissions_changed"
    )
    pre_save.connect(remember_name, sender=Group, dispatch_uid=f"{_PREFIX}.remember_name")
    post_save.connect(group_saved, sender=Group, dispatch_uid=f"{_PREFIX}.group_saved")
    pre_delete.connect(group_deleted, sender=Group, dispatch_uid=f"{_PREFIX}.group_deleted")
    pre_delete.connect(user_deleted, sender=User, dispatch_uid=f"{_PREFIX}.user_deleted")


def membership_changed(
    instance: User | Group | Permission, action: str, reverse: bool, pk_set: set[int] | None, **_: Any
) -> None:
    """Users joined or left groups, or got or lost permissions of their own, from either side.

    Before a clear the members are still known.
    """
    if action not in {"post_add", "post_remove", "pre_clear"}:
        return
    if isinstance(instance, User):
        instance.__dict__.pop("roles", None)
        versions.raise_versions([instance.pk])
    elif pk_set is None:
        versions.raise_versions(_member_ids(instance))
    else:
        versions.raise_versions(pk_set)


def remember_name(instance: Group, **_: Any) -> None:
    """Note what a group is called before it is saved."""
    names = Group.objects.filter(pk=instance.pk).values_list("name", flat=True)
    instance._name_before = names.first() if instance.pk else None


def group_saved(instance: Group, **_: Any) -> None:
    """A group that got another name changes the roles of its members."""
    before = getattr(instance, "_name_before", None)
    if before is not None and before != instance.name:
        versions.raise_versions(_member_ids(instance))


def group_deleted(instance: Group, **_: Any) -> None:
    """The members lose the role; this comes before the rows go, in the same transaction."""
    versions.raise_versions(_member_ids(instance))


def user_deleted(instance: User, **_: Any) -> None:
    """What the tokens of a deleted user say is not true any more. The instance may be older than its row."""
    row = User._base_manager.select_for_update().filter(pk=instance.pk)
    for version in row.values_list("token_version", flat=True):
        versions.retire(instance.pk, version)


def _member_ids(held: Group | Permission) -> list[int]:
    by = {"groups": held} if isinstance(held, Group) else {"user_permissions": held}
    return list(User._base_manager.filter(**by).values_list("pk", flat=True))
