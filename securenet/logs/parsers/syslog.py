"""Syslog framing: RFC 3164, RFC 5424, and rsyslog's traditional line with an ISO 8601 stamp.

The frame says when, where and which program; what the message means is asked of that program's own reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from securenet.logs.parsers import timestamps
from securenet.logs.parsers.access import read_access
from securenet.logs.parsers.error_logs import read_error_log
from securenet.logs.parsers.event import Context, Event, Reading
from securenet.logs.parsers.pam import read_pam
from securenet.logs.parsers.repetition import repeated, unfolded
from securenet.logs.parsers.sshd import read_sshd
from securenet.logs.parsers.sudo import read_su, read_sudo

LEVELS = ("emergency", "alert", "critical", "error", "warning", "notice", "info", "debug")
"""Severities by their syslog number (RFC 5424, section 6.2.1)."""

_OCTET_COUNT = re.compile(r"\d{1,5} (?=<\d{1,3}>)")  # RFC 6587, section 3.4.1
_PRIORITY = re.compile(r"<(\d{1,3})>")
_TAG = (
    r" (?P<host>\S{1,255}) "
    r"(?:(?P<program>[^\s:\[\]]{1,128})(?:\[(?P<pid>[\w.-]{1,32})\])?:(?: |$))?(?P<message>.*)$"
)
_RFC3164 = re.compile(r"(?P<stamp>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)" + _TAG)
_ISO_STAMPED = re.compile(r"(?P<stamp>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)" + _TAG)
_RFC5424 = re.compile(
    r"1 (?P<stamp>\S{1,64}) (?P<host>\S{1,255}) (?P<program>\S{1,48}) (?P<pid>\S{1,128}) (?P<id>\S{1,32}) "
    r"(?:-|(?P<data>(?:\[[^\s=\"\]]{1,32}(?: [^\s=\"\]]{1,32}=\"(?:[^\"\\\]]|\\.)*\")*\])+))"
    r"(?: (?P<message>.*))?$"
)


def read_web_server(message: str) -> Reading | None:
    """Return what an entry of a web server's access or error log says, or None where it is neither."""
    return read_access(message) or read_error_log(message)


PROGRAMS: dict[str, Callable[[str], Reading | None]] = {
    "sshd": read_sshd,
    "sshd-session": read_sshd,
    "sshd-auth": read_sshd,
    "nginx": read_web_server,
    "apache2": read_web_server,
    "httpd": read_web_server,
    "granian": read_access,
    "sudo": read_sudo,
    "su": read_su,
}
"""Program name in the frame → reader of its messages; every other program is asked for PAM messages."""


def parse_syslog(line: str, context: Context) -> Event | None:
    """Return the event of a syslog line, or None where it is framed otherwise."""
    fields: dict[str, str] = {}
    if counted := _OCTET_COUNT.match(line):
        line = line[counted.end() :]
    if priority := _PRIORITY.match(line):
        line = line[priority.end() :]
        fields["level"] = LEVELS[int(priority[1]) & 7]
    if priority and (match := _RFC5424.match(line)):
        return _rfc5424(match, fields, context)
    if match := _RFC3164.match(line):
        time = timestamps.from_rfc3164(match["stamp"], context.now, context.default_timezone)
    elif match := _ISO_STAMPED.match(line):
        time = timestamps.from_iso8601(match["stamp"], context)
    else:
        return None
    host, program, pid, message = match.group("host", "program", "pid", "message")
    return _event(time, host, program or "", pid, message, fields, context)


def read_message(program: str, message: str) -> Reading:
    """Return what ``message`` of ``program`` says; `Kind.OTHER` for what nobody knows."""
    said, times = unfolded(message.strip())
    reader = PROGRAMS.get(program)
    return repeated((reader(said) if reader else read_pam(said)) or Reading(), times)


def _rfc5424(match: re.Match[str], fields: dict[str, str], context: Context) -> Event:
    header = match.group("stamp", "host", "program", "pid")
    stamp, host, program, pid = ("" if part == "-" else part for part in header)
    if match["data"]:
        fields["structured_data"] = match["data"][:1024]
    time = timestamps.from_iso8601(stamp, context) if stamp else None
    return _event(time, host, program, pid, match["message"] or "", fields, context)


def _event(
    time: datetime | None,
    host: str,
    program: str,
    pid: str | None,
    message: str,
    fields: dict[str, str],
    context: Context,
) -> Event:
    if time is None:
        time, fields["time_source"] = context.now, "received"
    if pid:
        fields["pid"] = pid
    reading = read_message(program, message)
    if reading.fields:
        fields.update(reading.fields)
    return Event(time, host, program, reading.kind, reading.source_ip, reading.user, reading.count, fields, message)
