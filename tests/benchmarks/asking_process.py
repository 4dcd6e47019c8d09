"""One of the processes that ask a limiter at the same time: `python -m tests.benchmarks.asking_process`.

Reads a `Task` per line from standard input and answers each with a line: the attempts it made, as lists
[client, begun, ended, admitted], in seconds of the clock that all processes of the machine share.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import django
from django.conf import settings


@dataclass(frozen=True, slots=True)
class Task:
    """What the processes do together; each makes its part of every client's requests.

    Each client makes one request and is silent, every client for another part of the first period; then it asks for
    twice its limit at once, and goes on at ``overload`` times what it may, until ``seconds`` are over. So the bursts of
    some clients come just before a window ends, whether windows begin by the clock or with the first request.
    """

    limiter: str
    processes: int
    clients: int
    limit: int
    period: float
    overload: float
    seconds: float
    starts_at: float = 0.0  # of the monotonic clock

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    def attempts(self, process: int) -> list[tuple[float, int]]:
        """When this process asks for which client: (seconds from the start, client)."""
        planned: list[tuple[float, int]] = []
        for client in range(self.clients):
            for number, at in enumerate(self._times(client)):
                if number % self.processes == process:
                    planned.append((at, client))
        return sorted(planned)

    def _times(self, client: int) -> Iterator[float]:
        begin = client / self.clients * self.period
        yield 0.0
        yield from [begin] * (2 * self.limit)
        pause = self.period / self.limit / self.overload
        steady = int((self.seconds - begin) / pause)
        yield from (begin + number * pause for number in range(1, steady))


def carry_out(task: Task, process: int) -> list[tuple[int, float, float, bool]]:
    """Ask at the planned times, or as soon after as this process can."""
    from tests.benchmarks import limiters

    (limiter,) = [limiter for limiter in (*limiters.PEERS, *limiters.PERF) if limiter.name == task.limiter]
    admits = limiters.admission(limiter)
    admits(task.clients)  # connections, snapshot and scripts are there before the clock starts
    made = []
    for at, client in task.attempts(process):
        time.sleep(max(0.0, task.starts_at + at - time.monotonic()))
        begun = time.monotonic()
        admitted = admits(client)
        made.append((client, begun, time.monotonic(), admitted))
    return made


def main() -> None:
    django.setup()
    settings.BENCH_RATE = tuple(json.loads(os.environ["BENCH_RATE"]))
    for line in sys.stdin:
        print(json.dumps(carry_out(Task(**json.loads(line)), int(sys.argv[1]))), flush=True)


if __name__ == "__main__":
    main()
