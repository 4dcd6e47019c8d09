"""A process that edits policies, and records when each edit's call had returned.

``python -m tests.chaos.editor RECORDS PLAN``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from tests.chaos.plans import Edits
from tests.chaos.stopping import Stopped

if TYPE_CHECKING:
    from perf.models import RateLimitPolicy

ROLLED_BACK = 500_000_000  # added to a limit that must never be seen


@dataclass(frozen=True, slots=True)
class Edit:
    """One committed edit: which policy, its number in the plan, when the call that made it had returned."""

    policy: str
    number: int
    returned: int

    def line(self) -> str:
        return f"{self.policy}\t{self.number}\t{self.returned}\n"


def read_edits(file: Path) -> list[Edit]:
    """The edits of one editor, in their order."""
    fields = (line.split("\t") for line in file.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return [Edit(policy, int(number), int(returned)) for policy, number, returned in fields]


def _save(policy: RateLimitPolicy, field: str, value: Any) -> None:
    setattr(policy, field, value)
    policy.save()


def _update(policy: RateLimitPolicy, field: str, value: Any) -> None:
    type(policy).objects.filter(pk=policy.pk).update(**{field: value})


def _bulk_update(policy: RateLimitPolicy, field: str, value: Any) -> None:
    setattr(policy, field, value)
    type(policy).objects.bulk_update([policy], [field])


def _save_after_rollback(policy: RateLimitPolicy, field: str, value: Any) -> None:
    """Change the limit to one that must never be seen, take that back, and save."""
    from django.db import transaction

    with transaction.atomic():
        type(policy).objects.filter(pk=policy.pk).update(limit=policy.limit + ROLLED_BACK)
        transaction.set_rollback(True)
    _save(policy, field, value)


WAYS: dict[str, Callable[[Any, str, Any], None]] = {
    "save": _save,
    "update": _update,
    "bulk_update": _bulk_update,
    "save_after_rollback": _save_after_rollback,
}


def carried_out(plan: Edits, stopped: Stopped) -> Iterator[Edit]:
    """Carry out ``plan``, edit by edit."""
    from perf.models import RateLimitPolicy

    policies = [RateLimitPolicy.objects.get(name=name) for name in plan.policies]
    deadline = time.monotonic() + plan.seconds
    for number in range(1, plan.count + 1):
        if stopped.is_set or time.monotonic() > deadline:
            return
        policy = policies[number % len(policies)]
        field, value = ("limit", plan.base + number) if plan.base else ("comment", f"edit {number}")
        WAYS[plan.how[number % len(plan.how)]](policy, field, value)
        yield Edit(policy.name, number, time.monotonic_ns())
        time.sleep(plan.pause)


def main(records: Path, plan: Edits) -> None:
    """Edit until the plan's end."""
    stopped = Stopped()
    django.setup()
    with records.open("w") as file:
        for edit in carried_out(plan, stopped):
            file.write(edit.line())
            file.flush()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "securenet.settings")
    main(Path(sys.argv[1]), Edits.from_json(sys.argv[2]))
