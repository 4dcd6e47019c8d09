"""``python -m tests.endurance``: runs mixed traffic against a SecureNet of its own, and judges what has grown."""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from securenet.run.config import PROJECT_DIR
from securenet.run.lifeline import descendants
from tests.acceptance.shell import Shell
from tests.acceptance.site import PASSWORD
from tests.endurance import report
from tests.endurance.samples import Sample, take
from tests.endurance.traffic import Errand
from tests.endurance.verdicts import verdicts
from tests.servers.securenet import SecureNet, command_line, parent, securenet

SENDERS = 3
USERS, LIMITED = 24, 6
SAMPLE_SECONDS = 2.0
EDIT_SECONDS = 4.0
ENVIRONMENT = {
    "SECURENET_ADMIN_PASSWORD": PASSWORD, "WEB_WORKERS": "2", "JOB_WORKERS": "2", "TRUSTED_PROXIES": "127.0.0.1",
    "ACCESS_TOKEN_MINUTES": "1440", "REDIS_TIMEOUT": "2",
}  # fmt: skip
FURNISH = f"""
from django.contrib.auth.models import Group
from perf.models import RateLimitPolicy
from securenet.accounts.models import User
RateLimitPolicy.objects.exclude(name="authentication").update(limit=1_000_000)
few = {{"scope": "few", "route": "/api/notifications", "roles": ["viewer"], "limit": 20, "period": 60}}
RateLimitPolicy.objects.create(name="few", **few)
for number in range({USERS}):
    User.objects.create_user(f"user-{{number}}").groups.set(Group.objects.filter(name="platform_owner"))
for number in range({LIMITED}):
    User.objects.create_user(f"limited-{{number}}").groups.set(Group.objects.filter(name="viewer"))
"""
TOKENS = """
from securenet.accounts.models import User
from securenet.accounts.tokens import access_token_for
print(*(access_token_for(user) for user in User.objects.filter(username__startswith={prefix!r})))
"""
# Each is one revision; what they make they take away, so that the number of policies stays.
EDITS = (
    "x = models.CachePolicy.objects.get(name='security'); x.ttl = {number} % 99 + 20; x.save()",
    "x = models.RateLimitPolicy.objects.get(name='few'); x.limit = {number} % 9 + 9; x.save()",
    "models.RateLimitPolicy.objects.create(name='p{number}', route='/api/p{number}', limit=5)",
    "models.RateLimitPolicy.objects.filter(route__startswith='/api/p').first().delete()",
)


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make soak", description="A long run of mixed traffic.")
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--minutes", type=float, default=180.0, help="what has been sent by then is judged")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(128 + signum))  # so that nothing is left behind
    with tempfile.TemporaryDirectory(prefix="securenet-soak-") as folder:
        data = Path(folder) / "data"
        with securenet(data, **ENVIRONMENT) as run:
            run.await_ready()
            soak = Soak(run, options.requests, options.seed)
            soak.carry_out(options.minutes * 60)
            jobs = soak.unfinished_jobs()
    found = verdicts(soak.samples, soak.answers(), [*soak.failures(), *jobs])
    report.publish(soak.samples, found, soak.answers(), options.seed, soak.longest(), soak.edits)
    for verdict in found:
        print(f"{'held  ' if verdict.held else 'FAILED'} {verdict.about}: {verdict.early} → {verdict.late}")
    return 0 if all(verdict.held for verdict in found) else 1


class Soak:
    """One run.

    Attributes:
        samples: what was seen along it.
        edits: how many policy edits were made.
    """

    def __init__(self, run: SecureNet, requests: int, seed: int) -> None:
        self.run = run
        self.requests = requests
        self.seed = seed
        self.samples: list[Sample] = []
        self.edits = 0
        self._progress: list[list[Any]] = [[0, {}, 0.0, []] for _ in range(SENDERS)]
        self._is_over = threading.Event()
        self._shell = Shell({**run.environment, "REDIS_URL": run.redis_url})

    def carry_out(self, most: float) -> None:
        """Send everything, for ``most`` seconds at most, while policies are edited and samples are taken."""
        self._shell.run(FURNISH)
        tokens = self._shell.run(TOKENS.format(prefix="user-")).split()
        limited = self._shell.run(TOKENS.format(prefix="limited-")).split()
        editor = threading.Thread(target=self._edit)
        begun = time.monotonic()
        with self._senders(tokens, limited) as readers, self.run.redis() as client:
            editor.start()
            while any(reader.is_alive() for reader in readers) and time.monotonic() < begun + most:
                self._sample(client, begun)
                self._is_over.wait(SAMPLE_SECONDS)
            self._is_over.set()
            editor.join(60)
            self._sample(client, begun)
        self._shell.close()

    @contextmanager
    def _senders(self, tokens: list[str], limited: list[str]) -> Iterator[list[threading.Thread]]:
        processes, readers = [], []
        for number in range(SENDERS):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.endurance.traffic"],
                cwd=PROJECT_DIR, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            share = self.requests // SENDERS + (number < self.requests % SENDERS)
            errand = Errand(self.run.port, share, self.seed * SENDERS + number, tokens, limited)
            assert process.stdin is not None
            process.stdin.write(errand.line())
            process.stdin.flush()
            reader = threading.Thread(target=self._read, args=(number, process))
            reader.start()
            processes.append(process)
            readers.append(reader)
        try:
            yield readers
        finally:
            for process in processes:
                process.kill()
                process.wait()
            for reader in readers:
                reader.join(10)

    def _read(self, number: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._progress[number] = json.loads(line)

    def _edit(self) -> None:
        """Make one edit after another; the third makes what the fourth takes away."""
        for number, edit in zip(itertools.count(), itertools.cycle(EDITS), strict=False):
            if self._is_over.wait(EDIT_SECONDS):
                return
            self._shell.run(f"from perf import models; {edit.format(number=number)}")
            self.edits += 1

    def _sample(self, client: redis.Redis, begun: float) -> None:
        done = sum(progress[0] for progress in self._progress)
        database = self.run.data_dir / "securenet.sqlite3"
        self.samples.append(take(done, time.monotonic() - begun, self._names(), client, database))
        if sys.stdout.isatty():
            print(f"\r{done:,} of {self.requests:,} requests", end="", flush=True)

    def _names(self) -> dict[int, str]:
        """The processes of the site by what they are; work-horses come and go and are not among what lasts."""
        top = self.run.process.pid
        found = {top: "supervisor"}
        for pid in descendants(top):
            line, is_child = command_line(pid), parent(pid) == top
            if "valkey" in line or "redis-server" in line:
                found[pid] = "Redis"
            elif "securenet.run.web" in line:
                found[pid] = "web server" if is_child else "web worker"
            elif "rqworker" in line:
                found[pid] = "job worker" if is_child else "recovery"
        return found

    def answers(self) -> Counter[str]:
        """How often each kind of request got each status."""
        return sum((Counter(progress[1]) for progress in self._progress), Counter[str]())

    def failures(self) -> list[str]:
        """Requests without an answer."""
        return [failure for progress in self._progress for failure in progress[3]]

    def longest(self) -> float:
        """Seconds of the slowest answer."""
        return max(float(progress[2]) for progress in self._progress)

    def unfinished_jobs(self) -> list[str]:
        """The jobs that have not ended within a minute after the last request, in words."""
        with httpx.Client(base_url=self.run.url, timeout=30) as client:
            answer = client.post("/api/auth/token", json={"username": "admin", "password": PASSWORD})
            headers = {"Authorization": f"Bearer {answer.json()['access']}"}

            def active() -> list[str]:
                states = [
                    job["status"] + " " + job["id"]
                    for status in ("submitted", "processing")
                    for job in client.get(f"/api/performance/background-job?status={status}", headers=headers).json()[
                        "results"
                    ]
                ]
                return [f"job {state}" for state in states]

            return _patiently(active, 60)


def _patiently(active: Callable[[], list[str]], seconds: float) -> list[str]:
    deadline = time.monotonic() + seconds
    while (left := active()) and time.monotonic() < deadline:
        time.sleep(1)
    return left


if __name__ == "__main__":
    sys.exit(main())
