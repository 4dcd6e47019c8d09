"""What an objective is, how it is scored, and in which order objectives are measured. Nothing here is of SecureNet."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

Subject = TypeVar("Subject")
LONGEST_REASON = 400  # characters of an error; its end is told as well
LONGEST_VALUE = 120  # characters of a value that is told


class Turn(Enum):
    """When an objective may be measured.

    ``BESIDE``: in a thread of its own from the start, as it mostly waits for a minute to pass. ``IN_ORDER``: one after
    the other, while those run. ``ALONE``: one after the other, when those have ended, as what others do would show.
    """

    BESIDE = "beside"
    IN_ORDER = "in order"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen: a ``score`` from 0 to 1, the ``evidence`` for it, and what was ``missing`` to 1."""

    score: float
    evidence: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Objective(Generic[Subject]):
    """A promise, and the function that measures whether it is kept. ``weight`` counts within its ``area``."""

    area: str
    name: str
    promise: str
    measure: Callable[[Subject], Measured]
    weight: float = 1.0
    turn: Turn = Turn.IN_ORDER


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Subject]):
    """An objective that was measured in ``seconds``."""

    objective: Objective[Subject]
    measured: Measured
    seconds: float

    @property
    def is_met(self) -> bool:
        return self.measured.score >= 1.0


@dataclass(slots=True)
class Checks:
    """Counts what held and remembers what did not; the score is the share that held."""

    held: int = 0
    missing: list[str] = field(default_factory=list)

    def expect(self, holds: object, otherwise: str) -> bool:
        """Count one check; ``otherwise`` says what is wrong where it does not hold."""
        if holds:
            self.held += 1
        else:
            self.missing.append(otherwise)
        return bool(holds)

    def equal(self, what: str, seen: object, expected: object) -> bool:
        """Count one check of a value."""
        return self.expect(seen == expected, f"{what}: {_shortly(seen)} instead of {_shortly(expected)}")

    def measured(self, evidence: str) -> Measured:
        """The result.

        Raises:
            ValueError: Nothing was checked.
        """
        total = self.held + len(self.missing)
        if not total:
            raise ValueError("nothing was checked")
        return Measured(self.held / total, evidence, tuple(self.missing))


def measure_all(
    objectives: Sequence[Objective[Subject]],
    subject: Subject,
    tell: Callable[[Outcome[Subject]], None] = lambda outcome: None,
) -> list[Outcome[Subject]]:
    """Measure each objective in its turn; the outcomes are in the order of ``objectives``.

    Args:
        objectives: what is measured.
        subject: what each is given.
        tell: called with each outcome as it comes, from several threads.
    """

    def run(objective: Objective[Subject]) -> Outcome[Subject]:
        outcome = _outcome(objective, subject)
        tell(outcome)
        return outcome

    outcomes: dict[int, Outcome[Subject]] = {}
    beside = [objective for objective in objectives if objective.turn is Turn.BESIDE]
    with ThreadPoolExecutor(max_workers=max(1, len(beside))) as pool:
        waiting = [pool.submit(run, objective) for objective in beside]
        for objective in objectives:
            if objective.turn is Turn.IN_ORDER:
                outcomes[id(objective)] = run(objective)
        for future in waiting:
            outcomes[id(future.result().objective)] = future.result()
    for objective in objectives:
        if objective.turn is Turn.ALONE:
            outcomes[id(objective)] = run(objective)
    return [outcomes[id(objective)] for objective in objectives]


def _outcome(objective: Objective[Subject], subject: Subject) -> Outcome[Subject]:
    began = time.monotonic()
    try:
        measured = objective.measure(subject)
    except Exception as error:
        measured = Measured(0.0, "could not be measured", (_reason(error),))
    return Outcome(objective, measured, time.monotonic() - began)


def _reason(error: Exception) -> str:
    """The error and the line of the objective that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    place = next((frame for frame in reversed(frames) if "validation" in frame.filename), frames[-1])
    words = " ".join(str(error).split())
    said = words if len(words) <= LONGEST_REASON else f"{words[:100]} … {words[100 - LONGEST_REASON :]}"
    return f"raised {type(error).__name__} in {place.name}, line {place.lineno}: {said or place.line}"


def _shortly(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def score(outcomes: Iterable[Outcome[Subject]]) -> float:
    """The weighted mean of the scores, from 0 to 1; 0 where nothing was measured."""
    rows = [(outcome.objective.weight, outcome.measured.score) for outcome in outcomes]
    weights = sum(weight for weight, _ in rows)
    return sum(weight * value for weight, value in rows) / weights if weights else 0.0


def exit_code(outcomes: Sequence[Outcome[Subject]]) -> int:
    """0 where every objective is met, else 1; nothing measured is nothing met."""
    return 0 if outcomes and all(outcome.is_met for outcome in outcomes) else 1
