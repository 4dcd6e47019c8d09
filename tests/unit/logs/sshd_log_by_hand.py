"""What a log of sshd says, worked out by words and columns: nothing of the product's code is used here.

Slow and plain on purpose, and only for logs that rsyslog wrote ("Dec 10 06:55:46 host sshd[24200]: ...").
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
ADDRESS = re.compile(r"(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w.-])")

Attempts = Mapping[str, list[int]]
"""Source → the second of the day of each of its attempts, in order."""


def real_log() -> list[bytes]:
    """Two thousand lines of a server under attack (Loghub, OpenSSH_2k), or the test is skipped."""
    path = Path(os.environ.get("SECURENET_SSHD_LOG") or REPOSITORY.parent / "shared" / "data" / "sshd.log")
    if not path.exists():
        pytest.skip(f"{path} is missing; set SECURENET_SSHD_LOG to Loghub's OpenSSH_2k.log to run this test")
    return path.read_bytes().splitlines()


def attempts_by_hand(lines: list[bytes]) -> Attempts:
    """The password attempts of each source, each once.

    A process of sshd serves one connection. It tells of an attempt up to four times: that the user is invalid, what
    PAM thinks (at the end in a sum, "PAM 5 more ..."), and that the password failed ("message repeated 5 times").
    Of these tellings the one with the most attempts is right.
    """
    failed: dict[tuple[str, str], list[int]] = defaultdict(list)
    invalid: dict[tuple[str, str], list[int]] = defaultdict(list)
    pam: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in lines:
        stamp, process, said, address = _columns(line.decode())
        connection = (process, address)
        if said.startswith("message repeated "):
            failed[connection] += [stamp] * int(said.split()[2])
        elif said.startswith("Failed ") and not said.startswith("Failed none "):
            failed[connection].append(stamp)
        elif said.startswith("Invalid user "):
            invalid[connection] = [stamp]
        elif "authentication failure;" in said and address:
            pam[connection].append(stamp)
        elif said.startswith("PAM ") and " more authentication failure" in said and address:
            pam[connection] += [stamp] * int(said.split()[1])
    attempts: dict[str, list[int]] = defaultdict(list)
    for connection in {*failed, *invalid, *pam}:
        attempts[connection[1]] += max(failed[connection], invalid[connection], pam[connection], key=len)
    return {source: sorted(times) for source, times in attempts.items()}


def _columns(line: str) -> tuple[int, str, str, str]:
    """Second of the day, process, message, and the last address in it (empty if there is none)."""
    _, _, clock, _, process, said = line.split(" ", 5)
    hour, minute, second = (int(part) for part in clock.split(":"))
    addresses = ADDRESS.findall(said.replace("rhost=", " "))
    return hour * 3600 + minute * 60 + second, process, said, addresses[-1] if addresses else ""


def within(times: list[int], threshold: int, seconds: int) -> bool:
    """Whether some ``seconds`` hold ``threshold`` of the times."""
    return any(sum(begin <= time <= begin + seconds for time in times) >= threshold for begin in times)


def brute_forcers_by_hand(attempts: Attempts) -> dict[str, int]:
    """Five in ten minutes: the sources, with all their attempts."""
    return {source: len(times) for source, times in attempts.items() if within(times, 5, 600)}


def patient_guessers_by_hand(attempts: Attempts) -> dict[str, int]:
    """Five that reach over an hour or more, of sources that are never so quick: with all their attempts."""
    return {
        source: len(times)
        for source, times in attempts.items()
        if len(times) >= 5 and times[-1] - times[0] >= 3600 and not within(times, 5, 600)
    }
