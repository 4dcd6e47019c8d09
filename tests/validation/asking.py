"""Many requests at once or one after the other, to both web servers, and what they were answered."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx

from tests.acceptance.answers import rate_limits
from tests.validation.site import MeasuredSite

Ask = Callable[[httpx.Client], httpx.Response]


def unasked(path: str) -> str:
    """``path`` with a query that nobody has asked before."""
    return f"{path}{'&' if '?' in path else '?'}test={uuid.uuid4().hex}"


def getting(path: str) -> Ask:
    """Asks for ``path``."""
    return lambda client: client.get(path)


def await_that(condition: Callable[[], bool], otherwise: str, within: float = 40.0) -> None:
    """Ask until ``condition()`` is true, seldom enough for the limits; a TimeoutError after ``within`` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{otherwise} within {within:g} s.")
        time.sleep(0.3)


@contextmanager
def both_servers(site: MeasuredSite, username: str = "", address: str = "127.0.0.1") -> Iterator[list[httpx.Client]]:
    """Clients of web server A and B, signed in as ``username`` if given."""
    with ExitStack() as stack:
        yield [stack.enter_context(site.client(username, server=server, address=address)) for server in "ab"]


def at_once(clients: Sequence[httpx.Client], ask: Ask, times: int, threads: int = 8) -> list[httpx.Response]:
    """The answers to ``times`` requests that go to the clients in turn, ``threads`` at a time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(ask, [clients[number % len(clients)] for number in range(times)]))


def statuses(answers: Sequence[httpx.Response]) -> dict[int, int]:
    """Status → how many."""
    return dict(sorted(Counter(answer.status_code for answer in answers).items()))


def remaining(answers: Sequence[httpx.Response], policy: str) -> list[int]:
    """What each admitted answer says is left of ``policy``, the most first."""
    admitted = [answer for answer in answers if answer.status_code != 429]
    return sorted((rate_limits(answer)[policy]["r"] for answer in admitted), reverse=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]
