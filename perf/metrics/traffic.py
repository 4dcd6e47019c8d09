"""The record of recent traffic, over which policies are previewed: what decided about each request, and what it took.

No bodies, no parameters, no names and no addresses: clients stand in it as keyed hashes. It is written with the notes
of the statistics, so that it costs no command of its own, and it expires.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponseBase

from perf.conf import setting
from perf.gate import keys
from perf.gate.callers import Caller
from perf.gate.notes import notes
from perf.gate.outcome import Allowed, Blocked, CacheState
from perf.gate.store import store
from perf.records import RequestRecord

LONGEST_PATH = 256
CHUNK_SECONDS = 300  # of statistics.lua
_SHARES = 1 << 24
_LISTS_AT_A_TIME = 4


class Visit(NamedTuple):
    """One recorded request.

    Attributes:
        at: Redis' time of the decision, microseconds.
        method, path, view_name, throttle_scope: what policies match by; the path without its query.
        roles, signed_in: of the caller.
        user, address: keyed hashes; ``user`` is empty for strangers.
        verdict: `allowed`, `blocked` (429), or `exempt` (an access rule spares the caller).
        status: of the response; 0 where there was none.
        size: bytes of the body; -1 where it was streamed.
        seconds: for the whole response; ``app_seconds`` without the gate.
        entry: digest of the cache entry; empty where the cache was not asked.
        cache: what the cache had, by `CacheState`; empty where it was not asked.
    """

    at: int
    method: str
    path: str
    view_name: str
    throttle_scope: str
    roles: frozenset[str]
    signed_in: bool
    user: str
    address: str
    verdict: str
    status: int
    size: int
    seconds: float
    app_seconds: float
    entry: str
    cache: str

    @property
    def client(self) -> str:
        """Who it was, as a hash."""
        return self.user or self.address

    def counted_as(self, count_by: str) -> tuple[str, ...]:
        """As `Caller.counted_as`, with hashes for names and addresses."""
        match count_by:
            case "user" | "user_or_ip" if self.signed_in:
                return ("user", self.user)
            case "user" | "user_or_ip" | "ip":
                return ("ip", self.address)
            case "role":
                return ("role", *sorted(self.roles))
            case _:
                return ("everyone",)


def note_visit(request: HttpRequest, record: RequestRecord, response: HttpResponseBase, total: float) -> None:
    """Record a request that policies decided about, if its client is among those recorded."""
    outcome, caller = record.outcome, record.caller
    if outcome is None or caller is None or not outcome.decided_at or not record.was_throttled or record.is_warming:
        return
    share = setting("TRAFFIC_SHARE")
    admission = outcome.admission
    if share <= 0 or not isinstance(admission, Allowed | Blocked) or len(request.path_info) > LONGEST_PATH:
        return
    user, address = _hashes(caller)
    if share < 1 and not is_chosen(user or address, share):
        return
    match = request.resolver_match
    lookup = record.cache_lookup
    verdict = "b" if isinstance(admission, Blocked) else "e" if outcome.is_exempt else "a"
    size = -1 if response.streaming else len(response.content)  # type: ignore[attr-defined]
    visit = (
        outcome.decided_at, request.method, request.path_info, match.view_name if match else "", record.throttle_scope,
        sorted(caller.roles), user, address, verdict, response.status_code, size, round(total * 1e6),
        round((total - record.gate_seconds) * 1e6),
        lookup.key.rpartition(":")[2] if lookup is not None and outcome.cache is not None else "",
        outcome.cache.state.value if outcome.cache is not None else "",
    )  # fmt: skip
    notes.note_traffic(json.dumps(visit, separators=(",", ":")), int(setting("TRAFFIC_SECONDS")))


def is_chosen(client: str, share: float) -> bool:
    """Whether a client is among the share of those that are recorded: always all of its requests, or none."""
    return int.from_bytes(client[:4].encode(), "big") * 2654435761 % _SHARES < share * _SHARES


def read_traffic(most: int, now: float | None = None) -> list[Visit]:
    """The newest ``most`` recorded requests, the oldest first. Raises `StoreUnavailable`."""
    last = int((time.time() if now is None else now) // CHUNK_SECONDS) + 1
    first = last - int(setting("TRAFFIC_SECONDS")) // CHUNK_SECONDS - 2
    found: list[Visit] = []
    for end in range(last, first, -_LISTS_AT_A_TIME):
        names = [f"{keys.traffic()}{number}" for number in range(end, max(first, end - _LISTS_AT_A_TIME), -1)]
        for texts in _lists(names, most - len(found)):
            found.extend(_visits(texts))
        if len(found) >= most:
            break
    found.sort(key=lambda visit: visit.at)
    return found[-most:]


def _lists(names: list[str], most: int) -> list[list[bytes]]:
    def ask(client: Any) -> list[list[bytes]]:
        pipeline = client.pipeline(transaction=False)
        for name in names:
            pipeline.lrange(name, -most, -1)
        answer: list[list[bytes]] = pipeline.execute()
        return answer

    found: list[list[bytes]] = store.ask(ask)
    return found


def _visits(texts: list[bytes]) -> Iterator[Visit]:
    for one in json.loads(b"[%s]" % b",".join(texts)):
        at, method, path, view, scope, roles, user, address, verdict, status, size, total, app, entry, cache = one
        yield Visit(
            at, method, path, view, scope, _role_set(tuple(roles)), bool(user), user, address, _VERDICTS[verdict],
            status, size, total / 1e6, app / 1e6, entry, cache,
        )  # fmt: skip


_VERDICTS = {"a": "allowed", "b": "blocked", "e": "exempt"}
COMPUTED = frozenset({CacheState.MISS.value, CacheState.REFRESH.value, CacheState.UNSTORABLE.value})


@lru_cache(maxsize=1024)
def _role_set(roles: tuple[str, ...]) -> frozenset[str]:
    return frozenset(roles)


def _hashes(caller: Caller) -> tuple[str, str]:
    """The hashes of user and address; that of the user is empty for strangers."""
    user = "" if caller.user_id is None else _hash("user", caller.user_id, setting("KEY_PREFIX"))
    return user, _hash("ip", caller.counted_as("ip")[1], setting("KEY_PREFIX"))


@lru_cache(maxsize=1024)
def _hash(kind: str, name: str, _prefix: str) -> str:
    return keys.digest(("traffic", kind, name))[:12]
