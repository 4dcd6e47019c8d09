"""Wires perf into Django: signals, system checks, and the job types of the installed apps."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


def _seal_what_migrations_changed(using: str, **_: Any) -> None:
    """Migrations install policies through historical models, which cannot write what the revision contains."""
    from perf.policies.revisions import seal

    seal(using)


class PerfConfig(AppConfig):
    name = "perf"
    verbose_name = _("Performance policies")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Say what is missing, before models and admin fail over it.

        Raises:
            ImproperlyConfigured: django_rq is not installed.
        """
        if not apps.is_installed("django_rq"):
            raise ImproperlyConfigured('perf needs django-rq: put "django_rq" into INSTALLED_APPS, after "perf".')
        super().import_models()

    def ready(self) -> None:
        from perf import checks  # noqa: F401  (registers itself)
        from perf.caching import signals as caching_signals
        from perf.policies import signals as policy_signals

        policy_signals.connect()
        caching_signals.connect()
        post_migrate.connect(_seal_what_migrations_changed, sender=self, dispatch_uid="perf.seal")
        autodiscover_modules("jobs")
        import_module("perf.jobs.warm")
