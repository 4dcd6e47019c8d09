from __future__ import annotations

import itertools

from securenet.security.scanner.progress import Progress


def test_calls_are_at_least_the_interval_apart():
    now = 0.0
    calls: list[float] = []
    progress = Progress(100, lambda done, total, message: calls.append(now), interval=0.2, clock=lambda: now)
    for step in range(1000):
        now = step / 100
        progress.advance()
        progress.beat()
    gaps = [later - earlier for earlier, later in itertools.pairwise(calls)]
    assert len(calls) >= 49
    assert min(gaps) >= 0.2 - 1e-9


def test_the_last_call_tells_the_final_state():
    calls: list[tuple[int, int, str]] = []
    progress = Progress(3, lambda *state: calls.append(state))
    progress.advance(3)
    progress.say("443/tcp open")
    progress.finish()
    assert calls[-1] == (3, 3, "443/tcp open")
