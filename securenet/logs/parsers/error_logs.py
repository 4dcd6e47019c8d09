"""Error logs of Apache (2.2 and 2.4) and nginx.

Apache writes the client before anything a client chose. nginx writes it behind: a request's decoded path stands before
it, the request itself after it, so an address is believed only where a line names one and cannot have been cut.
"""

from __future__ import annotations

import re

from securenet.logs.parsers import timestamps
from securenet.logs.parsers.access import request_fields
from securenet.logs.parsers.addresses import ADDRESS, canonical_address
from securenet.logs.parsers.event import Context, Event, Kind, Reading

LONGEST_WHOLE_ENTRY = 1900
"""Bytes of a raw line from which on nginx may have cut it (at 2,048), and a forged client be the only one left."""

LEVELS = {
    "emerg": "emergency",
    "alert": "alert",
    "crit": "critical",
    "error": "error",
    "warn": "warning",
    "notice": "notice",
    "info": "info",
    "debug": "debug",
    **{f"trace{number}": "debug" for number in range(1, 9)},
}
ERRORS = frozenset({"emergency", "alert", "critical", "error"})
_KINDS = frozenset({Kind.SERVICE_ERROR, Kind.OTHER})

_APACHE_STAMP = re.compile(
    r"\[(?P<stamp>[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? \d{4})\] (?=\[)"
)
_APACHE = re.compile(
    r"\[(?:(?P<module>[\w.-]{0,64}):)?(?P<level>[a-z]{3,6}[1-8]?)\] "
    r"(?:\[pid (?P<pid>\d{1,10})(?::tid (?P<tid>\d{1,20}))?\] )?"
    r"(?:[\w./-]{1,255}\(\d{1,6}\): )?(?:\(-?\d{1,10}\)[^\[\]:]{1,128}: )?"
    r"(?:\[(?:client|remote) (?P<client>[^\s\]]{1,80})\] )?(?:(?P<code>AH\d{5}): )?"
)
_NGINX = re.compile(
    r"(?P<stamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>[a-z]{4,6})\] (?P<pid>\d{1,10})#(?P<tid>\d{1,10}): "
    r"(?:\*(?P<connection>\d{1,20}) )?"
)
_NGINX_CLIENT = re.compile(rf", client: (?P<client>{ADDRESS}|unix:)(?=,|$)")
_NGINX_REQUEST = re.compile(r', request: "(?P<method>[A-Z-]{1,32}) (?P<target>[^\s"]{1,4096}) HTTP/[\d.]{1,8}"')


def parse_error_log(line: str, context: Context) -> Event | None:
    """Return the event of a line of an error log, or None where it is framed otherwise."""
    if stamped := _APACHE_STAMP.match(line):
        reading = _apache(line[stamped.end() :])
        program, time = "apache", timestamps.from_apache_error_log(stamped["stamp"], context)
    elif match := _NGINX.match(line):
        reading = _nginx(match)
        stamp = match["stamp"].replace("/", "-")
        program, time = "nginx", timestamps.from_iso8601(stamp, context)
    else:
        return None
    if reading is None:
        return None
    fields = dict(reading.fields)
    if time is None:
        time, fields["time_source"] = context.now, "received"
    return Event(
        time, context.default_host, program, reading.kind, reading.source_ip, reading.user, reading.count, fields, line
    )


def read_error_log(message: str) -> Reading | None:
    """Return what an entry of an error log inside another frame (syslog) says, or None where it is none."""
    if match := _NGINX.match(message):
        return _nginx(match)
    stamped = _APACHE_STAMP.match(message)
    return _apache(message[stamped.end() :] if stamped else message)


def is_doubtful(event: Event, raw_bytes: int) -> bool:
    """Say whether the address of an event may be forged: nginx wrote the line, and may have cut it.

    Args:
        raw_bytes: length of the line as it was written, with what cleaning has taken out.
    """
    return raw_bytes >= LONGEST_WHOLE_ENTRY and event.kind in _KINDS and {"connection", "tid"} <= event.fields.keys()


def _apache(text: str) -> Reading | None:
    match = _APACHE.match(text)
    if match is None or match["level"] not in LEVELS:
        return None
    fields = _fields(match, "module", "pid", "tid", "code")
    return _reading(fields, _apache_client(match["client"] or "", with_port=match["pid"] is not None))


def _apache_client(text: str, *, with_port: bool) -> str | None:
    """The address of a client; 2.4 writes a port behind it, behind IPv6 without brackets as well."""
    if with_port:
        host, _, port = text.rpartition(":")
        if port.isdecimal() and (address := canonical_address(host.strip("[]"))):
            return address
    return canonical_address(text)


def _nginx(match: re.Match[str]) -> Reading | None:
    if match["level"] not in LEVELS:
        return None
    text = match.string[match.end() :]
    fields = _fields(match, "pid", "tid", "connection")
    address = None
    if text.count(", client: ") == 1 and len(match.string.encode()) < LONGEST_WHOLE_ENTRY:
        if client := _NGINX_CLIENT.search(text):
            address = canonical_address(client["client"])
        if text.count(', request: "') == 1 and (request := _NGINX_REQUEST.search(text)):
            fields |= request_fields(request["method"], request["target"])
    return _reading(fields, address)


def _fields(match: re.Match[str], *names: str) -> dict[str, str]:
    return {"level": LEVELS[match["level"]], **{name: match[name] for name in names if match[name]}}


def _reading(fields: dict[str, str], address: str | None) -> Reading:
    return Reading(Kind.SERVICE_ERROR if fields["level"] in ERRORS else Kind.OTHER, address, fields=fields)
