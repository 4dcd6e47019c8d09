"""``manage.py demo_traffic``: a bounded mix of requests, so that limits, cache and charts can be seen at work."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.core.management.base import BaseCommand, CommandError, CommandParser

PATHS = (
    ("/api/dashboard/cached", 5),
    ("/api/security/findings", 4),
    ("/api/security/summary", 3),
    ("/api/network/assets", 3),
    ("/api/logs", 2),
    ("/api/notifications", 2),
    ("/api/dashboard", 1),
)
CLIENTS = 4
LONGEST_SECONDS = 600
HIGHEST_RATE = 1000
# Proxies of the environment are left out: traffic for this machine, and the password with it, stays here.
HTTP_OPTIONS: Mapping[str, Any] = {"timeout": 10, "trust_env": False}


class Command(BaseCommand):
    help = "Sends a bounded mix of requests to a running SecureNet and prints what came back."

    def add_arguments(self, parser: CommandParser) -> None:
        port = os.environ.get("PORT", "8000")
        parser.add_argument("--url", default=f"http://127.0.0.1:{port}")
        parser.add_argument("--seconds", type=int, default=30, help=f"At most {LONGEST_SECONDS}.")
        parser.add_argument("--rate", type=int, default=20, help=f"Requests per second, at most {HIGHEST_RATE}.")
        parser.add_argument("--username", default="admin")
        parser.add_argument("--password", default=os.environ.get("SECURENET_ADMIN_PASSWORD", ""))
        parser.add_argument("--allow-remote", action="store_true", help="Send to another machine than this one.")

    def handle(self, *args: Any, **options: Any) -> None:
        url: str = options["url"].rstrip("/")
        if not (is_this_machine(url) or options["allow_remote"]):
            raise CommandError(f"{url} is not this machine; say --allow-remote if that is meant.")
        if not options["password"]:
            raise CommandError("Give --password, or set SECURENET_ADMIN_PASSWORD.")
        seconds, rate = options["seconds"], options["rate"]
        if not (1 <= seconds <= LONGEST_SECONDS and 1 <= rate <= HIGHEST_RATE):
            raise CommandError(f"Give --seconds from 1 to {LONGEST_SECONDS} and --rate from 1 to {HIGHEST_RATE}.")
        token = self._sign_in(url, options["username"], options["password"])
        traffic = Traffic(url, token, seconds, rate)
        for line in traffic.run():
            self.stdout.write(line)

    def _sign_in(self, url: str, username: str, password: str) -> str:
        try:
            credentials = {"username": username, "password": password}
            answer = httpx.post(f"{url}/api/auth/token", json=credentials, **HTTP_OPTIONS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise CommandError(f"{url} cannot be reached ({error}); is `make run` running?") from error
        if answer.status_code != 200:
            raise CommandError(f"Signing in as {username} failed: {answer.status_code} {answer.text[:500]}")
        token: str = answer.json()["access"]
        return token


def is_this_machine(url: str) -> bool:
    """Say whether an address with this host never leaves the machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Traffic:
    """Clients that share a rate; each waits for its next turn, so a slow server gets fewer requests."""

    def __init__(self, url: str, token: str, seconds: int, rate: int) -> None:
        self.url = url
        self.headers = {"Authorization": f"Bearer {token}"}
        self.seconds = seconds
        self.rate = rate
        self.statuses: Counter[str] = Counter()
        self.cache: Counter[str] = Counter()
        self._lock = threading.Lock()

    def run(self) -> list[str]:
        """Send everything; return the lines of a table."""
        started = time.monotonic()
        clients = [threading.Thread(target=self._client, args=(number, started)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        took = time.monotonic() - started
        total = sum(self.statuses.values())
        return [
            f"{total} requests in {took:.1f} s ({total / took:.0f} per second)",
            *(f"  {status:<24}{count:>8}" for status, count in sorted(self.statuses.items())),
            "Cache-Status",
            *(f"  {outcome:<24}{count:>8}" for outcome, count in self.cache.most_common()),
        ]

    def _client(self, number: int, started: float) -> None:
        paths, weights = zip(*PATHS, strict=True)
        with httpx.Client(base_url=self.url, headers=self.headers, **HTTP_OPTIONS) as http:
            for turn in range(number, self.seconds * self.rate, CLIENTS):
                wait = started + turn / self.rate - time.monotonic()
                if time.monotonic() > started + self.seconds:
                    return  # the server is slower than the rate
                time.sleep(max(0.0, wait))
                self._send(http, random.choices(paths, weights)[0])

    def _send(self, http: httpx.Client, path: str) -> None:
        try:
            response = http.get(path)
        except httpx.HTTPError as error:
            outcome, cache = type(error).__name__, "-"
        else:
            outcome = f"{response.status_code} {response.reason_phrase}"
            cache = response.headers.get("Cache-Status", "-").partition("; ")[2].partition(";")[0]
        with self._lock:
            self.statuses[outcome] += 1
            self.cache[cache] += 1
