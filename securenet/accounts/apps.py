"""Wires the accounts app: who may sign in, with which roles."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "securenet.accounts"
    label = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        from securenet import checks  # noqa: F401  (registers itself, as the schema does)
        from securenet.accounts import schema, signals  # noqa: F401

        signals.connect()
