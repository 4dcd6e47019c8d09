"""A SecureNet to test from outside: two web servers that share Redis and database, as on two machines."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from securenet.run.config import PROJECT_DIR
from tests.acceptance.shell import Shell
from tests.servers.ports import free_port
from tests.servers.postgres import own_database
from tests.servers.securenet import SecureNet, securenet, until

PASSWORD = "acceptance-Passw0rd"
TOKEN_SECONDS = 600  # less than an access token lives
ROLES = ("platform_owner", "security_admin", "soc_analyst", "viewer")


class Site:
    """Addresses of both web servers, and clients for every role."""

    def __init__(self, run: SecureNet, url_b: str, database: dict[str, str]) -> None:
        self.run = run
        self.url_a = run.url
        self.url_b = url_b
        self.password = PASSWORD
        self.database = database
        self._shell: Shell | None = None
        self._tokens: dict[str, tuple[float, str]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that works on the site's data."""
        return {
            **os.environ,
            "SECURENET_DATA_DIR": str(self.run.data_dir),
            "REDIS_URL": self.run.redis_url,
            "WEB_WORKERS": "1",
            "REDIS_TIMEOUT": "2",
            **self.database,
        }

    def shell(self, code: str) -> str:
        """Run ``code`` in a Django process on the site's data; returns what it prints."""
        if self._shell is None:
            self._shell = Shell(self.environment)
        return self._shell.run(code)

    def close(self) -> None:
        """End the process that `shell` has started."""
        if self._shell is not None:
            self._shell.close()

    def add_user(self, name: str, *roles: str) -> int:
        """Create a user with these roles, outside the web servers; returns its id."""
        made = self.shell(
            "from django.contrib.auth import get_user_model as u; from django.contrib.auth.models import Group as g\n"
            f"user = u().objects.create_user({name!r}, password={PASSWORD!r})\n"
            f"user.groups.set(g.objects.filter(name__in={roles!r})); print(user.pk)"
        )
        return int(made)

    def token(self, username: str, password: str = PASSWORD) -> str:
        """An access token, asked for once per user, and again before it expires."""
        asked_at, token = self._tokens.get(username, (0.0, ""))
        if not token or time.monotonic() - asked_at > TOKEN_SECONDS:
            token = self.sign_in(username, password)["access"]
            self._tokens[username] = time.monotonic(), token
        return token

    def sign_in(self, username: str, password: str = PASSWORD) -> dict[str, str]:
        """A new pair of tokens."""
        answer = httpx.post(f"{self.url_a}/api/auth/token", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        tokens: dict[str, str] = answer.json()
        return tokens

    def add_finding(self, subject: str, severity: str = "medium", title: str = "A finding of a test") -> int:
        """Write a finding as a scan or an analysis does; returns its id."""
        return int(
            self.shell(
                "import uuid; from django.utils import timezone; from perf.caching import invalidate\n"
                "from securenet.security.findings import record_finding\n"
                "finding, _ = record_finding(fingerprint=uuid.uuid4().hex * 2, source='logs', check_id='logs.test',"
                f" title={title!r}, description='', advice='', severity={severity!r}, confidence=90, evidence={{}},"
                f" seen_at=timezone.now(), subject={subject!r}); invalidate(tags=['findings']); print(finding.pk)"
            )
        )

    def client(self, username: str = "", *, server: str = "a", address: str = "127.0.0.1") -> httpx.Client:
        """An API client of web server ``a`` or ``b`` at an address of loopback, signed in as ``username`` if given."""
        headers = {"Authorization": f"Bearer {self.token(username)}"} if username else {}
        url = self.url_a if server == "a" else self.url_b
        transport = httpx.HTTPTransport(local_address=address)
        return httpx.Client(base_url=url, headers=headers, timeout=20, transport=transport)

    def await_job(self, client: httpx.Client, location: str, within: float = 30) -> dict[str, Any]:
        """Poll a job until it has ended."""
        deadline = time.monotonic() + within
        while True:
            job: dict[str, Any] = client.get(location).json()
            if job.get("status") in ("completed", "failed", "cancelled"):
                return job
            assert time.monotonic() < deadline, job
            time.sleep(0.1)


@contextmanager
def running_site(data_dir: Path) -> Iterator[Site]:
    """Start everything; stop everything."""
    # A busy test machine is not a Redis that hangs, so the time-out is longer than in production.
    environment = {
        "SECURENET_ADMIN_PASSWORD": PASSWORD, "WEB_WORKERS": "1", "JOB_WORKERS": "1", "REDIS_TIMEOUT": "2",
    }  # fmt: skip
    with _database() as database, securenet(data_dir, **environment, **database) as run:
        run.await_ready()
        port = free_port()
        site = Site(run, f"http://127.0.0.1:{port}", database)
        # The limits of the first release would get into the way of tests that do not test limits.
        site.shell("from perf.models import RateLimitPolicy as p; p.objects.update(limit=1_000_000)")
        for role in ROLES:
            site.add_user(role.replace("_", "-"), role)
        address = {"HOST": "127.0.0.1", "PORT": str(port)}
        with (data_dir / "log" / "second.log").open("w") as log:
            second = subprocess.Popen(
                [sys.executable, "-m", "securenet.run.web"],
                cwd=PROJECT_DIR,
                env={**site.environment, **address, "JOB_WORKERS": "1", "WEB_THREADS": "16"},
                stdout=log,
                stderr=log,
            )
        try:
            until(lambda: _is_up(site.url_b), 30, lambda: f"exit code {second.poll()}")
            yield site
        finally:
            site.close()
            second.terminate()
            second.wait(20)


@contextmanager
def _database() -> Iterator[dict[str, str]]:
    """DATABASE_URL of a database of the site's own, where the tests run on PostgreSQL; else SQLite is the default."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        yield {}
        return
    with own_database(server, f"site_{os.getpid()}") as url:
        yield {"DATABASE_URL": url}


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
