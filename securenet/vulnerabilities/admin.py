"""Imported vulnerability data in the admin: for looking, and for deleting a feed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from securenet.network.admin import ReadOnlyAdmin
from securenet.vulnerabilities.models import AffectedRange, ExploitedVulnerability, Feed, Vulnerability


@admin.register(Feed)
class FeedAdmin(admin.ModelAdmin):
    list_display = ["name", "kind", "published_at", "age", "imported_at", "imported_by", "records_read", "records_kept"]
    list_filter = ["kind"]
    readonly_fields = [
        "kind",
        "name",
        "published_at",
        "age",
        "imported_at",
        "imported_by",
        "records_read",
        "records_kept",
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Files are imported with `manage.py import_vulnerabilities`."""
        return False

    @admin.display(description=gettext_lazy("age in days"), ordering="-published_at")
    def age(self, feed: Feed) -> int:
        """How old the data are now."""
        return feed.age_days(timezone.now())


class AffectedRangeInline(admin.TabularInline):
    model = AffectedRange
    extra = 0
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Feeds say it."""
        return False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Feeds say it."""
        return False


@admin.register(Vulnerability)
class VulnerabilityAdmin(ReadOnlyAdmin, admin.ModelAdmin):
    list_display = ["identifier", "cvss_score", "published_at", "feed", "summary"]
    list_filter = ["feed"]
    search_fields = ["identifier", "cves", "summary", "ranges__product"]
    inlines = [AffectedRangeInline]


@admin.register(ExploitedVulnerability)
class ExploitedVulnerabilityAdmin(ReadOnlyAdmin, admin.ModelAdmin):
    list_display = ["cve", "name", "added", "due", "by_ransomware"]
    list_filter = ["by_ransomware"]
    search_fields = ["cve", "name"]
