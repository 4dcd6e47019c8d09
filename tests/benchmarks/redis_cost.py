"""What requests cost Redis, as Redis itself counts it: commands, bytes it receives and bytes it sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django_redis import get_redis_connection

from tests.benchmarks.rounds import Answer
from tests.integration.helpers import redis_commands, undisturbed

MONITORED = 2  # requests that `cost_of` makes beside those it counts


@dataclass(frozen=True, slots=True)
class RedisCost:
    """The cost of one request. Bytes are on the wire, as the protocol has them.

    Attributes:
        sent: names of the commands that a request sends.
        executed: how many commands Redis executes, with those that scripts call.
    """

    sent: Sequence[str]
    executed: float
    received_bytes: float
    sent_bytes: float

    def commands(self) -> str:
        """How many commands, and which: ``1 (EVALSHA, 7.1 inside)``."""
        names = list(self.sent)
        if (inside := self.executed - len(self.sent)) > 0.05:
            names.append(f"{inside:.1f} inside")
        return f"{len(self.sent)} ({', '.join(names)})"

    def wire(self) -> str:
        """Bytes to Redis and from it."""
        return f"{self.received_bytes:,.0f} / {self.sent_bytes:,.0f}"


def cost_of(answer: Answer, requests: int) -> RedisCost:
    """Make ``requests`` requests with INFO before and after them, and one that MONITOR watches.

    perf's notes of its requests ride along on them and are counted; its background thread, which delivers them when
    requests cease, stays silent meanwhile.
    """
    client = get_redis_connection("default")
    sent = sent_by(answer)
    with undisturbed(), redis_commands() as executed:
        idle, first = _wire_bytes(client), _wire_bytes(client)  # what reading INFO costs, between the two
        for _ in range(requests):
            answer()
        last = _wire_bytes(client)
    del executed["info"]
    received, given = (end - 2 * begin + before for before, begin, end in zip(idle, first, last, strict=True))
    return RedisCost(sent, executed.total() / requests, received / requests, given / requests)


def sent_by(answer: Answer) -> list[str]:
    """The names of the commands one request sends, without those that scripts call."""
    client = get_redis_connection("default")
    with undisturbed(), client.monitor() as monitor:
        answer()  # opens a connection, where none is left
        client.echo("begin")
        answer()
        client.echo("end")
        seen: list[dict[str, str]] = []
        while not seen or seen[-1]["command"] != "ECHO end":
            seen.append(monitor.next_command())
    commands = [command["command"].split()[0].upper() for command in seen if command["client_type"] != "lua"]
    return commands[commands.index("ECHO") + 1 : -1]


def listed(commands: Sequence[str]) -> str:
    """How many commands, and which: ``2 (GET, SET)``."""
    return f"{len(commands)} ({', '.join(commands)})" if commands else "0"


def _wire_bytes(client: Any) -> tuple[int, int]:
    """Bytes that Redis has received and sent since its start."""
    stats = client.info("stats")
    return stats["total_net_input_bytes"], stats["total_net_output_bytes"]
