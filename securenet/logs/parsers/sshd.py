"""Messages of OpenSSH's sshd, from 5.x to the split `sshd-session` of 9.8 and later.

A user name is free text chosen by the client: where one comes before the address, the pattern takes the last
address and is anchored at the end; where client text comes after the address, it is anchored at the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from securenet.logs.parsers.addresses import ADDRESS, canonical_address
from securenet.logs.parsers.event import Kind, Reading
from securenet.logs.parsers.pam import read_pam

# Longer names do not match: sshd cuts a message at 1,024 bytes, so a long enough name pushes the true address
# off the end and could leave an invented one there. Such a line is counted, but has no address.
_USER = r"(?P<user>.{0,256})"
_IP = rf"(?P<ip>{ADDRESS})"
_PORT = r" port (?P<port>\d{1,5})"
_PREAUTH = r"(?: \[preauth\])?"
_UNKNOWN = r"(?P<unknown>(?:invalid|illegal) user )?"

_OUTCOME = r"(?P<method>[\w/-]{1,64}) for " + _UNKNOWN + _USER + " from " + _IP + _PORT + r"(?: ssh\d?)?"
_LOGIN = re.compile(r"(?:Failed|Accepted) " + _OUTCOME + r"(?:: (?P<key>\S{1,64} \S{1,128}))?$")
# The ID of a certificate is free text too, and comes after the address.
_LOGIN_CERTIFICATE = re.compile(
    r"(?:Failed|Accepted) "
    + _OUTCOME
    + r": (?P<key>\S{1,64} \S{1,128}) ID .{0,256} \(serial \d{1,20}\) CA \S{1,64} \S{1,128}$"
)
_ANY_FROM = re.compile(rf" from {ADDRESS} port \d{{1,5}}")
_INVALID_USER = re.compile(r"(?:Invalid|Illegal) user " + _USER + " from " + _IP + rf"(?:{_PORT})?$")
_DENIED = re.compile(r"User " + _USER + r" from (?P<ip>\S{1,255}) not allowed because .{1,255}$")
_ROOT_REFUSED = re.compile(r"ROOT LOGIN REFUSED FROM " + _IP + rf"(?:{_PORT})?" + _PREAUTH + "$")
_MAX_ATTEMPTS = re.compile(
    r"maximum authentication attempts exceeded for "
    + _UNKNOWN
    + _USER
    + " from "
    + _IP
    + _PORT
    + r"(?: ssh\d?)?"
    + _PREAUTH
    + "$"
)
_TOO_MANY = re.compile(
    r"Disconnecting (?P<unknown>invalid|authenticating) user "
    + _USER
    + " "
    + _IP
    + _PORT
    + r": Too many authentication failures"
    + _PREAUTH
    + "$"
)
_PAM_ERROR = re.compile(
    r"PAM: (?:Authentication failure|User not known to the underlying authentication module|Permission denied"
    r"|User account has expired|Have exhausted maximum number of retries for service) for "
    + _UNKNOWN
    + _USER
    + r" from (?P<ip>\S{1,255})$"
)
_LEFT_NAMED = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from) "
    r"(?P<who>(?:invalid |illegal |authenticating )?user )" + _USER + " " + _IP + _PORT + _PREAUTH + "$"
)
_LEFT = re.compile(
    r"(?:Connection (?:closed|reset) by|Disconnected from|Timeout before authentication for) "
    + _IP
    + rf"(?:{_PORT})?"
    + _PREAUTH
    + "$"
)
_RECEIVED_DISCONNECT = re.compile(r"Received disconnect from " + _IP + rf"(?:{_PORT})?:\s?\d{{1,5}}:")
_OPENED = re.compile(r"Connection from " + _IP + _PORT + " on ")
_NO_IDENTIFICATION = re.compile(
    r"(?:Did not receive identification string|Bad protocol version identification '.{0,512}') from "
    + _IP
    + rf"(?:{_PORT})?$"
)
_BAD_BANNER = re.compile(r"banner exchange: Connection from " + _IP + _PORT + ": ")
_NO_COMMON_ALGORITHM = re.compile(r"Unable to negotiate with " + _IP + rf"(?:{_PORT})?: ")
# Newer versions end these warnings with a full stop, older ones with "POSSIBLE BREAK-IN ATTEMPT!".
_WARNED = r"\.?(?: - POSSIBLE BREAK-IN ATTEMPT!)?$"
_REVERSE_MAPPING = re.compile(
    r"reverse mapping checking getaddrinfo for (?P<name>\S{1,255}) \[" + _IP + r"\] failed" + _WARNED
)
_FORWARD_MAPPING = re.compile(
    "Address " + _IP + r" maps to (?P<name>\S{1,255}), but this does not map back to the address" + _WARNED
)
_ADDRESS_AS_NAME = re.compile(r"Nasty PTR record \"(?P<name>\S{1,255})\" is set up for " + _IP + ", ignoring$")


def read_sshd(message: str) -> Reading:
    """Return what a message of sshd says; one that is not known is `Kind.OTHER`."""
    message = message.strip()
    if message.startswith(("error: ", "fatal: ")):
        message = message[7:]
    reader = _READERS.get(message.split(" ", 1)[0])
    reading = reader(message) if reader else read_pam(message) if message.startswith("pam_") else None
    return reading or Reading()


def _login(message: str) -> Reading:
    match = _LOGIN.match(message)
    if match is None and len(_ANY_FROM.findall(message)) == 1:
        match = _LOGIN_CERTIFICATE.match(message)
    kind = Kind.AUTH_SUCCESS if message.startswith("Accepted") else Kind.AUTH_FAILURE
    if match is None:  # it did happen, but whose it was cannot be told
        return Reading(kind, fields={"method": message.split(" ", 2)[1][:64]} if " " in message else {})
    return _reading(kind, match, "method", "port", "key")


def _invalid_user(message: str) -> Reading | None:
    if not message.startswith(("Invalid user ", "Illegal user ")):
        return None
    match = _INVALID_USER.match(message)
    return _reading(Kind.AUTH_INVALID_USER, match, "port") if match else Reading(Kind.AUTH_INVALID_USER)


def _user_denied(message: str) -> Reading | None:
    match = _DENIED.match(message)
    return _reading(Kind.AUTH_DENIED, match) if match else None


def _root_refused(message: str) -> Reading | None:
    match = _ROOT_REFUSED.match(message)
    return _reading(Kind.AUTH_DENIED, match, "port", user="root") if match else None


def _maximum(message: str) -> Reading | None:
    match = _MAX_ATTEMPTS.match(message)
    return _reading(Kind.AUTH_MAX_ATTEMPTS, match, "port") if match else None


def _disconnecting(message: str) -> Reading | None:
    if match := _TOO_MANY.match(message):
        return _reading(Kind.AUTH_MAX_ATTEMPTS, match, "port")
    if "Too many authentication failures" in message:  # up to 7.4 without the address
        return Reading(Kind.AUTH_MAX_ATTEMPTS)
    return None


def _pam(message: str) -> Reading | None:
    if match := _PAM_ERROR.match(message):
        reading = _reading(Kind.AUTH_PAM_FAILURE, match)
        return Reading(reading.kind, reading.source_ip, reading.user, 1, {**reading.fields, "reporter": "sshd"})
    return read_pam(message)


def _left(message: str) -> Reading | None:
    if match := _LEFT.match(message):
        return _reading(Kind.CONNECTION_CLOSED, match, "port")
    if match := _LEFT_NAMED.match(message):
        logged_in = match["who"] == "user "
        return _reading(Kind.CONNECTION_CLOSED if logged_in else Kind.AUTH_ABANDONED, match, "port")
    if match := _OPENED.match(message):
        return _reading(Kind.CONNECTION_OPENED, match, "port")
    return None


def _matching(kind: Kind, pattern: re.Pattern[str]) -> Callable[[str], Reading | None]:
    def read(message: str) -> Reading | None:
        match = pattern.match(message)
        return _reading(kind, match) if match else None

    return read


def _suspect(pattern: re.Pattern[str], warning: str) -> Callable[[str], Reading | None]:
    def read(message: str) -> Reading | None:
        match = pattern.match(message)
        if match is None:
            return None
        reading = _reading(Kind.CONNECTION_SUSPECT, match, "name")
        return Reading(reading.kind, reading.source_ip, fields={**reading.fields, "warning": warning})

    return read


def _reading(kind: Kind, match: re.Match[str], *names: str, user: str | None = None) -> Reading:
    groups = match.groupdict()
    fields = {name: groups[name] for name in names if groups.get(name)}
    if (groups.get("unknown") or groups.get("who") or "").startswith(("invalid", "illegal")):
        fields["unknown_user"] = "true"
    return Reading(kind, canonical_address(groups["ip"]), groups.get("user", user), 1, fields)


_READERS: dict[str, Callable[[str], Reading | None]] = {
    "Failed": _login,
    "Accepted": _login,
    "Invalid": _invalid_user,
    "Illegal": _invalid_user,
    "User": _user_denied,
    "ROOT": _root_refused,
    "maximum": _maximum,
    "Disconnecting": _disconnecting,
    "Disconnecting:": _disconnecting,
    "PAM:": _pam,
    "PAM": _pam,
    "Connection": _left,
    "Disconnected": _left,
    "Timeout": _left,
    "Received": _matching(Kind.CONNECTION_CLOSED, _RECEIVED_DISCONNECT),
    "Did": _matching(Kind.CONNECTION_PROBE, _NO_IDENTIFICATION),
    "Bad": _matching(Kind.CONNECTION_PROBE, _NO_IDENTIFICATION),
    "banner": _matching(Kind.CONNECTION_PROBE, _BAD_BANNER),
    "Unable": _matching(Kind.CONNECTION_PROBE, _NO_COMMON_ALGORITHM),
    "reverse": _suspect(_REVERSE_MAPPING, "reverse mapping"),
    "Address": _suspect(_FORWARD_MAPPING, "forward mapping"),
    "Nasty": _suspect(_ADDRESS_AS_NAME, "address as name"),
}
"""By the first word of a message: one look-up instead of a dozen tries."""
