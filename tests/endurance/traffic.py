"""A process that sends mixed traffic: ``python -m tests.endurance.traffic``.

Reads an `Errand` as a line of JSON; answers with a line for every `REPORT_EVERY` requests and one at the end:
``[requests so far, {what status: count}, longest seconds, failures]``. Which requests it sends follows from the seed;
how fast, from the machine.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

REPORT_EVERY: Final = 200
KEPT_ALIVE: Final = 500  # requests on one connection
LINE: Final = "Nov 23 10:00:00 gate sshd[{pid}]: Failed password for {user} from {address} port {port} ssh2"


@dataclass(frozen=True, slots=True)
class Errand:
    """What one process does.

    Attributes:
        port: of the web server, on loopback.
        requests: how many it sends.
        tokens: of users whose requests are admitted.
        limited: tokens of users who may do little, so that most of theirs are refused.
    """

    port: int
    requests: int
    seed: int
    tokens: list[str]
    limited: list[str]

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    what: str
    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


class Mix:
    """Chooses requests: hits most of all, and some of everything that leaves something behind."""

    def __init__(self, errand: Errand) -> None:
        self._random = random.Random(errand.seed)
        self._errand = errand
        self._etags: dict[str, str] = {}
        self.assets: list[int] = []
        kinds: list[tuple[int, Callable[[], Ask]]] = [
            (560, self._cached), (120, self._conditional), (30, self._search), (30, self._uncached),
            (80, self._refused), (60, self._stranger), (3, self._bad_sign_in), (30, self._log_lines),
            (2, self._new_asset), (2, self._drop_asset), (1, self._job), (3, self._readiness), (79, self._liveness),
        ]  # fmt: skip
        self._weights, self._kinds = zip(*kinds, strict=True)

    def next(self) -> Ask:
        """The next request."""
        (kind,) = self._random.choices(self._kinds, self._weights)
        ask: Ask = kind()
        return ask

    def learn(self, ask: Ask, status: int, headers: http.client.HTTPMessage, body: bytes) -> None:
        """Remember ETags and what was made, for later requests."""
        if status == 200 and (etag := headers.get("ETag")):
            self._etags[ask.path] = etag
        if ask.what == "asset made" and status == 201:
            self.assets.append(json.loads(body)["id"])

    def _as_user(self, **headers: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._random.choice(self._errand.tokens)}", **headers}

    def _cached(self) -> Ask:
        paths = ["/api/dashboard/cached", "/api/security/findings", "/api/security/summary", "/api/network/assets",
                 "/api/notifications"]  # fmt: skip
        return Ask("hit or miss", "GET", self._random.choice(paths), self._as_user(**{"Accept-Encoding": "gzip"}))

    def _conditional(self) -> Ask:
        path = self._random.choice(["/api/security/findings", "/api/network/assets"])
        return Ask("conditional", "GET", path, self._as_user(**{"If-None-Match": self._etags.get(path, '"none"')}))

    def _search(self) -> Ask:
        path = f"/api/security/findings?search={self._random.randrange(10**9)}"
        return Ask("miss", "GET", path, self._as_user())

    def _uncached(self) -> Ask:
        return Ask("uncached", "GET", "/api/performance/background-job", self._as_user())

    def _refused(self) -> Ask:
        token = self._random.choice(self._errand.limited)
        return Ask("limited", "GET", "/api/notifications", {"Authorization": f"Bearer {token}"})

    def _stranger(self) -> Ask:
        return Ask("anonymous", "GET", "/api/dashboard/cached", self._from_anywhere())

    def _bad_sign_in(self) -> Ask:
        name = f"guess-{self._random.randrange(10**6)}"
        body = {"username": name, "password": "wrong"}
        return Ask("bad sign-in", "POST", "/api/auth/token", self._from_anywhere(), body)

    def _log_lines(self) -> Ask:
        lines = [
            LINE.format(
                pid=self._random.randrange(99_999), user=f"user{self._random.randrange(300)}",
                address=self._address(), port=self._random.randrange(1024, 65_535),
            )
            for _ in range(self._random.randint(1, 4))
        ]  # fmt: skip
        return Ask("log lines", "POST", "/api/logs", self._as_user(), {"lines": lines, "source": "soak"})

    def _new_asset(self) -> Ask:
        body = {"address": self._address(), "name": f"host-{self._random.randrange(10**9)}"}
        return Ask("asset made", "POST", "/api/network/assets", self._as_user(), body)

    def _drop_asset(self) -> Ask:
        if not self.assets:
            return self._new_asset()
        return Ask("asset dropped", "DELETE", f"/api/network/assets/{self.assets.pop()}", self._as_user())

    def _job(self) -> Ask:
        body = self._random.choice(
            [
                {"type": "log_analysis"},
                {"type": "cache_warm", "params": {"policies": ["dashboard"]}},
                {"type": "security_scan", "params": {"targets": ["127.0.0.1"], "ports": "1-64"}},
            ]
        )
        return Ask("job", "POST", "/api/performance/background-job", self._as_user(), body)

    def _readiness(self) -> Ask:
        return Ask("readiness", "GET", self._random.choice(["/readyz", "/metrics"]), {})

    def _liveness(self) -> Ask:
        return Ask("liveness", "GET", "/livez", {})

    def _from_anywhere(self) -> dict[str, str]:
        return {"X-Forwarded-For": self._address()}

    def _address(self) -> str:
        return f"198.{self._random.choice((18, 19))}.{self._random.randrange(256)}.{self._random.randrange(1, 255)}"


def carry_out(errand: Errand) -> None:
    """Send all of it, and report."""
    mix = Mix(errand)
    answers, failures, longest = Counter[str](), list[str](), 0.0
    connection: http.client.HTTPConnection | None = None
    for number in range(1, errand.requests + 1):
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", errand.port, timeout=60)
        ask = mix.next()
        body = None if ask.body is None else json.dumps(ask.body)
        headers = ask.headers if body is None else {**ask.headers, "Content-Type": "application/json"}
        begun = time.monotonic()
        try:
            connection.request(ask.method, ask.path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{ask.what}: {error!r}")
            connection = None
            continue
        longest = max(longest, time.monotonic() - begun)
        answers[f"{ask.what} {response.status}"] += 1
        mix.learn(ask, response.status, response.headers, content)
        if response.will_close or number % KEPT_ALIVE == 0:
            connection.close()
            connection = None
        if number % REPORT_EVERY == 0 and number < errand.requests:
            print(json.dumps([number, dict(answers), longest, failures]), flush=True)
    print(json.dumps([errand.requests, dict(answers), longest, failures]), flush=True)


if __name__ == "__main__":
    carry_out(Errand(**json.loads(sys.stdin.readline())))
