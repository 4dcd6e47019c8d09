"""Wires perf into Django: signals, system checks, and the job types of the installed apps."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class PerfConfig(AppConfig):
    name = "perf"
    verbose_name = _("Performance policies")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from perf import checks  # noqa: F401  (registers itself)
        from perf.policies import signals

        signals.connect()
        autodiscover_modules("jobs")
        import_module("perf.jobs.warm")
