"""Messages of sudo and su: who acted as whom, and who tried to.

Who asked stands first in sudo's messages and is an account's name; folder and command are free text that any user
chooses. su names whom somebody wanted to be as that was typed, so its patterns are anchored behind it.
"""

from __future__ import annotations

import re

from securenet.logs.parsers.event import MAX_COUNT, Kind, Reading
from securenet.logs.parsers.pam import read_pam

MAX_COMMAND = 1024

# An account's name holds no colon: that ends a field of passwd(5).
_SUDO = re.compile(
    r"(?P<user>[^\s:](?:[^:]{0,254}[^\s:])?) : (?:(?P<reason>[^;=]{1,256}) ; )?(?P<facts>[A-Z]{2,8}=.*)$"
)
_FACT = re.compile(r"(?P<name>HOST|TTY|CHROOT|PWD|USER|GROUP|TSID|ENV|COMMAND)=")
_WRONG_PASSWORDS = re.compile(r"(?P<count>\d{1,6}) incorrect password attempts?$")
_FIELDS = {"TTY": "tty", "PWD": "cwd", "USER": "target_user", "GROUP": "target_group", "COMMAND": "command"}

_REFUSED = re.compile(r"\b(?:not|no|sorry|incorrect|required|expired|fail(?:ed|ure)|denied)\b", re.IGNORECASE)

_NAME = r"(?P<user>[^\s:()]{1,256})"
_TARGET = r"(?P<target>.{0,256})"
_TTY = r"(?P<tty>\S{1,64})"
_SU = (
    # util-linux
    (Kind.PRIVILEGE_DENIED, re.compile(rf"FAILED SU \(to {_TARGET}\) {_NAME} on {_TTY}$")),
    (Kind.PRIVILEGE_USED, re.compile(rf"\(to {_TARGET}\) {_NAME} on {_TTY}$")),
    # shadow, which follows each with a line of its own for the terminal
    (Kind.PRIVILEGE_DENIED, re.compile(rf"FAILED su for {_TARGET} by {_NAME}$")),
    (Kind.PRIVILEGE_USED, re.compile(rf"Successful su for {_TARGET} by {_NAME}$")),
    (Kind.OTHER, re.compile(rf"[+-] {_TTY} {_NAME}:{_TARGET}$")),
    # BSD
    (Kind.PRIVILEGE_DENIED, re.compile(rf"BAD SU {_NAME} to {_TARGET} on {_TTY}$")),
    (Kind.PRIVILEGE_USED, re.compile(rf"{_NAME} to {_TARGET} on (?P<tty>/dev/\S{{1,64}})$")),
)


def read_sudo(message: str) -> Reading | None:
    """Return what a message of sudo says, or None where it is none of those known."""
    message = message.strip()
    if message.startswith(("pam_", "PAM ")):
        return read_pam(message)
    match = _SUDO.match(message)
    if match is None:
        return None
    fields, reason = _facts(match["facts"]), match["reason"]
    if reason is None:
        return Reading(Kind.PRIVILEGE_USED, user=match["user"], fields=fields) if "COMMAND=" in message else None
    if reason.startswith("(command continued)") or not _REFUSED.search(reason):
        return None
    wrong = _WRONG_PASSWORDS.match(reason)
    count = max(1, min(int(wrong["count"]), MAX_COUNT)) if wrong else 1
    return Reading(Kind.PRIVILEGE_DENIED, user=match["user"], count=count, fields={**fields, "reason": reason})


def read_su(message: str) -> Reading | None:
    """Return what a message of su says, or None where it is none of those known."""
    message = message.strip()
    if message.startswith(("pam_", "PAM ")):
        return read_pam(message)
    for kind, pattern in _SU:
        if match := pattern.match(message):
            groups = match.groupdict()
            fields = {"target_user": groups["target"]}
            if tty := groups.get("tty"):
                fields["tty"] = tty
            return Reading(kind, user=groups["user"], fields=fields)
    return None


def _facts(text: str) -> dict[str, str]:
    """The facts between semicolons.

    A folder or a command may look like further facts: one that is named twice is left out, and ``ambiguous`` set.
    """
    found: dict[str, list[str]] = {}
    for part in text.split(" ; "):
        if match := _FACT.match(part):
            found.setdefault(match["name"], []).append(part[match.end() :])
    if len(found.get("COMMAND", ())) == 1:
        found["COMMAND"] = [f" ; {text}".partition(" ; COMMAND=")[2]]  # it stands last, and may hold semicolons
    fields = {
        field: values[0][:MAX_COMMAND]
        for name, field in _FIELDS.items()
        if len(values := found.get(name, [])) == 1 and values[0]
    }
    if any(len(values) > 1 for values in found.values()):
        fields["ambiguous"] = "true"
    return fields
