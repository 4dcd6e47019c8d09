"""One count per real attempt, whoever reports it and however often."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from log_samples import LogSample, failure, parsed, request, sshd_line

from securenet.logs.detectors import AttemptCounter

SOURCE = "192.0.2.1"
FAILED = f"Failed password for root from {SOURCE} port 5 ssh2"
FAILED_INVALID = f"Failed password for invalid user bob from {SOURCE} port 5 ssh2"
PAM = f"logname= uid=0 euid=0 tty=ssh ruser= rhost={SOURCE} "


def attempts(*messages: str, pids: tuple[int, ...] = (7,)) -> int:
    counter = AttemptCounter()
    lines = [sshd_line(second, message, pid) for pid in pids for second, message in enumerate(messages)]
    return sum(counter.attempts(parsed(line)) or 0 for line in lines)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([FAILED], 1),
        ([FAILED] * 3, 3),
        ([f"message repeated 5 times: [ {FAILED}]"], 5),
        ([FAILED, f"message repeated 5 times: [ {FAILED}]"], 6),
        ([f"Invalid user bob from {SOURCE} port 5", FAILED_INVALID], 1),
        (
            [
                f"Invalid user bob from {SOURCE}",
                "input_userauth_request: invalid user bob [preauth]",
                "pam_unix(sshd:auth): check pass; user unknown",
                f"pam_unix(sshd:auth): authentication failure; {PAM}",
                FAILED_INVALID,
                f"Connection closed by invalid user bob {SOURCE} port 5 [preauth]",
            ],
            1,
        ),
        (
            [
                f"pam_unix(sshd:auth): authentication failure; {PAM} user=root",
                FAILED,
                f"message repeated 5 times: [ {FAILED}]",
                f"error: maximum authentication attempts exceeded for root from {SOURCE} port 5 ssh2",
                f"PAM 5 more authentication failures; {PAM} user=root",
            ],
            6,
        ),
        (
            [
                f"pam_unix(sshd:auth): authentication failure; {PAM} user=root",
                f"pam_sss(sshd:auth): authentication failure; {PAM} user=root",
                f"error: PAM: Authentication failure for root from {SOURCE}",
                f"Failed keyboard-interactive/pam for root from {SOURCE} port 5 ssh2",
            ],
            1,
        ),
        # A server without passwords tells of attempts in no other way.
        (
            [
                f"Invalid user bob from {SOURCE} port 5",
                f"Connection closed by invalid user bob {SOURCE} port 5 [preauth]",
            ],
            1,
        ),
        ([f"Connection closed by authenticating user root {SOURCE} port 5 [preauth]"], 1),
        # An agent offers its keys; asking for the methods is no attempt either.
        ([f"Failed publickey for git from {SOURCE} port 5 ssh2: RSA SHA256:{key}" for key in "abcde"], 0),
        (
            [f"Failed publickey for invalid user x from {SOURCE} port 5 ssh2: RSA SHA256:{key}" for key in "abcde"],
            1,
        ),
        ([f"Failed none for root from {SOURCE} port 5 ssh2"], 0),
        (
            [
                f"Connection closed by {SOURCE} port 5 [preauth]",
                f"Received disconnect from {SOURCE}: 11: Bye",
            ],
            0,
        ),
    ],
)
def test_the_lines_of_one_connection(messages: list[str], expected: int) -> None:
    assert attempts(*messages) == expected
    assert attempts(*messages, pids=(7, 8, 9)) == 3 * expected


def test_the_order_of_the_witnesses_does_not_matter() -> None:
    messages = [
        f"Invalid user bob from {SOURCE}",
        f"pam_unix(sshd:auth): authentication failure; {PAM}",
        FAILED_INVALID,
    ]
    for seed in range(6):
        random.Random(seed).shuffle(messages)
        assert attempts(*messages) == 1


@pytest.mark.parametrize("guesses", range(1, 8))
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_generated_connection_counts_its_guesses(guesses: int, known: bool, seed: int) -> None:
    sample = LogSample(random.Random(seed))
    sample.failed_login(0, SOURCE, "bob", known, guesses)
    counter = AttemptCounter()
    assert sum(counter.attempts(parsed(line)) or 0 for line in sample.lines()) == guesses


def test_a_process_id_used_again_later_is_another_connection() -> None:
    counter = AttemptCounter(connection_idle=timedelta(seconds=300))
    invalid = [parsed(sshd_line(time, f"Invalid user bob from {SOURCE}")) for time in (0, 10, 400)]
    assert [counter.attempts(each) for each in invalid] == [1, 0, 1]


def test_without_process_ids_each_line_is_an_attempt_of_its_own() -> None:
    counter = AttemptCounter()
    assert [counter.attempts(failure(time)) for time in range(4)] == [1, 1, 1, 1]


def test_a_refused_web_login_is_an_attempt_and_other_refusals_are_not() -> None:
    counter = AttemptCounter()
    post = {"method": "POST"}
    assert counter.attempts(request(0, "/api/auth/token", 401, **post)) == 1
    assert counter.attempts(request(1, "/accounts/login/", 401, **post)) == 1
    for other in (
        request(2, "/api/logs", 401, **post),
        request(3, "/api/auth/token", 401),
        request(4, "/api/auth/token", 200, **post),
        request(5, "/api/auth/token", 429, **post),
    ):
        assert counter.attempts(other) is None


def test_an_application_and_its_access_log_report_one_attempt() -> None:
    counter = AttemptCounter()
    count = 0
    for time in range(4):
        logged = replace(failure(time, pid="31"), program="portal")
        count += counter.attempts(logged)
        count += counter.attempts(request(time, "/api/auth/token", 401, method="POST"))
    assert count == 4


def test_connections_are_forgotten_beyond_the_bound() -> None:
    counter = AttemptCounter(max_connections=100)
    for pid in range(1000):
        counter.attempts(parsed(sshd_line(0, FAILED, pid)))
    assert len(counter._connections) == 100


def test_an_event_without_address_is_nobodys_attempt() -> None:
    assert AttemptCounter().attempts(failure(0, source=None)) is None
