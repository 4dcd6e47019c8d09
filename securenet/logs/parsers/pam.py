"""Messages of PAM modules, whatever program they speak through (sshd, su, vsftpd, ...).

An attempt shows here *and* in the program's own line: these are second witnesses, not attempts of their own.
"""

from __future__ import annotations

import re

from securenet.logs.parsers.addresses import canonical_address
from securenet.logs.parsers.event import MAX_COUNT, Kind, Reading

# `ruser` (vsftpd) and `user` (pam_sss) may be what a client typed, on either side of the address: of a
# message that names two hosts neither is believed.
_FACTS = (
    r"; logname=.{0,256}? uid=\d{0,10} euid=\d{0,10} tty=\S{0,64} "
    r"ruser=.{0,256} rhost=(?P<rhost>\S{0,255})"
)
_USER = r"(?: {1,2}user=(?P<user>\S{0,256}))?\s{0,4}$"
_FAILURE = re.compile(
    r"(?P<module>pam_\w{1,32})\((?P<service>[\w.-]{1,64}):auth\): authentication failure" + _FACTS + _USER
)
_MORE_FAILURES = re.compile(r"PAM (?P<count>\d{1,6}) more authentication failures?" + _FACTS + _USER)
_SESSION = re.compile(
    r"pam_\w{1,32}\([\w.-]{1,64}:session\): session (?P<what>opened|closed) for user (?P<user>[^\s(]{1,256})"
)


def read_pam(message: str) -> Reading | None:
    """Return what a PAM message says, or None where it is none of those known."""
    if match := _FAILURE.match(message):
        return _failure(match, match["module"], 1)
    if match := _MORE_FAILURES.match(message):
        return _failure(match, "pam_unix", min(int(match["count"]), MAX_COUNT))  # its closing tally
    if match := _SESSION.match(message):
        kind = Kind.SESSION_OPENED if match["what"] == "opened" else Kind.SESSION_CLOSED
        return Reading(kind, user=match["user"])
    return None


def _failure(match: re.Match[str], module: str, count: int) -> Reading:
    rhost = match["rhost"] if match.string.count(" rhost=") == 1 else ""
    return Reading(
        Kind.AUTH_PAM_FAILURE,
        source_ip=canonical_address(rhost),
        user=match["user"] or None,
        count=max(count, 1),
        fields={"reporter": module, "rhost": rhost},
    )
