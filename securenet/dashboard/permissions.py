"""Which forms a page offers: asked of the very permissions by which the API decides when they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rest_framework.views import APIView


@dataclass(frozen=True, slots=True)
class _Question:
    """All that a permission by role looks at."""

    user: Any
    method: str


def may(user: Any, view_class: type[APIView], method: str) -> bool:
    """Say whether ``user`` may send such a request to a view of the API."""
    question: Any = _Question(user, method)
    view = view_class()
    view.request = question
    return all(permission.has_permission(question, view) for permission in view.get_permissions())
