"""Two people edit the same policy: whoever saves second is told what the first one changed, and nothing is saved.

A page carries the version of the policy that it shows. A save locks the row, then compares. Saved once more, the same
form goes through: it then carries the version that was shown with the message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from django.core import serializers
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, router
from django.forms import BaseModelFormSet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from perf.models import Policy, Revision
from perf.policies.revisions import FieldChange, difference, head_number

VERSION = "version"  # the name of the form field
LIST_FIELD = "_revision"  # the name of the list's, with the number of the newest revision
MOST_REVISIONS = 100  # looked through for who changed what; older changes are told without names


@dataclass(frozen=True, slots=True)
class Change:
    """What one revision did to a policy."""

    revision: Revision
    fields: tuple[FieldChange, ...]


def version_of(policy: Policy) -> str:
    """``<number of the newest revision>-<digest of all fields>``; the digest tells whether the policy has changed."""
    return f"{head_number()}-{digest_of(policy)}"


def digest_of(policy: Policy) -> str:
    """The same for equal fields."""
    text = json.dumps(serializers.serialize("python", [policy]), cls=DjangoJSONEncoder, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def is_outdated(version: str, current: str) -> bool:
    """Whether a policy has changed between two of its versions, whatever else did."""
    return version.partition("-")[2] != current.partition("-")[2]


def changes_since(number: int, model: type[Policy], keys: Sequence[Any]) -> list[Change]:
    """What happened to the policies with these primary keys after revision ``number``, oldest first."""
    revisions = list(
        Revision.objects.filter(number__gte=number, policies__isnull=False)
        .select_related("author")
        .order_by("number")[: MOST_REVISIONS + 1]
    )
    return [
        Change(after, fields)
        for before, after in pairwise(revisions)
        if (fields := tuple(difference(*(_only(model, keys, each) for each in (before, after)))))
    ]


def in_words(change: Change) -> str:
    """``anna at 12:01 (revision 14): limit 100 → 60``."""
    parts = [f"{each.field} {each.before} → {each.after}" for each in change.fields if each.field]
    return _("%(author)s at %(time)s (revision %(number)d): %(changes)s") % {
        "author": change.revision.author or _("somebody without an account"),
        "time": date_format(timezone.localtime(change.revision.created_at), "H:i"),
        "number": change.revision.number,
        "changes": ", ".join(parts) or _("made or deleted"),
    }


def lock(request: HttpRequest, model: type[Policy], key: Any = None) -> None:
    """Let nobody else change the policy, or all of ``model``, until the transaction of this save ends."""
    using = router.db_for_write(model)
    if request.method == "POST" and connections[using].in_atomic_block:
        policies = model.objects.using(using).select_for_update().order_by("pk")
        list((policies.filter(pk=key) if key is not None else policies).values_list("pk"))


class VersionedForm:
    """Part of a policy's form: its field ``version`` is compared where there is one."""

    def check_version(self, current: str) -> None:
        """Refuse the form if its policy has changed since it was shown; ``current`` is the version of the row."""
        shown = self.data.get(self.add_prefix(VERSION), "")  # type: ignore[attr-defined]
        if not shown or not is_outdated(shown, current):
            return
        self._carry(current)
        for field, message in _conflicts(type(self.instance), self.instance.pk, shown):  # type: ignore[attr-defined]
            self.add_error(field if field in self.fields else None, message)  # type: ignore[attr-defined]

    def _carry(self, version: str) -> None:
        self.data = self.data.copy()  # type: ignore[has-type]
        self.data[self.add_prefix(VERSION)] = version  # type: ignore[attr-defined]


class VersionedFormSet(BaseModelFormSet):
    """The list of policies, where some fields can be edited: none that somebody has changed since it was shown."""

    request: ClassVar[HttpRequest | None] = None

    def clean(self) -> None:
        super().clean()
        shown = self.request.POST.get(LIST_FIELD, "") if self.request is not None else ""
        # A form "has changed" against the row as it is now, so one that another person edited meanwhile is among them.
        keys = [form.instance.pk for form in self.initial_forms if form.has_changed()]
        if not shown.isdecimal() or not keys or self.model is None:
            return
        changes = changes_since(int(shown), self.model, keys)
        if changes:
            names = sorted({each.name for change in changes for each in change.fields})
            told = "; ".join(in_words(change) for change in changes)
            raise ValidationError(
                _("Nothing was saved: %(names)s changed while you were editing. %(told)s. Load the list again.")
                % {"names": ", ".join(names), "told": told}
            )


def _conflicts(model: type[Policy], key: Any, shown: str) -> Iterator[tuple[str | None, str]]:
    number = shown.partition("-")[0]
    changes = changes_since(int(number), model, [key]) if number.isdecimal() else []
    told = "; ".join(in_words(change) for change in changes) or _("by whom is not recorded")
    yield (
        None,
        _(
            "Somebody else has saved this policy while you were editing it, and nothing of yours was saved: %(told)s. "
            "Your entries are below. Save again to put them in place of the others', or load the page again."
        )
        % {"told": told},
    )
    for change in changes:
        for each in change.fields:
            if each.field:
                yield each.field, _("Now %(now)s, before %(before)s.") % {"now": each.after, "before": each.before}


def _only(model: type[Policy], keys: Sequence[Any], revision: Revision) -> dict[str, Any]:
    rows = (revision.policies or {}).get(model.__name__, [])
    return {model.__name__: [row for row in rows if row["id"] in keys]}
