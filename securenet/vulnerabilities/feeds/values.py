"""Values out of foreign JSON: what is not of the right type is as good as absent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any


def text(value: Any, limit: int = 2000) -> str:
    """A string of at most ``limit`` characters without NUL; empty for anything else."""
    return value[:limit].replace("\0", "") if isinstance(value, str) else ""


def mapping(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array."""
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def moment(value: Any) -> datetime | None:
    """An ISO 8601 time, taken as UTC where it has no zone."""
    try:
        time = datetime.fromisoformat(text(value, 40))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def day(value: Any) -> date | None:
    """An ISO 8601 day."""
    try:
        return date.fromisoformat(text(value, 10))
    except ValueError:
        return None


def score(value: Any) -> float | None:
    """A CVSS score, 0 to 10."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number <= 10 else None
