"""One row per person and message."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from securenet.security.models import Severity


class Notification(models.Model):
    """Something a user should know. While it is unread, the same ``key`` is not sent to the same user again."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("user"), on_delete=models.CASCADE, related_name="notifications"
    )
    title = models.CharField(_("title"), max_length=300)
    body = models.TextField(_("body"), blank=True)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity.choices, default=Severity.INFO)
    link = models.CharField(_("link"), max_length=300, blank=True, help_text=_("Path of what it is about."))
    key = models.CharField(_("key"), max_length=128, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    read_at = models.DateTimeField(_("read"), null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("notification")
        indexes = [models.Index(fields=["user", "-id"], name="notification_user")]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "key"], condition=Q(read_at=None) & ~Q(key=""), name="notification_once_while_unread"
            )
        ]

    def __str__(self) -> str:
        return self.title
