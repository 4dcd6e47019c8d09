"""`make restart`: every web server and job worker is replaced under constant load, and no request or job is lost."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import redis

from securenet.run.config import PROJECT_DIR
from tests.acceptance.site import PASSWORD
from tests.servers.securenet import COMMAND, SecureNet, securenet, until

pytestmark = pytest.mark.slow

RESTARTS = 2
KEPT_ALIVE, FRESH = 6, 3  # clients of each kind
PAUSE = 0.004  # seconds between the requests of a client, so that the processes that start get their share of time
LINE = "Nov 23 10:00:00 gate sshd[1]: Failed password for root from 192.0.2.1 port 4711 ssh2"
REDIS = "unixsocket"  # on the command line of the server that SecureNet starts
DONE = "SecureNet has been restarted.\n"


@dataclass
class Load:
    """Clients that ask without pause and never ask twice: whatever goes wrong is written down."""

    run: SecureNet
    token: str
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    lines_accepted: list[int] = field(default_factory=list)  # appending is atomic, adding is not
    jobs: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int, *, keep_alive: bool) -> None:
        """Ask for one thing after another until it is over."""
        asks = [self._ask_cached, self._ask_findings, self._send_log, self._ask_liveness]
        connection: http.client.HTTPConnection | None = None
        turn = number
        while not self.is_over.is_set():
            turn += 1
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.run.port, timeout=30)
            ask = self._submit_job if turn % 400 == 0 else asks[turn % len(asks)]
            begun = time.monotonic()
            try:
                response = ask(connection)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{'kept alive' if keep_alive else 'fresh'}: {ask.__name__}: {error!r}")
                connection = None
                continue
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.answers.append(f"{ask.__name__} {response.status}")
            if response.status not in (200, 201, 202):
                self.failures.append(f"{ask.__name__}: {response.status}")
            if not keep_alive or response.will_close:
                connection.close()
                connection = None
            self.is_over.wait(PAUSE)

    def _send(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: object = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        return response, response.read()

    def _ask_cached(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        return self._send(connection, "GET", "/api/dashboard/cached")[0]

    def _ask_findings(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        return self._send(connection, "GET", "/api/security/findings")[0]

    def _ask_liveness(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        return self._send(connection, "GET", "/livez")[0]

    def _send_log(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        # Two lines of one text are one event, so each gets a number of its own.
        line = LINE.replace("4711", str(time.monotonic_ns()))
        response, body = self._send(connection, "POST", "/api/logs", {"lines": [line], "source": "gate"})
        if response.status < 300:
            self.lines_accepted.append(json.loads(body)["accepted"])
        return response

    def _submit_job(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        body = {"type": "security_scan", "params": {"targets": ["127.0.0.1"], "ports": "1-2000"}}
        response, text = self._send(connection, "POST", "/api/performance/background-job", body)
        if response.status == 202:
            self.jobs.append(json.loads(text)["id"])
        return response


@contextmanager
def constant_load(run: SecureNet, token: str) -> Iterator[Load]:
    """The clients, each in a thread."""
    load = Load(run, token)
    clients = [
        threading.Thread(target=load.client, args=(number,), kwargs={"keep_alive": number < KEPT_ALIVE})
        for number in range(KEPT_ALIVE + FRESH)
    ]
    for client in clients:
        client.start()
    try:
        yield load
    finally:
        load.is_over.set()
        for client in clients:
            client.join(60)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SecureNet]:
    environment = {"SECURENET_ADMIN_PASSWORD": PASSWORD, "REDIS_TIMEOUT": "2"}
    with securenet(tmp_path / "data", WEB_WORKERS="2", JOB_WORKERS="2", **environment) as run:
        yield run.await_ready()


def django(run: SecureNet, code: str) -> str:
    """Run code on the data of ``run``; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "--command", code],
        cwd=PROJECT_DIR, env={**run.environment, "REDIS_URL": run.redis_url},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def admin_without_limits(run: SecureNet) -> httpx.Client:
    """The first admin, exempt from limits as an operator would have it."""
    code = (
        "from perf.models import AccessRule; from securenet.accounts.models import User\n"
        "admin = User.objects.get(username='admin')\n"
        "AccessRule.objects.create(name='load', effect='exempt', user=admin, reason='load')"
    )
    django(run, code)
    client = httpx.Client(base_url=run.url, timeout=30)
    token = client.post("/api/auth/token", json={"username": "admin", "password": PASSWORD}).json()["access"]
    client.headers["Authorization"] = f"Bearer {token}"
    return client


def restart(run: SecureNet) -> None:
    """What `make restart` does."""
    done = subprocess.run(
        [*COMMAND, "--restart"], cwd=PROJECT_DIR, env=run.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def restart_redis(run: SecureNet) -> None:
    """Ask Redis to end; the supervisor starts it again."""
    old = run.child(REDIS)
    os.kill(old, signal.SIGTERM)
    until(lambda: [pid for pid in run.processes(REDIS) if pid != old] and answers(run), 30, run.explain)


def answers(run: SecureNet) -> bool:
    try:
        return bool(run.redis().ping())
    except redis.RedisError:
        return False


def await_replacement(run: SecureNet, number: int) -> None:
    until(lambda: run.output.count(DONE) >= number or run.process.poll() is not None, 120, run.explain)
    assert run.process.poll() is None, run.explain()


def test_restart_of_every_process_fails_no_request_and_loses_no_job(running: SecureNet) -> None:
    def replaceable() -> set[int]:
        return running.processes("securenet.run.web") | running.processes("rqworker")

    api = admin_without_limits(running)
    events_before = count_events(running)
    with constant_load(running, api.headers["Authorization"].removeprefix("Bearer ")) as load:
        until(lambda: len(load.answers) > 200, 30, running.explain)
        for number in range(1, RESTARTS + 1):
            before = replaceable()
            restart(running)
            await_replacement(running, number)
            until(lambda old=before: not old & replaceable(), 90, running.explain)  # type: ignore[misc]
            restart_redis(running)
        after_restarts = len(load.answers)
        until(lambda: len(load.answers) > after_restarts + 200, 30, running.explain)

    print(dict(Counter(load.answers)), f"slowest {load.slowest:.2f} s")
    assert load.failures == []
    assert load.jobs
    assert count_events(running) - events_before == sum(load.lines_accepted)
    for job in load.jobs:
        until(lambda job=job: has_ended(api, job), 60, running.explain)  # type: ignore[misc]
        # A job that runs while Redis restarts may need another attempt; its effects are there once all the same.
        state = api.get(f"/api/performance/background-job/{job}").json()
        assert state["status"] == "completed", state


def count_events(run: SecureNet) -> int:
    code = "from securenet.logs.models import LogEvent; print(LogEvent.objects.filter(source='gate').count())"
    return int(django(run, code))


def has_ended(api: httpx.Client, job: str) -> bool:
    return api.get(f"/api/performance/background-job/{job}").json()["status"] not in ("submitted", "processing")


def test_new_version_that_cannot_start_takes_nothing_away(tmp_path: Path) -> None:
    """The data of the new version's first step cannot be read; the old processes go on."""
    with securenet(tmp_path / "data", WEB_WORKERS="1", JOB_WORKERS="1") as run:
        run.await_ready()
        old = run.processes("securenet.run.web") | run.processes("rqworker")
        secret = tmp_path / "data" / "secret_key"
        assert secret.exists()
        secret.write_text("")  # what a new process refuses to start with
        restart(run)
        until(lambda: "was not restarted" in run.output, 60, run.explain)
        assert old <= run.processes()
        assert httpx.get(f"{run.url}/livez").status_code == 200


def test_connection_waits_while_the_only_web_server_is_replaced(tmp_path: Path) -> None:
    with securenet(tmp_path / "data", WEB_WORKERS="1", JOB_WORKERS="0") as run:
        run.await_ready()
        os.kill(run.child("securenet.run.web"), signal.SIGKILL)
        assert httpx.get(f"{run.url}/livez", timeout=60).status_code == 200


def test_restart_without_a_securenet_that_runs_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--restart"],
        cwd=PROJECT_DIR, env={**os.environ, "SECURENET_DATA_DIR": str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"No SecureNet runs on {tmp_path}.")
