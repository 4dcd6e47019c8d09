"""Findings as CSV (RFC 4180). Pure: rows in, text out.

Cells hold what strangers sent (banners, user names): none may begin as a formula does, or a spreadsheet would run it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from securenet.security.models import Finding

COLUMNS: Final = (
    "id", "title", "severity", "state", "source", "check_id", "address", "hostname", "subject", "port", "protocol",
    "confidence", "cvss_score", "cvss_vector", "first_seen", "last_seen", "times_seen", "regressions", "resolved_at",
    "accepted_until", "triaged_by", "triaged_at", "triage_note", "description", "advice", "evidence", "fingerprint",
)  # fmt: skip
# What begins a formula, also as a full-width character, and what some programs skip before they look for one; see
# OWASP, "CSV Injection".
_FORMULA: Final = tuple("=+-@|%＝＋－＠")
_RISKY_START: Final = frozenset("\t\r\n\v\f\0")
_SKIPPED: Final = "\t\r\n\v\f\0 \u00a0\ufeff'\""


def csv_text(findings: Iterable[Finding]) -> Iterator[str]:
    """A header, then one row per finding; every cell is quoted, so that none can become two."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    for finding in findings:
        writer.writerow([safe_cell(_value(finding, column)) for column in COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def safe_cell(value: object) -> str:
    """A value as the text of a cell; one that a spreadsheet could take for a formula begins with an apostrophe."""
    text = "" if value is None else str(value)
    if isinstance(value, str) and (text[:1] in _RISKY_START or text.lstrip(_SKIPPED).startswith(_FORMULA)):
        return f"'{text}"
    return text


def _value(finding: Finding, column: str) -> Any:
    match column:
        case "address" | "hostname":
            return getattr(finding.asset, column) if finding.asset else None
        case "triaged_by":
            return finding.triaged_by.username if finding.triaged_by else None
        case "evidence":
            return json.dumps(finding.evidence, ensure_ascii=False, sort_keys=True)
    value = getattr(finding, column)
    return value.isoformat() if isinstance(value, datetime) else value
