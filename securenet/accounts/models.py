"""Users, and what makes their tokens outdated.

Every way to change a user (save, bulk update, groups, deletion) raises the token version; see `versions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final, Self

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from securenet.accounts import versions

# A token says, or its validity depends on, these fields and the user's groups.
IDENTITY_FIELDS: Final = frozenset({"username", "password", "is_active", "is_staff", "is_superuser"})
_KEPT_BY_VERSIONS: Final = frozenset({"token_version", "token_version_changed_at", "password_changed_at"})


class UserQuerySet(models.QuerySet["User"]):
    """Bulk updates raise token versions as a save does."""

    def update(self, **values: Any) -> int:
        if IDENTITY_FIELDS.isdisjoint(values):
            return super().update(**values)
        with transaction.atomic(using=self.db):
            ids = list(self.select_for_update().values_list("pk", flat=True))
            if "password" in values:
                values.setdefault("password_changed_at", timezone.now())
            changed = super().update(**values)
            versions.raise_versions(ids)
        return changed


class AccountManager(UserManager.from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Django's manager of users, over `UserQuerySet`."""

    use_in_migrations = False


class User(AbstractUser):
    """Somebody who may sign in. The roles are the names of the user's groups."""

    token_version = models.PositiveIntegerField(
        _("token version"), default=0, editable=False, help_text=_("Rises when issued tokens have become outdated.")
    )
    token_version_changed_at = models.DateTimeField(null=True, editable=False, db_index=True)
    password_changed_at = models.DateTimeField(_("password changed"), null=True, editable=False)

    objects = AccountManager()

    class Meta(AbstractUser.Meta):
        pass

    @cached_property
    def roles(self) -> frozenset[str]:
        """The names of the user's groups, read once per instance."""
        return frozenset(self.groups.values_list("name", flat=True))

    @property
    def password_stamp(self) -> int:
        """When the password was last changed, in microseconds since 1970; 0 if never. Tokens carry it."""
        changed = self.password_changed_at
        return 0 if changed is None else round(changed.timestamp() * 1_000_000)

    def check_password(self, raw_password: str) -> bool:
        """As Django has it, but a hash that is only renewed does not count as a change of password."""

        def renew_hash(raw_password: str) -> None:
            self.password = make_password(raw_password)
            type(self)._base_manager.filter(pk=self.pk).update(password=self.password)

        return check_password(raw_password, self.password, renew_hash)

    def save(self, **options: Any) -> None:
        """Save; the token version rises with it if the user's identity changes."""
        if self._state.adding:
            super().save(**options)
            return
        fields = self._saved_fields(options.get("update_fields"))
        with transaction.atomic(using=options.get("using")):
            changed = self._changed_identity(fields)
            super().save(**{**options, "update_fields": fields})
            if changed:
                also = {"password_changed_at": timezone.now()} if "password" in changed else {}
                versions.raise_versions([self.pk], **also)
                self.refresh_from_db(fields=_KEPT_BY_VERSIONS)

    def refresh_from_db(self, *args: Any, **options: Any) -> None:
        """Forget the roles as well."""
        self.__dict__.pop("roles", None)
        super().refresh_from_db(*args, **options)

    def _saved_fields(self, update_fields: Iterable[str] | None) -> frozenset[str]:
        """What a save writes. Never the versions: this instance may have been read before they rose."""
        if update_fields is None:
            names = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            return frozenset(names - self.get_deferred_fields() - _KEPT_BY_VERSIONS)
        return frozenset(update_fields) - _KEPT_BY_VERSIONS

    def _changed_identity(self, fields: frozenset[str]) -> set[str]:
        names = IDENTITY_FIELDS & fields
        if not names:
            return set()
        row = type(self)._base_manager.select_for_update().filter(pk=self.pk).values(*names).first()
        return {name for name in names if row is not None and row[name] != getattr(self, name)}


class DeletedAccount(models.Model):
    """An account that is gone, for as long as one of its tokens may live."""

    user_id = models.BigIntegerField(primary_key=True)
    token_version = models.PositiveIntegerField()
    deleted_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"deleted account {self.user_id}"

    @classmethod
    def bury(cls, user_id: int, token_version: int) -> Self:
        """Keep the account's last version, and forget those whose tokens have all expired."""
        expired = timezone.now() - settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"] - timedelta(hours=1)
        cls.objects.filter(deleted_at__lt=expired).delete()
        row, _ = cls.objects.update_or_create(user_id=user_id, defaults={"token_version": token_version})
        return row
