"""Form fields for what policies keep as JSON lists, and for periods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

PERIODS = ((1, _("second")), (60, _("minute")), (3600, _("hour")), (86400, _("day")))


class CommaSeparatedField(forms.CharField):
    """A list of words, written with commas or spaces between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        return (value or "").replace(",", " ").split()

    def validate(self, value: Any) -> None:
        if self.required and not value:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value: Any) -> None:
        """The model's field validates the items."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(list(initial or []) != self.to_python(data))


class ListChoiceField(forms.MultipleChoiceField):
    """Some of a fixed set, as check boxes."""

    widget = forms.CheckboxSelectMultiple


class RolesField(ListChoiceField):
    """Roles, which are Django's groups. Names that are no group any more stay visible until they are unticked."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=self._group_choices, **options)

    def keep(self, names: Sequence[str]) -> None:
        """Offer ``names`` as well."""
        known = {name for name, _label in self._group_choices()}
        gone = [(name, _("%s (no such role)") % name) for name in names if name not in known]
        self.choices = [*self._group_choices(), *gone]

    @staticmethod
    def _group_choices() -> list[tuple[str, str]]:
        return [(name, name) for name in Group.objects.order_by("name").values_list("name", flat=True)]


class PeriodField(forms.TypedChoiceField):
    """Seconds, offered as second, minute, hour and day; another stored value is offered beside them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=PERIODS, coerce=int, **options)

    def keep(self, seconds: int) -> None:
        """Offer ``seconds`` as well."""
        if seconds not in {value for value, _label in PERIODS}:
            self.choices = [*PERIODS, (seconds, in_words(seconds))]


def for_how_long(seconds: int) -> str:
    """``60`` -> ``1 minute``: what comes after "for"."""
    words = in_words(seconds)
    return words if words[0].isdigit() else f"1 {words}"


def in_words(seconds: int) -> str:
    """``90`` -> ``90 seconds``, ``3600`` -> ``hour``, ``7200`` -> ``2 hours``: what comes after "per"."""
    for size, singular, plural in (
        (86400, "day", "days"),
        (3600, "hour", "hours"),
        (60, "minute", "minutes"),
    ):
        if seconds and seconds % size == 0:
            count = seconds // size
            return singular if count == 1 else f"{count} {plural}"
    return "second" if seconds == 1 else ngettext("%d second", "%d seconds", seconds) % seconds
