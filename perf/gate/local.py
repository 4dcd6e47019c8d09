"""Limits without Redis: each process holds its share, in memory, until Redis is back."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from threading import Lock

from perf.gate.outcome import LimitState
from perf.policies.snapshot import LimitRule

MAX_CLIENTS = 10_000


class LocalLimiter:
    """A sliding log per client and rule; the log holds at most the process's share of the limit."""

    def __init__(self) -> None:
        self._logs: OrderedDict[tuple[int | str, str], deque[float]] = OrderedDict()
        self._lock = Lock()

    def decide(self, rule: LimitRule, client: str, processes: int, now: float | None = None) -> LimitState:
        """Decide one request by ``rule``'s share for one of ``processes``; ``now`` in monotonic seconds."""
        now = time.monotonic() if now is None else now
        share = max(1, rule.limit // max(1, processes))
        with self._lock:
            log = self._log(rule, client)
            while log and log[0] + rule.period <= now:
                log.popleft()
            allowed = len(log) + rule.cost <= share
            if allowed:
                log.extend([now] * rule.cost)
            remaining = max(0, share - len(log))
            reset = log[0] + rule.period - now if log else 0.0
            missing = len(log) + rule.cost - share
            wait = 0.0 if allowed else log[min(missing, len(log)) - 1] + rule.period - now if log else rule.period
        return LimitState(rule, allowed, remaining, reset, wait)

    def _log(self, rule: LimitRule, client: str) -> deque[float]:
        key = (rule.id, client)
        log = self._logs.setdefault(key, deque())
        self._logs.move_to_end(key)
        while len(self._logs) > MAX_CLIENTS:
            self._logs.popitem(last=False)
        return log


limiter = LocalLimiter()
