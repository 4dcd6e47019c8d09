"""Notifications in the admin: for looking after, not for writing."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from securenet.notifications.models import Notification


@admin.register(Notification)
class NotificationAdmin(admin.ModelAdmin):
    list_display = ["title", "user", "severity", "created_at", "read_at"]
    list_filter = ["severity", ("read_at", admin.EmptyFieldListFilter)]
    search_fields = ["title", "user__username"]
    list_select_related = ["user"]
    show_full_result_count = False
    readonly_fields = ["user", "title", "body", "severity", "link", "key", "created_at"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They are written by scans and analyses."""
        return False
