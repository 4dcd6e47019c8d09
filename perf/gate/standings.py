"""Where a client stands with its limits, read and reset without counting anything. Off the hot path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perf.gate.callers import Caller, counter_keys
from perf.gate.scripts import load_script
from perf.gate.store import store
from perf.policies.snapshot import LimitRule

_SECOND = 1_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Standing:
    """What a client used of a limit. ``reset`` is the number of seconds until used units start to come back."""

    rule: LimitRule
    used: int
    remaining: int
    reset: float


def read_standings(rules: Sequence[LimitRule], caller: Caller) -> list[Standing]:
    """Ask Redis where ``caller`` stands with each of ``rules``. Raises `StoreUnavailable`."""
    if not rules:
        return []
    arguments: list[str | int] = []
    for rule in rules:
        arguments += (rule.algorithm, rule.limit, rule.period * _SECOND, rule.capacity)
    reply = store.run(load_script("read_limits"), [counter_keys(rule, caller)[0] for rule in rules], arguments)
    return [
        Standing(rule, used, remaining, reset / _SECOND)
        for rule, (used, remaining, reset) in zip(rules, reply, strict=True)
    ]


def forget_standings(rules: Sequence[LimitRule], caller: Caller) -> int:
    """Forget what ``caller`` used of ``rules``; returns how many counters there were. Raises `StoreUnavailable`."""
    counters = [counter_keys(rule, caller)[0] for rule in rules]
    return int(store.ask(lambda client: client.unlink(*counters))) if counters else 0
