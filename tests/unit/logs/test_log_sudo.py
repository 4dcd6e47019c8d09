"""sudo and su: who acted as whom, who was refused, and users who write log syntax into folders and commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_samples import parsed

from securenet.logs.parsers import Event, Kind

FACTS = "TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/cat /etc/shadow"


def sudo(message: str) -> Event:
    return parsed(f"Nov 20 08:00:01 web1 sudo[123]: {message}")


def su(message: str) -> Event:
    return parsed(f"Nov 20 08:00:01 web1 su[123]: {message}")


def test_a_command_tells_who_ran_what_as_whom() -> None:
    event = sudo(f"   alice : {FACTS}")  # sudo pads names to eight characters
    assert (event.kind, event.user, event.source_ip, event.count) == (Kind.PRIVILEGE_USED, "alice", None, 1)
    assert event.fields == {
        "pid": "123",
        "tty": "pts/0",
        "cwd": "/home/alice",
        "target_user": "root",
        "command": "/bin/cat /etc/shadow",
    }


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (
            "HOST=web1 ; TTY=pts/1 ; PWD=/ ; USER=root ; GROUP=adm ; TSID=00001A ; COMMAND=/bin/ls",
            {"target_group": "adm", "target_user": "root", "command": "/bin/ls"},
        ),
        ("TTY=unknown ; PWD=/srv ; USER=www-data ; ENV=A=1 B=2 ; COMMAND=list", {"command": "list", "cwd": "/srv"}),
        ("TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c a ; b", {"command": "/bin/sh -c a ; b"}),
    ],
)
def test_further_facts(facts: str, expected: dict[str, str]) -> None:
    event = sudo(f"alice : {facts}")
    assert event.kind == Kind.PRIVILEGE_USED
    assert expected.items() <= event.fields.items()


@pytest.mark.parametrize(
    ("reason", "count"),
    [
        ("3 incorrect password attempts", 3),
        ("1 incorrect password attempt", 1),
        ("999999 incorrect password attempts", 100_000),
        ("user NOT in sudoers", 1),
        ("user NOT authorized on host", 1),
        ("command not allowed", 1),
        ("a password is required", 1),
        ("a terminal is required to read the password", 1),
        ("no tty present and no askpass program specified", 1),
        ("sorry, you must have a tty to run sudo", 1),
        ("account validation failure, is your account locked?", 1),
    ],
)
def test_a_refusal_tells_why(reason: str, count: int) -> None:
    event = sudo(f"mallory : {reason} ; {FACTS}")
    assert (event.kind, event.user, event.count) == (Kind.PRIVILEGE_DENIED, "mallory", count)
    assert (event.fields["reason"], event.fields["target_user"]) == (reason, "root")


@pytest.mark.parametrize(
    "message",
    [
        "alice : problem with defaults entries ; TTY=pts/0 ; PWD=/ ; USER=root ; ",
        "alice : (command continued) x not y ; TTY=pts/0 ; COMMAND=/bin/sh",
        "unable to resolve host web1: Name or service not known",
        "alice : TTY=pts/0",
        "",
    ],
)
def test_other_messages_are_neither(message: str) -> None:
    assert sudo(message).kind == Kind.OTHER


@pytest.mark.parametrize(
    "facts",
    [
        "TTY=pts/0 ; PWD=/tmp/x ; USER=nobody ; COMMAND=/bin/true ; USER=root ; COMMAND=/bin/sh",
        "TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/echo x ; USER=nobody",
    ],
    ids=["a folder", "a command"],
)
def test_a_name_that_looks_like_facts_decides_nothing(facts: str) -> None:
    event = sudo(f"mallory : {facts}")
    assert (event.kind, event.user) == (Kind.PRIVILEGE_USED, "mallory")
    assert "target_user" not in event.fields
    assert event.fields["ambiguous"] == "true"


def test_a_command_cannot_pass_for_a_refusal_or_for_another_user() -> None:
    event = sudo("mallory : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo alice : user NOT in sudoers ; TTY=pts/1")
    assert (event.kind, event.user) == (Kind.PRIVILEGE_USED, "mallory")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=200))
def test_whatever_is_run_the_user_is_the_one_who_ran_it(text: str) -> None:
    event = sudo(f"mallory : TTY=pts/0 ; PWD=/{text} ; USER=root ; COMMAND=/bin/echo {text}")
    assert (event.kind, event.user) == (Kind.PRIVILEGE_USED, "mallory")
    assert event.fields.get("target_user", "root") == "root" or "USER=" in text


@pytest.mark.parametrize("program", ["sudo", "su"])
def test_pam_speaks_through_both(program: str) -> None:
    failure = parsed(
        f"Nov 20 08:00:01 web1 {program}[9]: pam_unix({program}:auth): authentication failure; "
        "logname=alice uid=1000 euid=0 tty=/dev/pts/0 ruser=alice rhost=  user=alice"
    )
    assert (failure.kind, failure.user, failure.source_ip) == (Kind.AUTH_PAM_FAILURE, "alice", None)
    opened = parsed(
        f"Nov 20 08:00:01 web1 {program}: pam_unix({program}:session): session opened for user root by alice(uid=1000)"
    )
    assert (opened.kind, opened.user) == (Kind.SESSION_OPENED, "root")


@pytest.mark.parametrize(
    ("message", "kind", "user", "target"),
    [
        ("(to root) alice on pts/0", Kind.PRIVILEGE_USED, "alice", "root"),
        ("FAILED SU (to root) alice on pts/0", Kind.PRIVILEGE_DENIED, "alice", "root"),
        ("Successful su for root by alice", Kind.PRIVILEGE_USED, "alice", "root"),
        ("FAILED su for root by alice", Kind.PRIVILEGE_DENIED, "alice", "root"),
        ("BAD SU alice to root on /dev/pts/0", Kind.PRIVILEGE_DENIED, "alice", "root"),
        ("alice to root on /dev/pts/0", Kind.PRIVILEGE_USED, "alice", "root"),
        # The terminal's line comes with the one before it and is not a second event of its kind.
        ("+ /dev/pts/0 alice:root", Kind.OTHER, "alice", "root"),
        ("- /dev/pts/0 alice:root", Kind.OTHER, "alice", "root"),
        ("- ??? alice:root", Kind.OTHER, "alice", "root"),
        # Whom mallory wanted to be is what mallory typed.
        ("FAILED su for x by root by mallory", Kind.PRIVILEGE_DENIED, "mallory", "x by root"),
        ("FAILED SU (to x) root on pts/0) mallory on pts/9", Kind.PRIVILEGE_DENIED, "mallory", "x) root on pts/0"),
    ],
)
def test_su_tells_who_wanted_to_be_whom(message: str, kind: Kind, user: str, target: str) -> None:
    event = su(message)
    assert (event.kind, event.user, event.fields["target_user"]) == (kind, user, target)
    assert event.source_ip is None


@pytest.mark.parametrize("message", ["nonsense", "FAILED su for root", "(to root)", "+ x", "alice to root"])
def test_other_messages_of_su_are_nothing(message: str) -> None:
    event = su(message)
    assert (event.kind, event.user) == (Kind.OTHER, None)


def test_messages_that_rsyslog_folded_count_as_often() -> None:
    event = su("message repeated 4 times: [ FAILED SU (to root) alice on pts/0]")
    assert (event.kind, event.user, event.count) == (Kind.PRIVILEGE_DENIED, "alice", 4)


def test_a_journald_export_is_understood() -> None:
    event = parsed(f'{{"SYSLOG_IDENTIFIER": "sudo", "_PID": "7", "_HOSTNAME": "h", "MESSAGE": "   alice : {FACTS}"}}')
    assert (event.kind, event.user, event.fields["command"]) == (
        Kind.PRIVILEGE_USED,
        "alice",
        "/bin/cat /etc/shadow",
    )
