"""Wires the security app: findings, and the scans that make them."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SecurityConfig(AppConfig):
    name = "securenet.security"
    label = "security"
    verbose_name = _("Security")

    def ready(self) -> None:
        from securenet.security import signals

        signals.connect()
