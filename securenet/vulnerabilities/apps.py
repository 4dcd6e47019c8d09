"""The app of known vulnerabilities."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VulnerabilitiesConfig(AppConfig):
    name = "securenet.vulnerabilities"
    verbose_name = _("Known vulnerabilities")
    default_auto_field = "django.db.models.BigAutoField"
