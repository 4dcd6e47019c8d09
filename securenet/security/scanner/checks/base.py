"""What a check is, which checks there are, and how they are applied to an observation.

A check is pure: it judges facts that were gathered before, at the time they were seen. It says None when it
lacks the facts to judge; "nothing found" is an empty verdict, and only that lets an older finding be closed.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, TypeVar

from ..discovery import import_all
from ..issue import Issue
from ..observation import Observation

logger = logging.getLogger(__name__)

Verdict = tuple[Issue, ...] | None


class Check(ABC):
    """A check.

    check_id: stable, part of every finding's fingerprint; services: the services it is about, None for all.
    """

    check_id: ClassVar[str]
    services: ClassVar[frozenset[str] | None] = None

    def concerns(self, observation: Observation) -> bool:
        """Whether the check is about this kind of service."""
        return self.services is None or observation.service in self.services

    @abstractmethod
    def judge(self, observation: Observation) -> Verdict:
        """The issues found, () if there are none, None if the observation does not tell."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What all checks say of one observation. assessed: ids of the checks that reached a verdict."""

    issues: tuple[Issue, ...]
    assessed: frozenset[str]


C = TypeVar("C", bound=type[Check])
_registered: dict[str, Check] = {}


def register(check: C) -> C:
    """Make a check known. Raises ValueError if its id is taken."""
    if check.check_id in _registered:
        raise ValueError(f"check {check.check_id!r} is registered twice; give one of them another check_id")
    _registered[check.check_id] = check()
    return check


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check of this package, by id."""
    import_all(__package__)
    return tuple(check for _, check in sorted(_registered.items()))


def assess(observation: Observation, checks: Sequence[Check] | None = None) -> Assessment:
    """Apply checks (default: all). One that fails is logged, counts as not made, and stops no other.

    Checks about other services count as made where the service was recognised: a web server is no open Redis.
    """
    issues: list[Issue] = []
    assessed: set[str] = set()
    for check in all_checks() if checks is None else checks:
        verdict = _verdict(check, observation)
        if verdict is not None:
            issues.extend(verdict)
            assessed.add(check.check_id)
    return Assessment(tuple(issues), frozenset(assessed))


def _verdict(check: Check, observation: Observation) -> Verdict:
    if not check.concerns(observation):
        return () if observation.service else None
    try:
        return check.judge(observation)
    except Exception:
        logger.exception("check %s failed at %s", check.check_id, observation)
        return None
