"""The clients: many threads in one process, each a person or a program, each recording every request it makes.

``python -m tests.chaos.storm.client RECORDS PLAN``, PLAN being JSON: see `main`. It ends on SIGTERM.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from tests.chaos.storm import plan
from tests.chaos.storm.record import LOST, Exchange

TIMEOUT = 60.0  # seconds; far beyond what a request may take
LINE = "Nov 23 10:00:00 gate sshd[1]: Failed password for {name} from 192.0.2.1 port 4711 ssh2"
NOTICE = "storm: "  # begins the title of the one notification each user has from the beginning
HOME = "127.0.0.1"  # the address of everybody who is signed in


@dataclass
class Shared:
    """What the threads of this process have in common."""

    port: int
    tokens: dict[str, str]
    findings: list[int]
    stopped: threading.Event
    file: TextIO
    lock: threading.Lock = field(default_factory=threading.Lock)
    jobs: dict[str, str] = field(default_factory=dict)  # id of a job → who submitted it

    def write(self, exchange: Exchange) -> None:
        """Record a request."""
        with self.lock:
            self.file.write(exchange.line())


class Client:
    """One client with one connection at a time, kept alive while the server does."""

    def __init__(self, shared: Shared, name: str, seed: int, *, role: str = "", user: str = "", address: str) -> None:
        self.shared, self.name, self.role, self.user, self.address = shared, name, role, user, address
        self.random = random.Random(f"{seed}/{name}")
        self._connection: http.client.HTTPConnection | None = None

    def ask(
        self, kind: str, path: str, method: str = "GET", body: object = None, sent: str = "", **headers: str
    ) -> Exchange:
        """Make one request and record it."""
        blank = Exchange(0, 0, self.name, kind, self.user, self.role, self.address, method, path, LOST, sent=sent)
        if self.user:
            headers["Authorization"] = f"Bearer {self.shared.tokens[self.user]}"
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        started = time.monotonic_ns()
        try:
            response, content = self._send(method, path, data, headers)
        except (OSError, http.client.HTTPException) as error:
            self._close()
            exchange = replace(blank, started=started, ended=time.monotonic_ns(), problem=repr(error)[:200])
        else:
            exchange = _with_answer(replace(blank, started=started, ended=time.monotonic_ns()), response, content)
            if response.will_close:
                self._close()
        self.shared.write(exchange)
        return exchange

    def _send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self.shared.port, timeout=TIMEOUT, source_address=(self.address, 0)
            )
        self._connection.request(method, path, body=data, headers=headers)
        response = self._connection.getresponse()
        return response, response.read()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _with_answer(blank: Exchange, response: http.client.HTTPResponse, content: bytes) -> Exchange:
    return replace(
        _with_facts(blank, response, content),
        status=response.status,
        limits=response.getheader("RateLimit-Policy", ""),
        standing=response.getheader("RateLimit", ""),
        retry_after=response.getheader("Retry-After", ""),
        cache=response.getheader("Cache-Status", ""),
        digest=hashlib.blake2b(content, digest_size=16).hexdigest(),
    )


def _with_facts(blank: Exchange, response: http.client.HTTPResponse, content: bytes) -> Exchange:
    """What the body says of itself."""
    try:
        body: Any = json.loads(content)
    except ValueError:
        return replace(blank, problem=f"no JSON: {content[:80]!r}")
    if response.status >= 400:
        return replace(blank, problem=str(body.get("title", "")))
    match blank.kind:
        case "notifications":
            titles = {one["title"] for one in body["results"]}
            owners = sorted(title.removeprefix(NOTICE) for title in titles if title.startswith(NOTICE))
            return replace(blank, owner=", ".join(owners))
        case "submit":
            return replace(blank, got=body["id"])
        case "mine" | "role" | "everyone" | "cookie":
            return replace(blank, owner=body["owner"], call=body.get("call", ""))
    return blank


def reader(client: Client) -> None:
    """Looks at what is cached and at what is not, and tries to look at the jobs of others."""
    kinds = [*plan.CACHED, "mine", "role", "everyone", "notifications", "dashboard", "findings", "foreign job"]
    paths = {
        **{kind: f"/api/storm/{kind}" for kind in plan.CACHED},
        "notifications": "/api/notifications",
        "dashboard": "/api/dashboard/cached",
        "findings": f"/api/security/findings?page_size=1&after={client.name}",
    }
    while not client.shared.stopped.is_set():
        kind = client.random.choice(kinds)
        if kind == "foreign job":
            foreign = [job for job, user in list(client.shared.jobs.items()) if user != client.user]
            if foreign and client.role not in ("platform_owner", "security_admin"):
                client.ask(kind, f"/api/performance/background-job/{client.random.choice(foreign)}")
        else:
            client.ask(kind, paths[kind])
        client.shared.stopped.wait(client.random.uniform(0.02, 0.1))


def greedy(client: Client) -> None:
    """Asks for more than its limits allow."""
    kinds = [(path, "limited") for path in plan.LIMITED] + [(plan.LOCAL, "local")]
    while not client.shared.stopped.is_set():
        path, kind = client.random.choice(kinds)
        client.ask(kind, path)
        client.shared.stopped.wait(client.random.uniform(0.0, 0.03))


def watcher(client: Client) -> None:
    """Looks at the policy that is edited, again and again."""
    while not client.shared.stopped.is_set():
        client.ask("open", plan.OPEN)
        client.shared.stopped.wait(client.random.uniform(0.01, 0.05))


def ingester(client: Client) -> None:
    """Sends log lines, each until it is acknowledged."""
    number = 0
    while not client.shared.stopped.is_set():
        number += 1
        name = f"{client.name}-{number}"
        body = {"lines": [LINE.format(name=name)], "source": "storm"}

        def send(name: str = name, body: dict[str, Any] = body) -> bool:
            return client.ask("log", "/api/logs", "POST", body, sent=name).status == 201

        _until_done(client, send)
        client.shared.stopped.wait(client.random.uniform(0.05, 0.2))


def triager(client: Client) -> None:
    """Writes notes on findings, numbered; nobody else writes on these."""
    number = 0
    while not client.shared.stopped.is_set():
        number += 1
        finding = client.random.choice(client.shared.findings)
        client.ask(
            "triage", f"/api/security/findings/{finding}", "PATCH", {"triage_note": str(number)}, f"{finding}/{number}"
        )
        client.shared.stopped.wait(client.random.uniform(0.1, 0.3))


def submitter(client: Client) -> None:
    """Submits jobs, each with a key until it is accepted; then repeats some of the keys."""
    number, accepted = 0, []
    path = "/api/performance/background-job"
    while not client.shared.stopped.is_set():
        number += 1
        key = f"{client.name}-{number}"
        kind = client.random.choice(("test_effect", "test_urgent_effect"))
        body = {"type": kind, "params": {"number": number, "fails_first": number % 10 == 0}}

        def submit(key: str = key, body: dict[str, Any] = body) -> bool:
            exchange = client.ask("submit", path, "POST", body, key, **{"Idempotency-Key": key})
            if exchange.status == 202:
                client.shared.jobs[exchange.got] = client.user
            return exchange.status == 202

        if _until_done(client, submit):
            accepted.append(submit)
        if client.random.random() < 0.3 and accepted:
            client.random.choice(accepted)()
        client.shared.stopped.wait(client.random.uniform(0.3, 1.0))


def _until_done(client: Client, attempt: Callable[[], bool]) -> bool:
    """Repeat until it is acknowledged, or the storm is over."""
    while not attempt():
        if client.shared.stopped.wait(0.5):
            return False
    return True


def clients_of(shared: Shared, seed: int) -> list[tuple[Callable[[Client], None], Client]]:
    """Who there is."""
    people = [
        (reader, Client(shared, plan.user_name(role, n), seed, role=role, user=plan.user_name(role, n), address=HOME))
        for role in plan.ROLES
        for n in range(plan.USERS_PER_ROLE)
    ]
    greedy_ones = [(greedy, Client(shared, f"greedy-{n}", seed, address=f"127.0.1.{n}")) for n in range(1, 4)]
    watchers = [(watcher, Client(shared, f"watcher-{n}", seed, address=f"127.0.2.{n}")) for n in range(1, 4)]
    analyst, viewer = plan.user_name("soc_analyst", 0), plan.user_name("viewer", 0)
    writers = [
        (ingester, Client(shared, "ingester", seed, role="soc_analyst", user=analyst, address=HOME)),
        (triager, Client(shared, "triager", seed, role="soc_analyst", user=analyst, address=HOME)),
        (submitter, Client(shared, "submitter-1", seed, role="viewer", user=viewer, address=HOME)),
        (submitter, Client(shared, "submitter-2", seed, role="soc_analyst", user=analyst, address=HOME)),
    ]
    return [*people, *greedy_ones, *watchers, *writers]


def main(records: Path, given: dict[str, Any]) -> None:
    """Ask until SIGTERM; ``given`` has ``port``, ``seed``, ``tokens`` by user, and the ids of ``findings``."""
    with records.open("w", buffering=1) as file:
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        shared = Shared(given["port"], given["tokens"], given["findings"], stopped, file)
        threads = [
            threading.Thread(target=behave, args=(client,)) for behave, client in clients_of(shared, given["seed"])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
