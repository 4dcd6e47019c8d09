"""The lines that a detection rests on, out of those that are stored."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from ipaddress import ip_address
from typing import Any, Final

from django.db.models import Q, QuerySet

from securenet.logs.detectors import DETECTORS, Detection
from securenet.logs.models import LogEvent
from securenet.logs.parsers.addresses import source_network

MOST_LINES: Final = 20  # the first ten and the last ten
LONGEST: Final = 500  # characters of one
# Rows that are looked through where the database cannot choose: for networks, and for programs of a host.
_MOST_SEARCHED: Final = 2_000
_TOLD: Final = ("time", "host", "program", "message")
_Row = tuple[Any, ...]
_Rows = QuerySet


def lines_of(detection: Detection, *, since: datetime, source: str) -> list[str]:
    """The first and the last lines of a detection, each once, in the order of their times.

    Args:
        detection: what was found; one that brings its lines along keeps them.
        since: of what arrived from then on, as it was analysed.
        source: of this source only; all if empty.
    """
    if isinstance(brought := detection.evidence.get("lines"), list):
        return [str(line) for line in brought]
    rows = LogEvent.objects.filter(time__range=(detection.first_seen, detection.last_seen), received_at__gte=since)
    if source:
        rows = rows.filter(source=source)
    kinds = DETECTORS[detection.detector].kinds
    if kinds is not None:
        rows = rows.filter(kind__in=kinds)
    # Without what tells one arrival from another: a line that arrived twice is one.
    told = rows.order_by("time", "host", "program", "message").values_list(*_TOLD).distinct()
    return [shown(*row) for row in _concerned(told, detection)]


def joined(lines: Iterable[str]) -> list[str]:
    """The first and the last of lines from several looks at the same matter."""
    ordered = sorted(set(lines))  # they begin with their times
    half = MOST_LINES // 2
    return ordered if len(ordered) <= MOST_LINES else [*ordered[:half], *ordered[-half:]]


def shown(time: datetime, host: str, program: str, message: str) -> str:
    """A stored line as text; its time in UTC."""
    framed = " ".join(filter(None, (f"{time:%Y-%m-%dT%H:%M:%S.%fZ}", host, program)))
    return f"{framed}: {message}"[:LONGEST]


def _concerned(rows: _Rows, detection: Detection) -> list[_Row]:
    subject = detection.subject
    match DETECTORS[detection.detector].about:
        case "user":
            return _ends(rows.filter(user_name=subject))
        case "program":
            host, _, program = subject.rpartition(" ")
            return _ends(rows.filter(Q(host=host, program=program) | Q(host=subject, program="")))
        case "source":
            if addresses := _addresses(detection):
                return _ends(rows.filter(source_ip__in=addresses))
            return _of_network(rows, subject)


def _addresses(detection: Detection) -> list[str]:
    evidence = detection.evidence
    told: Any = evidence.get("addresses") or evidence.get("address") or detection.subject
    return [address for address in ([told] if isinstance(told, str) else list(told)) if _is_address(address)]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _ends(rows: _Rows) -> list[_Row]:
    half = MOST_LINES // 2
    first = list(rows[: MOST_LINES + 1])
    if len(first) <= MOST_LINES:
        return first
    return [*first[:half], *reversed(rows.reverse()[:half])]


def _of_network(rows: _Rows, network: str) -> list[_Row]:
    some = rows.filter(source_ip__isnull=False).values_list(*_TOLD, "source_ip")[:_MOST_SEARCHED]
    found = [row[:-1] for row in some if source_network(row[-1]) == network]
    half = MOST_LINES // 2
    return found if len(found) <= MOST_LINES else [*found[:half], *found[-half:]]
