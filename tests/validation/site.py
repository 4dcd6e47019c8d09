"""The SecureNet that is measured: two web server processes, two job workers, the policies of the first release."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from securenet.run.config import PROJECT_DIR
from securenet.run.lifeline import descendants
from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import PASSWORD, ROLES, TOKEN_SECONDS, Site
from tests.servers.ports import free_port
from tests.servers.securenet import SecureNet, command_line, securenet, until

JOB_WORKERS = 2
POLL_SECONDS = 0.7  # less than 100 times a minute
WEB_PROCESSES = 2


class MeasuredSite(Site):
    """A site whose limits are those of the first release, so that each objective asks as users of its own.

    Attributes:
        browser: the admin's, signed in to web server A.
    """

    def __init__(self, run: SecureNet, url_b: str, second: subprocess.Popen[bytes]) -> None:
        super().__init__(run, url_b, {})
        self._second = second
        self._addresses = (f"127.77.{high}.{low}" for high, low in itertools.product(range(256), range(1, 255)))
        self._lock = threading.RLock()
        self.browser: AdminBrowser

    def new_address(self) -> str:
        """An address of loopback that nobody has asked from."""
        with self._lock:
            return next(self._addresses)

    def new_user(self, role: str) -> str:
        """The name of a user with this role of whom nothing was counted yet."""
        with self._lock:
            name = f"{role.replace('_', '-')}-{next(self._addresses).replace('.', '-')}"
            self.add_user(name, role)
        return name

    def shell(self, code: str) -> str:
        with self._lock:
            return super().shell(code)

    def token(self, username: str, password: str = PASSWORD) -> str:
        asked_at, token = self._tokens.get(username, (0.0, ""))
        if not token or time.monotonic() - asked_at > TOKEN_SECONDS:
            token = self.sign_in(username, password)["access"]
            self._tokens[username] = time.monotonic(), token
        return token

    def sign_in(self, username: str, password: str = PASSWORD) -> dict[str, str]:
        """A new pair of tokens, from an address of its own: sign-ins are limited by address."""
        with self.client(address=self.new_address()) as client:
            answer = client.post("/api/auth/token", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        tokens: dict[str, str] = answer.json()
        return tokens

    def await_job(self, client: httpx.Client, location: str, within: float = 60) -> dict[str, Any]:
        """Poll a job until it has ended, seldom enough for the limits."""
        deadline = time.monotonic() + within
        while True:
            answer = client.get(location)
            assert answer.status_code == 200, answer.text
            job: dict[str, Any] = answer.json()
            if job["status"] in ("completed", "failed", "cancelled"):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(POLL_SECONDS)

    def policy_id(self, model: str, name: str) -> int:
        """The number of a policy in the addresses of the admin."""
        return int(self.shell(f"from perf.models import {model} as m; print(m.objects.get(name={name!r}).pk)"))

    def web_processes(self) -> list[int]:
        """The processes that serve requests: those that the two web servers have forked."""
        servers = [self.run.child("securenet.run.web"), self._second.pid]
        return [pid for server in servers for pid in descendants(server) if "securenet.run.web" in command_line(pid)]

    def redis_process(self) -> int:
        """The process of Redis."""
        (pid,) = self.run.processes("valkey-server") | self.run.processes("redis-server")
        return pid


@contextmanager
def measured_site(data_dir: Path) -> Iterator[MeasuredSite]:
    """Start everything, wait until the jobs of the first start are over; stop everything."""
    # A busy machine is not a Redis that hangs, so the time-out is longer than in production.
    environment = {
        "SECURENET_ADMIN_PASSWORD": PASSWORD,
        "WEB_WORKERS": "1",
        "JOB_WORKERS": str(JOB_WORKERS),
        "REDIS_TIMEOUT": "2",
    }
    with securenet(data_dir, **environment) as run:
        run.await_ready()
        with _second_web_server(run, data_dir) as (second, port):
            site = MeasuredSite(run, f"http://127.0.0.1:{port}", second)
            try:
                until(lambda: _is_up(site.url_b), 60, lambda: f"exit code {second.poll()}")
                for role in ROLES:
                    site.add_user(role.replace("_", "-"), role)
                until(lambda: _first_start_is_over(site), 60, run.explain)
                with AdminBrowser(site.url_a, "admin", site.password) as browser:
                    site.browser = browser
                    yield site
            finally:
                site.close()


@contextmanager
def _second_web_server(run: SecureNet, data_dir: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port = free_port()
    environment = {**run.environment, "REDIS_URL": run.redis_url, "HOST": "127.0.0.1", "PORT": str(port)}
    with (data_dir / "log" / "second.log").open("w") as log:
        second = subprocess.Popen(
            [sys.executable, "-m", "securenet.run.web"], cwd=PROJECT_DIR, env=environment, stdout=log, stderr=log
        )
        try:
            yield second, port
        finally:
            second.terminate()
            second.wait(20)


def _first_start_is_over(site: MeasuredSite) -> bool:
    """Whether the scan and the analysis that a new SecureNet begins by itself have ended."""
    states = site.shell("from perf.models import Job; print(*Job.objects.values_list('status', flat=True))").split()
    return len(states) >= 2 and not {"submitted", "processing"} & set(states)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
