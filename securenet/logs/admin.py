"""Log events and analyses in the admin: for looking."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from securenet.logs.detector_settings import add_missing_rows
from securenet.logs.detectors import DETECTORS
from securenet.logs.detectors.configuration import Threshold, summary_of, thresholds_of
from securenet.logs.models import AnalysisRun, DetectorSettings, FollowedFile, LogEvent, LogSource
from securenet.logs.parsers import Kind
from securenet.logs.time_zones import validate_time_zone

MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Counts to 10,000 and no further: counting a large table takes longer than anybody waits for a page."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, at most `MOST_COUNTED`."""
        return self.object_list.order_by()[:MOST_COUNTED].count()


class KindFilter(admin.SimpleListFilter):
    """By kind; they are known, so the table need not be searched for them."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All kinds."""
        return [(kind.value, kind.value) for kind in Kind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[LogEvent]) -> QuerySet[LogEvent]:
        """Events of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows that are only written by programs."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Events are ingested."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened is not undone."""
        return False


@admin.register(LogEvent)
class LogEventAdmin(ReadOnlyAdmin):
    list_display = ["time", "kind", "source", "host", "program", "source_ip", "user_name", "message"]
    list_filter = [KindFilter]
    paginator = BoundedPaginator
    search_fields = ["message", "user_name"]
    ordering = ["-time", "-id"]


@admin.register(AnalysisRun)
class AnalysisRunAdmin(ReadOnlyAdmin):
    list_display = ["finished_at", "events", "detections", "findings_new", "source"]


class LogSourceForm(forms.ModelForm):
    def clean_time_zone(self) -> str:
        """One that there is."""
        name: str = self.cleaned_data["time_zone"]
        validate_time_zone(name)
        return name


@admin.register(LogSource)
class LogSourceAdmin(admin.ModelAdmin):
    """Time zones of sources."""

    form = LogSourceForm
    list_display = ["label", "time_zone"]


@admin.register(FollowedFile)
class FollowedFileAdmin(ReadOnlyAdmin):
    list_display = ["path", "offset", "updated_at"]


class DetectorSettingsForm(forms.ModelForm):
    """A field for each threshold of the detector; an empty one means its default."""

    class Meta:
        model = DetectorSettings
        fields = ["enabled"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for threshold in self.thresholds():
            self.fields[threshold.name] = _field(threshold)
            self.initial.setdefault(threshold.name, self.instance.thresholds.get(threshold.name))

    def thresholds(self) -> tuple[Threshold, ...]:
        """What can be set of this detector; nothing of one that there is no more."""
        return thresholds_of(self.instance.detector) if self.instance.detector in DETECTORS else ()

    def save(self, commit: bool = True) -> DetectorSettings:
        given = {threshold.name: self.cleaned_data.get(threshold.name) for threshold in self.thresholds()}
        self.instance.thresholds = {name: value for name, value in given.items() if value is not None}
        return super().save(commit)


def _field(threshold: Threshold) -> forms.Field:
    unit = _(" In seconds.") if threshold.is_time else ""
    return forms.IntegerField(
        label=threshold.name.replace("_", " ").capitalize(),
        min_value=1,
        max_value=threshold.most,
        required=False,
        help_text=f"{threshold.help[:1].upper()}{threshold.help[1:]}{unit} {_('Empty')}: {threshold.default}.",
        widget=forms.NumberInput(attrs={"placeholder": threshold.default}),
    )


@admin.register(DetectorSettings)
class DetectorSettingsAdmin(admin.ModelAdmin):
    """Thresholds of detectors. The next analysis obeys them."""

    form = DetectorSettingsForm
    list_display = ["detector", "enabled", "reports", "thresholds_shown", "changed_at"]
    list_display_links = ["detector"]
    readonly_fields = ["detector", "reports"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The program has its detectors."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """One that is not wanted is switched off."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """All detectors, those that were never set among them."""
        add_missing_rows()
        return super().changelist_view(request, extra_context)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The thresholds are fields of the form, not of the model."""
        return super().get_form(request, obj, change=change, **{**kwargs, "fields": ["enabled"]})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """What it reports, whether it is on, and its thresholds."""
        names = [threshold.name for threshold in thresholds_of(obj.detector)] if obj.detector in DETECTORS else []
        return [(None, {"fields": ["detector", "reports", "enabled"]}), (_("Thresholds"), {"fields": names})]

    @admin.display(description=_("reports"))
    def reports(self, row: DetectorSettings) -> str:
        """What it is for."""
        return summary_of(row.detector) if row.detector in DETECTORS else ""

    @admin.display(description=_("thresholds"))
    def thresholds_shown(self, row: DetectorSettings) -> str:
        """Those that differ from the defaults."""
        return ", ".join(f"{name} {value}" for name, value in row.thresholds.items()) or str(_("defaults"))
