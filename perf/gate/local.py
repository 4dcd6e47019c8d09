"""Limits without Redis: each process holds its share, in memory, until Redis is back.

Whatever the algorithm of a policy, its share is kept as a sliding window, by the scheme of sliding_window.lua: never
more than the share in any period, in constant memory per client.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from perf.gate.outcome import LimitState
from perf.policies.snapshot import LimitRule

MAX_COUNTERS = 10_000
SUB_WINDOWS = 24


class Counter:
    """What one client used of one limit: per sub-window the time of its latest request, and the amount."""

    __slots__ = ("used", "uses")

    def __init__(self) -> None:
        self.uses: list[tuple[float, int]] = []
        self.used = 0

    def forget(self, before: float) -> None:
        """Drop what was used at or before this time."""
        kept = [use for use in self.uses if use[0] > before]
        if len(kept) < len(self.uses):
            self.uses = kept
            self.used = sum(amount for _, amount in kept)

    def charge(self, amount: int, now: float, width: float) -> None:
        """Use ``amount``; ``width`` is that of a sub-window in seconds."""
        self.used += amount
        if self.uses and math.floor(self.uses[-1][0] / width) == math.floor(now / width):
            amount += self.uses.pop()[1]
        self.uses.append((now, amount))

    def time_of(self, amount: int) -> float:
        """When the last of the oldest ``amount`` was used."""
        for at, used in self.uses:
            amount -= used
            if amount <= 0:
                return at
        return self.uses[-1][0]


class LocalLimiter:
    """The counters of this process; the least recently used go when there are too many."""

    def __init__(self) -> None:
        self._counters: OrderedDict[tuple[int | str, str], Counter] = OrderedDict()
        self._lock = Lock()

    def decide(
        self, limits: Sequence[tuple[LimitRule, str]], processes: int, now: float | None = None
    ) -> tuple[LimitState, ...]:
        """Decide one request by this process's share, one of ``processes``, of all its limits together.

        Args:
            limits: the rules, and by what name each counts the client.
            processes: how many processes share the limits.
            now: monotonic seconds; the clock's by default.

        As in the gate, nothing is charged unless all allow, but for penalties.
        """
        now = time.monotonic() if now is None else now
        with self._lock:
            counters = [self._counter(rule, client) for rule, client in limits]
            shares = [_share(rule, processes) for rule, _ in limits]
            allowed = []
            for (rule, _), counter, share in zip(limits, counters, shares, strict=True):
                counter.forget(before=now - rule.period)
                allowed.append(counter.used + rule.cost <= share)
            all_allow = all(yes or rule.observe for yes, (rule, _) in zip(allowed, limits, strict=True))
            states = []
            for (rule, _), counter, share, yes in zip(limits, counters, shares, allowed, strict=True):
                if rule.cost and (all_allow if yes else rule.penalty):
                    counter.charge(rule.cost, now, rule.period / SUB_WINDOWS)
                states.append(_state(rule, counter, share, yes, now))
            return tuple(states)

    def _counter(self, rule: LimitRule, client: str) -> Counter:
        key = (rule.id, client)
        counter = self._counters.setdefault(key, Counter())
        self._counters.move_to_end(key)
        while len(self._counters) > MAX_COUNTERS:
            self._counters.popitem(last=False)
        return counter


def _share(rule: LimitRule, processes: int) -> int:
    """At least one request, so that a small limit does not become a ban."""
    return max(1, rule.cost, rule.limit // max(1, processes))


def _state(rule: LimitRule, counter: Counter, share: int, allowed: bool, now: float) -> LimitState:
    reset = counter.uses[0][0] + rule.period - now if counter.uses else 0.0
    wait = 0.0 if allowed else counter.time_of(counter.used + rule.cost - share) + rule.period - now
    return LimitState(rule, allowed, max(0, share - counter.used), reset, wait)


limiter = LocalLimiter()
