"""What a finding's page says of its evidence and of its history."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One part of the evidence; ``is_long`` text keeps its lines."""

    name: str
    text: str
    is_long: bool


def evidence_of(evidence: Mapping[str, Any]) -> list[Exhibit]:
    """The evidence, a part each; what is nested in it as JSON."""
    return [_exhibit(name.replace("_", " "), value) for name, value in evidence.items()]


def history_of(finding: Mapping[str, Any]) -> list[tuple[datetime, str]]:
    """What has happened to a finding, as `FindingSerializer` has it, the newest first."""
    times = ngettext("last seen, once in all", "last seen, %d times in all", finding["times_seen"])
    by = finding["triaged_by"] or _("somebody whose account is gone")
    happened = [
        (finding["first_seen"], _("first seen")),
        (finding["last_seen"], times % finding["times_seen"] if "%d" in times else times),
        (finding["resolved_at"], _("resolved")),
        (finding["triaged_at"], _("judged by %s") % by),
    ]
    known = [(time, words) for text, words in happened if text and (time := parse_datetime(text))]
    return sorted(known, key=lambda entry: entry[0], reverse=True)


def _exhibit(name: str, value: Any) -> Exhibit:
    match value:
        case str():
            text = value
        case bool() | None:
            text = {True: _("yes"), False: _("no"), None: "–"}[value]
        case int() | float():
            text = str(value)
        case list() if all(isinstance(each, str | int | float) for each in value):
            text = "\n".join(map(str, value)) if any(len(str(each)) > 40 for each in value) else _list(value)
        case _:
            text = json.dumps(value, indent=2, ensure_ascii=False)
    return Exhibit(name, text, "\n" in text or len(text) > 120)


def _list(values: list[Any]) -> str:
    return ", ".join(map(str, values)) or "–"
