"""Assets, services and scan targets in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from securenet.network.models import Asset, ScanTarget, Service


class ReadOnlyAdmin:
    """What scans write is looked at, not edited."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only scans add."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only scans change."""
        return False


class ServiceInline(ReadOnlyAdmin, admin.TabularInline):
    model = Service
    fields = ["port", "protocol", "name", "product", "version", "state", "first_seen", "last_seen"]
    readonly_fields = fields
    can_delete = False
    extra = 0
    show_change_link = True


@admin.register(Asset)
class AssetAdmin(admin.ModelAdmin):
    list_display = [
        "address", "hostname", "name", "kind", "criticality", "exposure", "owner", "open_ports", "last_seen"
    ]  # fmt: skip
    list_filter = ["kind", "criticality", "exposure", "source", "last_seen"]
    search_fields = ["address", "hostname", "name", "owner"]
    readonly_fields = ["source", "first_seen", "last_seen"]
    fieldsets = [
        (None, {"fields": ["address", "hostname", "name", "kind", "owner"]}),
        (gettext_lazy("Risk"), {"fields": ["criticality", "exposure", "tags", "notes"]}),
        (gettext_lazy("History"), {"fields": ["source", "first_seen", "last_seen"]}),
    ]
    inlines = [ServiceInline]
    save_on_top = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Asset]:
        is_open = Q(services__state=Service.State.OPEN)
        return super().get_queryset(request).annotate(open_count=Count("services", filter=is_open))

    def save_model(self, request: HttpRequest, obj: Asset, form: Any, change: bool) -> None:
        """Write only what the form changed: a scan may have written the other columns meanwhile."""
        if change:
            obj.save(update_fields=form.changed_data)
        else:
            obj.save()

    @admin.display(description=gettext_lazy("open ports"), ordering="open_count")
    def open_ports(self, asset: Any) -> int:
        """How many."""
        return asset.open_count


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin, admin.ModelAdmin):
    list_display = ["asset", "port", "protocol", "name", "product", "version", "state", "last_seen"]
    list_filter = ["state", "protocol", "name"]
    search_fields = ["=port", "name", "product", "version", "asset__address", "asset__hostname"]
    list_select_related = ["asset"]
    show_full_result_count = False


@admin.register(ScanTarget)
class ScanTargetAdmin(admin.ModelAdmin):
    list_display = ["network", "ports", "rate", "valid_until", "enabled", "is_live", "reason", "created_by"]
    list_filter = ["enabled", "valid_until"]
    search_fields = ["network", "reason"]
    list_select_related = ["created_by"]
    readonly_fields = ["created_by", "created_at"]
    fields = ["network", "ports", "rate", "valid_until", "enabled", "reason", "created_by", "created_at"]
    actions = ["enable", "disable"]

    def save_model(self, request: HttpRequest, obj: ScanTarget, form: Any, change: bool) -> None:
        """Who authorised a network is whoever entered it."""
        if not change:
            obj.created_by_id = request.user.pk
        super().save_model(request, obj, form, change)

    @admin.display(description=gettext_lazy("may be scanned"), boolean=True)
    def is_live(self, target: ScanTarget) -> bool:
        """Now."""
        return target.is_live

    @admin.action(description=gettext_lazy("Enable selected"), permissions=["change"])
    def enable(self, request: HttpRequest, targets: QuerySet[ScanTarget]) -> None:
        """Allow scans."""
        self._set_enabled(request, targets, True)

    @admin.action(description=gettext_lazy("Disable selected"), permissions=["change"])
    def disable(self, request: HttpRequest, targets: QuerySet[ScanTarget]) -> None:
        """Forbid scans; running ones stop."""
        self._set_enabled(request, targets, False)

    def _set_enabled(self, request: HttpRequest, targets: QuerySet[ScanTarget], enabled: bool) -> None:
        changed = list(targets.exclude(enabled=enabled))
        for target in changed:
            target.enabled = enabled
            target.save(update_fields=["enabled"])
            self.log_change(request, target, [{"changed": {"fields": ["enabled"]}}])
        self.message_user(request, _("Changed: %d.") % len(changed), messages.SUCCESS)
