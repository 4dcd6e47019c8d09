"""The checks that judge an open port, one per file. To add one, add a file with a `@register`ed `Check`."""

from __future__ import annotations

from .base import Check, Verdict, all_checks, assess, register

__all__ = ["Check", "Verdict", "all_checks", "assess", "register"]
