"""What a process of the load is told to do. Plans cross to it as JSON on its command line."""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict, dataclass
from typing import Self


class Plan:
    """A frozen dataclass that can be written as JSON."""

    __slots__ = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}
        )


@dataclass(frozen=True, slots=True)
class Load(Plan):
    """Requests of many clients, from every process alike; it ends after ``seconds`` or on SIGTERM.

    ``paths`` are asked in turn. The first ``greedy`` clients make half of all requests. Of the others every second one
    asks only within ``edge`` seconds of the beginning of a period, where counters of windows are weakest.
    ``pause`` is the number of seconds between two requests of one process.
    """

    paths: tuple[str, ...]
    clients: int
    seconds: float
    seed: int
    greedy: int = 0
    period: float = 1.0
    edge: float = 0.0
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Edits(Plan):
    """Committed changes, one after the other, of ``policies`` in turn, in the ways of ``how`` in turn.

    Edit number n, from 1 to ``count``, sets the limit to ``base`` + n, or where there is no ``base`` the comment.
    ``seconds`` end it at the latest.
    """

    policies: tuple[str, ...]
    count: int
    base: int = 0
    how: tuple[str, ...] = ("save",)
    pause: float = 0.0
    seconds: float = 300.0


class Crowd:
    """Chooses who asks next, by a load's plan."""

    def __init__(self, load: Load, process: int) -> None:
        self._load = load
        self._random = random.Random(f"{load.seed}/{process}")
        others = range(load.greedy, load.clients)
        self._greedy = range(load.greedy)
        self._steady = [client for client in others if not load.edge or client % 2 == 0]
        self._all = list(others)

    def next(self, now: float) -> int:
        """The number of a client; ``now`` in seconds since the epoch, from which periods are counted."""
        if self._greedy and self._random.random() < 0.5:
            return self._random.choice(self._greedy)
        return self._random.choice(self._all if self._is_near_edge(now) else self._steady)

    def _is_near_edge(self, now: float) -> bool:
        period = self._load.period
        return abs(now - round(now / period) * period) <= self._load.edge or math.isclose(self._load.edge, 0)
