r"""Access logs: common and combined log format of nginx, Apache and others, with or without a virtual host.

The client address stands first, before anything the client can write. A writer must escape quotes and line
breaks in the quoted parts (nginx ``\x22``, Apache ``\"``): a bare quote ends its part.
"""

from __future__ import annotations

import re

from securenet.logs.parsers import timestamps
from securenet.logs.parsers.addresses import canonical_address
from securenet.logs.parsers.event import Context, Event, Kind, Reading
from securenet.logs.parsers.text import clean_text

_INSIDE = r'[^"\\]*(?:\\.[^"\\]*)*'
# The user of basic authentication may hold spaces and brackets but no bare quote: the last "[...] " before
# the request is the time.
_HEAD = (
    r'(?P<client>\S{1,280}) (?P<ident>\S{1,256}) (?P<user>[^"]{0,512}) \[(?P<stamp>[\w/:+. -]{1,40})\] '
    rf'"(?P<request>{_INSIDE})'
)
_LINE = re.compile(
    _HEAD + r'" (?P<status>\d{3}) (?P<size>\d{1,15}|-)' + rf'(?: "(?P<referrer>{_INSIDE})" "(?P<agent>{_INSIDE})")?'
)
_CUT_LINE = re.compile(_HEAD + r"\\?$")  # longer than the line bound: still a request of that client
_VIRTUAL_HOST = re.compile(r"[\w.-]{1,255}:\d{1,5} (?=\S)")
_METHOD = re.compile(r"[A-Za-z-]{1,32}")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_CONTROL_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


def parse_access(line: str, context: Context) -> Event | None:
    """Return the event of an access-log line, or None where it is framed otherwise."""
    match = _match(line)
    if match is None:
        return None
    reading = _reading(match)
    fields = dict(reading.fields)
    time = timestamps.from_access_log(match["stamp"], context)
    if time is None:
        time, fields["time_source"] = context.now, "received"
    return Event(time, context.default_host, "http", reading.kind, reading.source_ip, reading.user, 1, fields, line)


def read_access(message: str) -> Reading | None:
    """Return what an access-log line inside another frame (syslog) says, or None where it is none."""
    match = _match(message)
    return _reading(match) if match else None


def request_fields(method: str, target: str) -> dict[str, str]:
    """Return the fields of a request, still percent-encoded: `method`, `path`, perhaps `query`."""
    path, has_query, query = target.partition("?")
    fields = {"method": method, "path": path}
    if has_query:
        fields["query"] = query
    return fields


def _match(line: str) -> re.Match[str] | None:
    if '] "' not in line:
        return None
    start = 0
    if (host := _VIRTUAL_HOST.match(line)) and _client_address(line.split(" ", 1)[0]) is None:
        second = line[host.end() : host.end() + 280].split(" ", 1)[0]
        start = host.end() if _client_address(second) else 0
    return _LINE.match(line, start) or _CUT_LINE.match(line, start)


def _reading(match: re.Match[str]) -> Reading:
    groups = match.groupdict()
    request = _unescaped(groups["request"])
    method, _, rest = request.partition(" ")
    if rest and _METHOD.fullmatch(method):
        target, _, protocol = rest.rpartition(" ")
        if protocol.startswith("HTTP/"):
            fields = request_fields(method, target)
            fields["protocol"] = protocol[:16]
        else:
            fields = request_fields(method, rest)
    else:
        fields = {"request": request}  # not HTTP: a TLS hello on a plain port, say
    for name in ("status", "size", "referrer", "agent"):
        value = groups.get(name)
        if value and value != "-":
            fields[name] = _unescaped(value)
    if match.start():
        fields["virtual_host"] = match.string[: match.start()].rstrip()
    user = _unescaped(groups["user"])[:256]
    return Reading(
        Kind.HTTP_REQUEST,
        _client_address(groups["client"]),
        user if user not in {"-", "", '""'} else None,
        fields=fields,
    )


def _client_address(text: str) -> str | None:
    if address := canonical_address(text):
        return address
    host, _, port = text.rpartition(":")
    return canonical_address(host.strip("[]")) if host and port.isdecimal() else None


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return clean_text(_ESCAPE.sub(_character, text))


def _character(match: re.Match[str]) -> str:
    digits, character = match.groups()
    if digits is None:
        return _CONTROL_ESCAPES.get(character, character)
    code = int(digits, 16)
    return chr(code) if 0x20 <= code < 0x7F else f"%{digits}"  # part of UTF-8, or a control: as in a URL
