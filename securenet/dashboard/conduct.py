"""How a page's data were got, in words: the time it took, what the cache did, what is left of the limits.

The words say what ``Server-Timing``, ``Cache-Status``, ``Age`` and ``RateLimit`` say to programs.
"""

from __future__ import annotations

import math
import re
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from perf.gate.outcome import Allowed, Blocked, LimitState
from securenet.dashboard.own_api import Answer

_DURATION: Final = re.compile(r"(gate|total);dur=([\d.]+)")
_TTL: Final = re.compile(r"ttl=(-?\d+)")


def conduct_of(answer: Answer) -> list[tuple[str, str]]:
    """Rows of what it is about, and what is to be said about it."""
    return [
        (_("Time"), _time(answer)),
        (_("Cache"), _cache(answer)),
        *((_("Limit"), line) for line in _limits(answer)),
    ]


def _time(answer: Answer) -> str:
    spent = dict(_DURATION.findall(answer.headers.get("Server-Timing", "")))
    return _("data in %(total)s ms, %(gate)s ms of them for limits and cache") % spent


def _cache(answer: Answer) -> str:
    status = answer.headers.get("Cache-Status", "")
    ttl = int(match[1]) if (match := _TTL.search(status)) else 0
    if "; hit" in status:
        age = int(answer.headers.get("Age", 0))
        if ttl < 0:
            return _("from the cache, %(age)d s old and being renewed") % {"age": age}
        return _("from the cache, %(age)d s old, fresh for another %(ttl)d s") % {"age": age, "ttl": ttl}
    if "stored" in status or "collapsed" in status:
        return _("computed just now, kept for %(ttl)d s") % {"ttl": ttl}
    return _("computed just now, not kept")


def _limits(answer: Answer) -> list[str]:
    outcome = answer.record.outcome
    admission = outcome.admission if outcome is not None else None
    states = admission.limits if isinstance(admission, Allowed | Blocked) else ()
    shown = [state for state in states if not state.rule.observe]
    return [_limit(state) for state in shown] or [_("none applies")]


def _limit(state: LimitState) -> str:
    rule = state.rule
    left = ngettext(
        "%(name)s: %(left)d of %(limit)d request in %(period)d s left",
        "%(name)s: %(left)d of %(limit)d requests in %(period)d s left",
        rule.limit,
    ) % {"name": rule.name, "left": state.remaining, "limit": rule.limit, "period": rule.period}
    if state.remaining >= rule.limit:
        return left
    return _("%(left)s, more in %(seconds)d s") % {
        "left": left,
        "seconds": min(math.ceil(state.reset), rule.period),
    }
