"""Log events as JSON objects, one per line: this product's own, structlog, ECS, journald, Docker, nginx, Caddy.

Names differ between writers, so each fact has a list of names, the most specific first; `a.b` is found nested
and flat. The message of a known program (sshd in a journald export) is read as in syslog.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime

from securenet.logs.parsers import timestamps
from securenet.logs.parsers.access import request_fields
from securenet.logs.parsers.addresses import canonical_address
from securenet.logs.parsers.event import MAX_COUNT, Context, Event, Kind, Reading
from securenet.logs.parsers.syslog import LEVELS, read_message
from securenet.logs.parsers.text import bounded

MAX_FIELDS = 32
MAX_FIELD_CHARACTERS = 512
MAX_FACTS = 256
MAX_DEPTH = 3

Fact = str | int | float
Facts = dict[str, Fact]

_TIME = (
    "@timestamp",
    "timestamp",
    "time",
    "ts",
    "datetime",
    "__REALTIME_TIMESTAMP",
    "time_iso8601",
    "time_local",
    "msec",
)
_MESSAGE = ("message", "msg", "MESSAGE", "log", "event", "text")
_HOST = ("host.name", "hostname", "_HOSTNAME", "host")
_PROGRAM = (
    "program",
    "SYSLOG_IDENTIFIER",
    "process.name",
    "service.name",
    "app",
    "service",
    "source",
    "logger",
)
_PID = ("pid", "_PID", "SYSLOG_PID", "process.pid")
_SOURCE_IP = (
    "source_ip",
    "src_ip",
    "source.ip",
    "client.ip",
    "client_ip",
    "remote_addr",
    "remote_ip",
    "request.client_ip",
    "request.remote_ip",
    "ClientHost",
    "ip",
)
_USER = ("user.name", "username", "user_name", "user", "account", "remote_user", "ClientUsername")
_LEVEL = ("level", "log.level", "severity", "levelname", "PRIORITY")
_REQUEST_LINE = re.compile(r"([A-Za-z-]{1,32}) (\S.*) (HTTP/[\d.]{1,8})")
_DECIMAL = re.compile(r"\d{1,20}\.\d{1,9}")
_LEVEL_DIGITS = frozenset("01234567")
_KIND = ("kind", "event_type", "event.kind", "event.action", "action", "event")
_METHOD = ("method", "request_method", "http.request.method", "request.method", "RequestMethod")
_TARGET = ("target", "request_uri", "path", "uri", "url.original", "url.path", "url", "request.uri", "RequestPath")
_STATUS = ("status", "status_code", "http.response.status_code", "DownstreamStatus")
_REQUEST = ("request", "request_line")
_ABOUT_REQUESTS = {
    "size": ("size", "body_bytes_sent", "bytes_sent", "bytes", "DownstreamContentSize", "http.response.body.bytes"),
    "protocol": ("protocol", "server_protocol", "request.proto", "RequestProtocol"),
    "referrer": ("referrer", "referer", "http_referer", "http.request.referrer"),
    "agent": ("agent", "user_agent", "http_user_agent", "user_agent.original"),
}

_READ_ELSEWHERE = frozenset((*_TIME, *_MESSAGE, *_HOST, *_SOURCE_IP, *_USER, *_LEVEL, *_PID))

_KNOWN_KINDS: dict[str, Kind] = {
    **{str(kind): kind for kind in Kind},
    **dict.fromkeys(("login_failed", "login_failure", "auth_failure", "authentication_failed"), Kind.AUTH_FAILURE),
    **dict.fromkeys(("login", "login_succeeded", "login_success", "auth_success"), Kind.AUTH_SUCCESS),
}


def parse_json_line(line: str, context: Context) -> Event | None:
    """Return the event of a JSON object, or None where the line is none."""
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # cut, broken, a number of thousands of digits, nested without end
        return None
    return parse_record(record, context) if isinstance(record, dict) else None


def parse_record(record: Mapping[str, object], context: Context) -> Event:
    """Return the event of an object that is already decoded, as in a batch posted to the API."""
    facts = _flattened(record)
    time = _time(facts, context)
    host, program = _text(facts, _HOST, 255), _text(facts, _PROGRAM, 128)
    message = _text(facts, _MESSAGE, 8192)
    fields = _other_fields(facts)
    if time is None:
        time, fields["time_source"] = context.now, "received"
    if pid := _text(facts, _PID, 32):
        fields["pid"] = pid
    if level := _text(facts, _LEVEL, 32).lower():
        fields["level"] = LEVELS[int(level)] if level in _LEVEL_DIGITS else level
    reading = _reading(facts, program, message)
    if reading.kind is Kind.HTTP_REQUEST:
        fields.pop("status", None)  # whatever it was: of a request it is three digits, or missing
    fields.update(reading.fields)
    return Event(
        time,
        host or context.default_host,
        program,
        reading.kind,
        reading.source_ip,
        reading.user,
        reading.count,
        fields,
        message,
    )


def _reading(facts: Facts, program: str, message: str) -> Reading:
    read = read_message(program, message)
    if read.kind is not Kind.OTHER:
        return read  # the program's own words are more exact than a shipper's labels
    kind = _kind(facts)
    method, target = _text(facts, _METHOD, 32), _text(facts, _TARGET, 4096)
    if not method and (request := _REQUEST_LINE.fullmatch(_text(facts, _REQUEST, 4096))):
        method, target = request[1], request[2]
    fields: dict[str, str] = {}
    if target and (method or kind is Kind.HTTP_REQUEST):
        kind = Kind.HTTP_REQUEST if kind is Kind.OTHER else kind
        fields = request_fields(method, target)
        status = _text(facts, _STATUS, 8)
        if len(status) == 3 and status.isdecimal() and status.isascii():
            fields["status"] = status
        for field, names in _ABOUT_REQUESTS.items():
            if (value := _text(facts, names, MAX_FIELD_CHARACTERS)) and value != "-":
                fields[field] = value
    elif method:
        fields["method"] = method
    user = _text(facts, _USER, 256)
    return Reading(kind, _address(facts) or read.source_ip, None if user in {"", "-"} else user, _count(facts), fields)


def _flattened(record: Mapping[str, object], prefix: str = "", depth: int = 0) -> Facts:
    facts: Facts = {}
    for name, value in record.items():
        if len(facts) >= MAX_FACTS:
            break
        if isinstance(value, str | int | float):
            facts[f"{prefix}{name}"] = value
        elif isinstance(value, dict) and depth < MAX_DEPTH:
            facts.update(_flattened(value, f"{prefix}{name}.", depth + 1))
    return facts


def _time(facts: Facts, context: Context) -> datetime | None:
    for name in _TIME:
        value = facts.get(name)
        if value is None or isinstance(value, bool):
            continue
        if isinstance(value, int | float) or value.isdecimal():
            time = timestamps.from_number(value, context)
        else:
            time = _time_in_words(value[:64], context)
        if time is not None:
            return time
    return None


def _time_in_words(text: str, context: Context) -> datetime | None:
    """A stamp as text: ISO 8601, that of access logs, or a number with decimals."""
    if text[2:3] == "/":
        return timestamps.from_access_log(text, context)
    return timestamps.from_iso8601(text, context) or (
        timestamps.from_number(text, context) if _DECIMAL.fullmatch(text) else None
    )


def _address(facts: Facts) -> str | None:
    for name in _SOURCE_IP:
        if (text := _as_text(facts.get(name), 64)) and (address := canonical_address(text)):
            return address
    return None


def _kind(facts: Facts) -> Kind:
    for name in _KIND:
        label = facts.get(name)
        if isinstance(label, str) and (kind := _KNOWN_KINDS.get(label)):
            return kind
    return Kind.OTHER


def _count(facts: Facts) -> int:
    count = facts.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int):
        return 1
    return max(1, min(count, MAX_COUNT))


def _other_fields(facts: Facts) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in facts.items():
        if len(fields) == MAX_FIELDS:
            break
        if name not in _READ_ELSEWHERE:
            fields[bounded(name, 64)] = _as_text(value, MAX_FIELD_CHARACTERS)
    return fields


def _text(facts: Facts, names: tuple[str, ...], limit: int) -> str:
    for name in names:
        value = facts.get(name)
        if value is not None and (text := _as_text(value, limit)):
            return text
    return ""


def _as_text(value: Fact | None, limit: int) -> str:
    match value:
        case None:
            return ""
        case str():
            return bounded(value[: limit * 2], limit)
        case bool():
            return str(value).lower()
    try:
        return str(value)[:limit]
    except ValueError:  # an integer beyond the interpreter's digit bound
        return ""
