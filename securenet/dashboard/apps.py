"""The security posture: as JSON, and as pages for people."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _


class DashboardConfig(AppConfig):
    name = "securenet.dashboard"
    verbose_name = _("Dashboard")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if settings.PERF_TRACING:
            from securenet.tracing import send_spans

            send_spans()
