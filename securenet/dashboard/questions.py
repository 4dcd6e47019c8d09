"""Questions to services that may not answer, asked so that nobody waits longer than they want to.

A question is asked in a thread of its own, and never twice at a time: however many want to know, and however long a
service hangs, there is one thread per question.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Answered(Generic[Fact]):
    """The service answered."""

    fact: Fact
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The service refused or cannot be reached."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The service has not answered in time; the question still waits."""

    seconds: float


class Question(Generic[Fact]):
    """Something that can be asked of a service.

    Args:
        name: of the thread, for those who look at a process.
        ask: returns the fact.
        failures: exceptions of ``ask`` that mean the service is at fault; others are raised to whoever asks.
    """

    def __init__(self, name: str, ask: Callable[[], Fact], failures: tuple[type[Exception], ...]) -> None:
        self._name = name
        self._ask = ask
        self._failures = failures
        self._lock = threading.Lock()
        self._pending: Future[Answered[Fact] | Failed] | None = None

    def put(self) -> Future[Answered[Fact] | Failed]:
        """Ask, or join those who are waiting for the answer already."""
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending = Future()
                thread = threading.Thread(target=self._run, args=(self._pending,), name=self._name, daemon=True)
                thread.start()
            return self._pending

    def _run(self, pending: Future[Answered[Fact] | Failed]) -> None:
        started = time.perf_counter()
        try:
            fact = self._ask()
        except self._failures as failure:
            pending.set_result(Failed(type(failure).__name__, time.perf_counter() - started))
        except BaseException as error:
            pending.set_exception(error)
        else:
            pending.set_result(Answered(fact, time.perf_counter() - started))


def answer_within(pending: Future[Answered[Fact] | Failed], seconds: float) -> Answered[Fact] | Failed | Unanswered:
    """Wait for an answer, at most so long."""
    try:
        return pending.result(timeout=max(0.0, seconds))
    except TimeoutError:
        return Unanswered(seconds)
