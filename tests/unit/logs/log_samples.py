"""Makes logs whose attackers are known: realistic sshd and web traffic, the same for the same seed.

Attackers and visitors live in separate networks: the address decides what a detector must and must not name.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from securenet.logs.parsers import Event, Kind, parse_line

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
START = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def parsed(line: str | bytes) -> Event:
    return parse_line(line, now=NOW, default_timezone=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sshd_line(seconds: float, message: str, pid: int = 4711, host: str = "web1") -> str:
    time = at(seconds)
    return f"{time:%b} {time.day:2d} {time:%H:%M:%S} {host} sshd[{pid}]: {message}"


def web_line(
    seconds: float,
    source: str,
    target: str,
    status: int = 200,
    method: str = "GET",
    agent: str = "Mozilla/5.0",
) -> str:
    stamp = at(seconds).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{source} - - [{stamp}] "{method} {target} HTTP/1.1" {status} 512 "-" "{agent}"'


def event(seconds: float, kind: str, source: str | None = "192.0.2.1", user: str | None = None, **fields: str) -> Event:
    return Event(at(seconds), "web1", "sshd", kind, source, user, 1, fields, "")


def failure(seconds: float, source: str = "192.0.2.1", user: str = "root", **fields: str) -> Event:
    return event(seconds, Kind.AUTH_FAILURE, source, user, method="password", **fields)


def success(seconds: float, source: str = "192.0.2.1", user: str = "root", **fields: str) -> Event:
    return event(seconds, Kind.AUTH_SUCCESS, source, user, method="password", **fields)


def request(seconds: float, path: str, status: int, source: str = "192.0.2.1", query: str = "", **fields: str) -> Event:
    facts = {"method": "GET", "path": path, "status": str(status), **fields}
    if query:
        facts["query"] = query
    return Event(at(seconds), "web1", "http", Kind.HTTP_REQUEST, source, None, 1, facts, "")


@dataclass
class LogSample:
    """Lines with their times, and the truth about who is who."""

    random: random.Random
    timed_lines: list[tuple[float, str]] = field(default_factory=list)
    brute_forcers: set[str] = field(default_factory=set)
    sprayers: set[str] = field(default_factory=set)
    intruders: set[tuple[str, str]] = field(default_factory=set)
    scanners: set[str] = field(default_factory=set)
    _next_pid: int = 1000

    def lines(self, shuffled_within: float = 0.0) -> list[str]:
        """The lines in the order of their times, each up to ``shuffled_within`` seconds off."""
        keyed = [(time + self.random.uniform(0, shuffled_within), n) for n, (time, _) in enumerate(self.timed_lines)]
        return [self.timed_lines[n][1] for _, n in sorted(keyed)]

    def ssh(self, time: float, pid: int, *messages: str) -> None:
        self.timed_lines.extend((time, sshd_line(time, message, pid)) for message in messages)

    def pid(self) -> int:
        self._next_pid += self.random.randint(1, 9)
        return self._next_pid

    def failed_login(self, time: float, source: str, user: str, known: bool, guesses: int = 1) -> None:
        """One connection as sshd reports it: up to four lines per guess, folded repeats, PAM's tally."""
        pid, port = self.pid(), self.random.randint(1024, 65535)
        who = user if known else f"invalid user {user}"
        pam = f"logname= uid=0 euid=0 tty=ssh ruser= rhost={source} {f' user={user}' if known else ''}"
        failed = f"Failed password for {who} from {source} port {port} ssh2"
        if not known:
            self.ssh(time, pid, f"Invalid user {user} from {source} port {port}")
            self.ssh(time, pid, "pam_unix(sshd:auth): check pass; user unknown")
        self.ssh(time, pid, f"pam_unix(sshd:auth): authentication failure; {pam}", failed)
        if guesses > 2 and self.random.random() < 0.5:
            self.ssh(time, pid, f"message repeated {guesses - 1} times: [ {failed}]")
        else:
            for guess in range(1, guesses):
                self.ssh(time + 0.1 * guess, pid, failed)
        if guesses > 1:
            self.ssh(time + 0.1 * guesses, pid, f"PAM {guesses - 1} more authentication failures; {pam}")
        who = f"authenticating user {user}" if known else f"invalid user {user}"
        self.ssh(time + 0.1 * guesses, pid, f"Connection closed by {who} {source} port {port} [preauth]")

    def login(self, time: float, source: str, user: str, method: str = "password") -> None:
        pid, port = self.pid(), self.random.randint(1024, 65535)
        if method == "publickey":
            for _ in range(self.random.randint(0, 4)):  # an agent with several keys
                self.ssh(time, pid, f"Failed publickey for {user} from {source} port {port} ssh2: RSA SHA256:abc")
        self.ssh(time, pid, f"Accepted {method} for {user} from {source} port {port} ssh2")
        self.ssh(time, pid, f"pam_unix(sshd:session): session opened for user {user}(uid=1000) by (uid=0)")
        self.ssh(time + 300, pid, f"Disconnected from user {user} {source} port {port}")

    def web(self, time: float, source: str, target: str, status: int = 200, method: str = "GET") -> None:
        self.timed_lines.append((time, web_line(time, source, target, status, method)))

    # Who is at work

    def brute_forcer(self, source: str) -> None:
        begin, left = self.random.uniform(0, 20_000), self.random.randint(5, 40)
        while left > 0:
            guesses = min(left, self.random.randint(1, 6))
            self.failed_login(begin, source, self.random.choice(["root", "admin"]), True, guesses)
            begin, left = begin + self.random.uniform(1, 14), left - guesses
        self.brute_forcers.add(source)

    def patient_guesser(self, source: str) -> None:
        """Four guesses per ten minutes: below the threshold, and so nobody's business here."""
        for guess in range(12):
            self.failed_login(guess * 201.0, source, "root", True)

    def sprayer(self, source: str) -> None:
        time = self.random.uniform(0, 20_000)
        for guess in range(self.random.randint(12, 30)):  # too slow for the brute-force rule
            self.failed_login(time, source, f"user{guess}", False)
            time += self.random.uniform(151, 170)
        self.sprayers.add(source)

    def intruder(self, source: str, user: str) -> None:
        begin = self.random.uniform(0, 20_000)
        for guess in range(self.random.randint(5, 20)):
            self.failed_login(begin + guess * 5, source, user, True)
        self.login(begin + 120, source, user)
        self.brute_forcers.add(source)
        self.intruders.add((source, user))

    def scanner(self, source: str) -> None:
        begin = self.random.uniform(0, 20_000)
        for number in range(self.random.randint(25, 60)):
            self.web(
                begin + number,
                source,
                f"/{self.random.getrandbits(40):x}.php",
                self.random.choice([403, 404]),
            )
        self.scanners.add(source)

    def prober(self, source: str) -> None:
        begin = self.random.uniform(0, 20_000)
        for number, target in enumerate(
            ["/.env", "/.git/config", "/wp-login.php", "/%252e%252e/%252e%252e/etc/passwd"]
        ):
            self.web(begin + number, source, target, 404)
        self.scanners.add(source)

    def employee(self, source: str, user: str) -> None:
        for _ in range(self.random.randint(2, 6)):
            time = self.random.uniform(0, 25_000)
            if self.random.random() < 0.3:
                self.failed_login(time, source, user, True)
                time += 8
            self.login(time, source, user, self.random.choice(["password", "publickey"]))

    def visitor(self, source: str) -> None:
        pages = [
            "/",
            "/about",
            "/search?q=union+station+select+hotels",
            "/files/report..pdf",
            "/img/a%20b.png",
            "/api/logs?page=2",
        ]
        for _ in range(self.random.randint(5, 40)):
            time = self.random.uniform(0, 25_000)
            self.web(time, source, self.random.choice(pages))
            if self.random.random() < 0.2:
                self.web(time + 1, source, self.random.choice(["/favicon.ico", "/robots.txt", "/old-link"]), 404)


def log_sample(seed: int, attackers: bool = True, benign: int = 30) -> LogSample:
    """Return a day of mixed traffic; with ``attackers`` a few of each kind, IPv4 and IPv6."""
    sample = LogSample(random.Random(seed))
    for number in range(benign):
        sample.employee(f"10.1.0.{number}", f"employee{number}")
        sample.visitor(f"198.51.100.{number}")
    sample.patient_guesser("10.9.0.1")
    if attackers:
        for number in range(4):
            sample.brute_forcer(f"203.0.113.{number}")
            sample.sprayer(f"203.0.113.{50 + number}")
            sample.intruder(f"203.0.113.{100 + number}", f"employee{number}")
            sample.scanner(f"203.0.113.{150 + number}")
            sample.prober(f"203.0.113.{200 + number}")
        sample.brute_forcer("2001:db8:bad::1")
    return sample


def subjects(detections: Iterable, detector: str) -> set[str]:
    return {detection.subject for detection in detections if detection.detector == detector}
