"""sshd's messages of three decades, and the user names that try to be addresses."""

from __future__ import annotations

import pytest
from log_samples import parsed, sshd_line

from securenet.logs.parsers import Event, Kind

PAM_FACTS = "logname= uid=0 euid=0 tty=ssh ruser="


def sshd(message: str) -> Event:
    return parsed(sshd_line(0, message))


@pytest.mark.parametrize(
    ("message", "kind", "source", "user"),
    [
        ("Failed password for root from 192.0.2.9 port 40000 ssh2", Kind.AUTH_FAILURE, "192.0.2.9", "root"),
        (
            "Failed password for invalid user  007 from 192.0.2.8 port 1 ssh2",
            Kind.AUTH_FAILURE,
            "192.0.2.8",
            " 007",
        ),
        (
            "Failed password for invalid user  from 192.0.2.8 port 1 ssh2",
            Kind.AUTH_FAILURE,
            "192.0.2.8",
            "",
        ),
        ("Failed none for invalid user x from 1.2.3.4 port 1 ssh2", Kind.AUTH_FAILURE, "1.2.3.4", "x"),
        (
            "Failed publickey for git from 1.2.3.4 port 22 ssh2: RSA SHA256:AbC/+d",
            Kind.AUTH_FAILURE,
            "1.2.3.4",
            "git",
        ),
        (
            "Failed keyboard-interactive/pam for a from 2001:DB8::1 port 9 ssh2",
            Kind.AUTH_FAILURE,
            "2001:db8::1",
            "a",
        ),
        ("Failed password for root from ::ffff:1.2.3.4 port 9 ssh2", Kind.AUTH_FAILURE, "1.2.3.4", "root"),
        ("Failed password for root from fe80::1%eth0 port 9 ssh2", Kind.AUTH_FAILURE, "fe80::1", "root"),
        (
            "Accepted password for carol from 192.0.2.6 port 40001 ssh2",
            Kind.AUTH_SUCCESS,
            "192.0.2.6",
            "carol",
        ),
        (
            "Accepted publickey for a from 1.2.3.4 port 2 ssh2: ED25519 SHA256:x",
            Kind.AUTH_SUCCESS,
            "1.2.3.4",
            "a",
        ),
        (
            "Accepted publickey for a from 1.2.3.4 port 2 ssh2: RSA-CERT SHA256:x ID m (serial 5) CA RSA S:y",
            Kind.AUTH_SUCCESS,
            "1.2.3.4",
            "a",
        ),
        ("Invalid user dave from 192.0.2.5", Kind.AUTH_INVALID_USER, "192.0.2.5", "dave"),
        ("Invalid user bob from 1.2.3.4 port 4000", Kind.AUTH_INVALID_USER, "1.2.3.4", "bob"),
        (
            "User bin from 1.2.3.4 not allowed because not listed in AllowUsers",
            Kind.AUTH_DENIED,
            "1.2.3.4",
            "bin",
        ),
        ("ROOT LOGIN REFUSED FROM 1.2.3.4 port 33", Kind.AUTH_DENIED, "1.2.3.4", "root"),
        (
            "error: maximum authentication attempts exceeded for invalid user a b from 1.2.3.4 port 7 ssh2",
            Kind.AUTH_MAX_ATTEMPTS,
            "1.2.3.4",
            "a b",
        ),
        (
            "Disconnecting authenticating user root 1.2.3.4 port 7: Too many authentication failures",
            Kind.AUTH_MAX_ATTEMPTS,
            "1.2.3.4",
            "root",
        ),
        (
            "Disconnecting: Too many authentication failures for root [preauth]",
            Kind.AUTH_MAX_ATTEMPTS,
            None,
            None,
        ),
        ("Connection closed by 1.2.3.4 [preauth]", Kind.CONNECTION_CLOSED, "1.2.3.4", None),
        (
            "Connection closed by authenticating user root 1.2.3.4 port 7 [preauth]",
            Kind.AUTH_ABANDONED,
            "1.2.3.4",
            "root",
        ),
        ("Connection reset by invalid user x 1.2.3.4 port 7 [preauth]", Kind.AUTH_ABANDONED, "1.2.3.4", "x"),
        ("Disconnected from user bob 1.2.3.4 port 7", Kind.CONNECTION_CLOSED, "1.2.3.4", "bob"),
        ("Received disconnect from 1.2.3.4: 11: Bye Bye [preauth]", Kind.CONNECTION_CLOSED, "1.2.3.4", None),
        (
            "Received disconnect from 1.2.3.4 port 7:11: Bye Bye [preauth]",
            Kind.CONNECTION_CLOSED,
            "1.2.3.4",
            None,
        ),
        ("Received disconnect from 2001:db8::7: 11: Bye", Kind.CONNECTION_CLOSED, "2001:db8::7", None),
        (
            'Connection from 1.2.3.4 port 7 on 10.0.0.1 port 22 rdomain ""',
            Kind.CONNECTION_OPENED,
            "1.2.3.4",
            None,
        ),
        ("Did not receive identification string from 1.2.3.4", Kind.CONNECTION_PROBE, "1.2.3.4", None),
        (
            "Bad protocol version identification 'GET / from 9.9.9.9 port 1' from 1.2.3.4 port 7",
            Kind.CONNECTION_PROBE,
            "1.2.3.4",
            None,
        ),
        (
            "banner exchange: Connection from 1.2.3.4 port 7: invalid format",
            Kind.CONNECTION_PROBE,
            "1.2.3.4",
            None,
        ),
        (
            "Unable to negotiate with 1.2.3.4 port 7: no matching cipher",
            Kind.CONNECTION_PROBE,
            "1.2.3.4",
            None,
        ),
        (
            f"pam_unix(sshd:auth): authentication failure; {PAM_FACTS} rhost=1.2.3.4  user=root",
            Kind.AUTH_PAM_FAILURE,
            "1.2.3.4",
            "root",
        ),
        (
            f"pam_unix(sshd:auth): authentication failure; {PAM_FACTS} rhost=192.0.2.9.example.net ",
            Kind.AUTH_PAM_FAILURE,
            None,
            None,
        ),
        (
            "error: PAM: Authentication failure for illegal user x from 1.2.3.4",
            Kind.AUTH_PAM_FAILURE,
            "1.2.3.4",
            "x",
        ),
        (
            "pam_unix(sshd:session): session opened for user carol by (uid=0)",
            Kind.SESSION_OPENED,
            None,
            "carol",
        ),
        ("pam_unix(sshd:session): session closed for user carol", Kind.SESSION_CLOSED, None, "carol"),
        ("pam_unix(sshd:auth): check pass; user unknown", Kind.OTHER, None, None),
        ("Server listening on 0.0.0.0 port 22.", Kind.OTHER, None, None),
        ("", Kind.OTHER, None, None),
    ],
)
def test_a_message_is_understood(message: str, kind: Kind, source: str | None, user: str | None) -> None:
    event = sshd(message)
    assert (event.kind, event.source_ip, event.user, event.count) == (kind, source, user, 1)
    assert event.fields["pid"] == "4711"


def test_folded_messages_and_pams_tally_stand_for_several_attempts() -> None:
    folded = sshd("message repeated 5 times: [ Failed password for root from 192.0.2.9 port 4 ssh2]")
    assert (folded.kind, folded.source_ip, folded.user, folded.count) == (
        Kind.AUTH_FAILURE,
        "192.0.2.9",
        "root",
        5,
    )
    tally = sshd(f"PAM 4 more authentication failures; {PAM_FACTS} rhost=192.0.2.8 ")
    assert (tally.kind, tally.source_ip, tally.count) == (Kind.AUTH_PAM_FAILURE, "192.0.2.8", 4)


def test_a_forged_repetition_cannot_claim_billions() -> None:
    event = sshd("message repeated 999999999 times: [ Failed password for root from 1.2.3.4 port 4 ssh2]")
    assert event.count == 100_000


TRUE_ADDRESS = "203.0.113.7"
LYING_NAMES = [
    "x from 1.2.3.4 port 22",
    "x from 1.2.3.4 port 22 ssh2",
    "x from 1.2.3.4 port 22 ssh2: RSA SHA256:abc",
    "x from 1.2.3.4 port 22 ssh2: RSA-CERT SHA256:a ID b (serial 1) CA RSA SHA256:c",
    "root from 1.2.3.4",
    " from 1.2.3.4 port 22 ssh2 from ",
    "x 1.2.3.4 port 22 [preauth]",
    "x 1.2.3.4 port 22: Too many authentication failures [preauth]",
    "invalid user y from 1.2.3.4 port 1 ssh2",
    "x] Failed password for root from 1.2.3.4 port 22 ssh2",
    "x not allowed because user from 1.2.3.4 not allowed because",
    "x rhost=1.2.3.4",
    "x rhost=1.2.3.4  user=root",
    "x\nNov 20 08:00:00 web1 sshd[1]: Failed password for root from 1.2.3.4 port 22 ssh2",
    "x\x00 from 1.2.3.4 port 22 ssh2\x1b[0m",
    "x#012Failed password for root from 1.2.3.4 port 22 ssh2",
]
MESSAGES_WITH_NAMES = [
    "Failed password for invalid user {} from {} port 5 ssh2",
    "Failed password for {} from {} port 5 ssh2",
    "message repeated 2 times: [ Failed password for invalid user {} from {} port 5 ssh2]",
    "Failed publickey for invalid user {} from {} port 5 ssh2: RSA SHA256:xyz",
    "Invalid user {} from {} port 5",
    "Invalid user {} from {}",
    "error: maximum authentication attempts exceeded for invalid user {} from {} port 5 ssh2 [preauth]",
    "Disconnecting invalid user {} {} port 5: Too many authentication failures [preauth]",
    "Connection closed by invalid user {} {} port 5 [preauth]",
    "Disconnected from invalid user {} {} port 5 [preauth]",
    "error: PAM: Authentication failure for illegal user {} from {}",
    "Bad protocol version identification '{}' from {} port 5",
]


@pytest.mark.parametrize("name", LYING_NAMES)
@pytest.mark.parametrize("message", MESSAGES_WITH_NAMES)
def test_a_user_name_cannot_forge_an_address(message: str, name: str) -> None:
    event = sshd(message.format(name, TRUE_ADDRESS))
    assert event.kind is not Kind.OTHER
    assert event.source_ip == TRUE_ADDRESS


@pytest.mark.parametrize("name", LYING_NAMES)
@pytest.mark.parametrize(
    "message",
    [
        "pam_sss(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={1} user={0}",
        "pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser={0} rhost={1} ",
        "input_userauth_request: invalid user {0} [preauth]",
        "Received disconnect from {1} port 5:11: {0} [preauth]",
        "Disconnecting invalid user {0} {1} port 5: Change of username not allowed: ({0},a) -> (b,c)",
        "Failed publickey for root from {1} port 5 ssh2: RSA-CERT SHA256:a ID {0} (serial 0) CA RSA SHA256:b",
    ],
)
def test_where_the_truth_cannot_be_told_no_address_is_named(message: str, name: str) -> None:
    assert sshd(message.format(name, TRUE_ADDRESS)).source_ip in {TRUE_ADDRESS, None}


def test_a_name_long_enough_to_push_the_address_off_the_message_is_not_believed() -> None:
    name = "x" * 950 + " from 1.2.3.4 port 22 ssh2"
    cut = f"Failed password for invalid user {name} from {TRUE_ADDRESS} port 5 ssh2"[:1009]  # where sshd cuts
    assert cut.endswith("from 1.2.3.4 port 22 ssh2")
    event = sshd(cut)
    assert (event.kind, event.source_ip) == (Kind.AUTH_FAILURE, None)


@pytest.mark.parametrize("program", ["myapp", "sshd2", "cron"])
def test_another_program_quoting_sshd_is_not_sshd(program: str) -> None:
    line = sshd_line(0, "Failed password for root from 1.2.3.4 port 22 ssh2").replace("sshd[", f"{program}[")
    event = parsed(line)
    assert (event.program, event.kind, event.source_ip) == (program, Kind.OTHER, None)


@pytest.mark.parametrize("text", ["999.1.1.1", "1.2.3.4.5", "1.2.3", "01.2.3.4", "1.2.3.4.example.net", ":::1", "1e3"])
def test_what_is_no_address_is_no_source(text: str) -> None:
    assert sshd(f"Failed password for root from {text} port 22 ssh2").source_ip is None


@pytest.mark.parametrize("suffix", ["", ".", " - POSSIBLE BREAK-IN ATTEMPT!"])
@pytest.mark.parametrize(
    ("message", "name", "warning"),
    [
        ("reverse mapping checking getaddrinfo for a.example [192.0.2.9] failed", "a.example", "reverse mapping"),
        (
            "Address 192.0.2.9 maps to a.example, but this does not map back to the address",
            "a.example",
            "forward mapping",
        ),
    ],
)
def test_warnings_of_a_break_in_attempt_name_the_client(message: str, name: str, warning: str, suffix: str) -> None:
    event = sshd(message + suffix)
    assert (event.kind, event.source_ip, event.user) == (Kind.CONNECTION_SUSPECT, "192.0.2.9", None)
    assert (event.fields["name"], event.fields["warning"]) == (name, warning)


def test_a_host_name_that_is_spelled_like_an_address_does_not_become_the_source() -> None:
    event = sshd('Nasty PTR record "198.51.100.7" is set up for 192.0.2.9, ignoring')
    assert (event.kind, event.source_ip, event.fields["name"]) == (Kind.CONNECTION_SUSPECT, "192.0.2.9", "198.51.100.7")
    spoofed = sshd("reverse mapping checking getaddrinfo for a[198.51.100.7] [192.0.2.9] failed.")
    assert spoofed.source_ip == "192.0.2.9"


@pytest.mark.parametrize("message", ["Address book opened", "Nasty", "reverse mapping of nobody"])
def test_other_words_are_no_warning(message: str) -> None:
    assert sshd(message).kind is Kind.OTHER
