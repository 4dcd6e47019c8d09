"""The Idempotency-Key of a request (draft-ietf-httpapi-idempotency-key-header).

The database lets only one job come of a key. What is here makes those who repeat a request while the first is being
answered know of it at once, instead of waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rest_framework.request import Request

from perf.gate import keys
from perf.gate.store import StoreUnavailable, store
from perf.problems import Problem

HEADER = "Idempotency-Key"
MAX_LENGTH = 255
# Longer than any request takes; a process that was killed lets go of its keys after this.
IN_FLIGHT_SECONDS = 30


class RequestInFlight(Problem):
    """The first request with this key has not been answered yet."""

    def __init__(self) -> None:
        super().__init__(
            409,
            "Request in flight",
            f"A request with this {HEADER} is being answered; repeat it in a second to get the same answer.",
            headers={"Retry-After": "1"},
        )


@contextmanager
def idempotency_key(request: Request) -> Iterator[str]:
    """Give the request's key ("" without one); nobody else has it until the end of the block.

    Where Redis is away, those who repeat a request wait for the database instead of being told.

    Raises:
        RequestInFlight: somebody else is inside the block with this user's key.
        Problem: 400, the key is too long.
    """
    key = request.headers.get(HEADER, "").strip()
    if len(key) > MAX_LENGTH:
        detail = f"An {HEADER} has at most {MAX_LENGTH} characters."
        raise Problem(400, "Invalid input", detail, errors=[{"field": HEADER, "detail": detail, "code": "invalid"}])
    if not key:
        yield key
        return
    marker = keys.in_flight(str(request.user.pk), key)
    if not _take(marker):
        raise RequestInFlight
    try:
        yield key
    finally:
        _let_go(marker)


def _take(marker: str) -> bool:
    try:
        return bool(store.ask(lambda client: client.set(marker, b"", nx=True, ex=IN_FLIGHT_SECONDS)))
    except StoreUnavailable:
        return True


def _let_go(marker: str) -> None:
    try:
        store.ask(lambda client: client.delete(marker))
    except StoreUnavailable:
        return  # it expires by itself
