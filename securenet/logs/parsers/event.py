"""The one shape every log line is brought to: a frozen `Event`.

Detectors, the database and the API know only this type; a new format changes nothing behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum

MAX_COUNT = 100_000
"""The most occurrences one line may stand for: a forged "message repeated" cannot claim more."""


class Kind(StrEnum):
    """What a line reports. Closed on purpose: a report counts by kind, and must stay small."""

    AUTH_FAILURE = "auth.failure"  # a login attempt was refused: one attempt per count
    AUTH_SUCCESS = "auth.success"  # a login was accepted
    AUTH_INVALID_USER = "auth.invalid_user"  # the account does not exist; accompanies an attempt
    AUTH_PAM_FAILURE = "auth.pam_failure"  # a PAM module's view of an attempt
    AUTH_DENIED = "auth.denied"  # the account exists but may not log in from there
    AUTH_MAX_ATTEMPTS = "auth.max_attempts"  # the server hung up after too many attempts
    AUTH_ABANDONED = "auth.abandoned"  # the client left while logging in as a named user
    CONNECTION_OPENED = "connection.opened"
    CONNECTION_CLOSED = "connection.closed"
    CONNECTION_PROBE = "connection.probe"  # connected, but did not speak the protocol
    CONNECTION_SUSPECT = "connection.suspect"  # the server itself warns of the client
    SESSION_OPENED = "session.opened"
    SESSION_CLOSED = "session.closed"
    PRIVILEGE_USED = "privilege.used"  # somebody acted as another user (sudo, su)
    PRIVILEGE_DENIED = "privilege.denied"  # somebody tried to
    HTTP_REQUEST = "http.request"
    SERVICE_ERROR = "service.error"  # a service's own log of what went wrong
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Event:
    """One log line, understood.

    Attributes:
        time: when it happened, aware, UTC.
        host: the machine that logged it; empty where the format names none.
        program: what logged it (`sshd`, `nginx`); empty where unknown.
        kind: a `Kind` value.
        source_ip: canonical text of the remote address, or None where none can be trusted.
        user: the account concerned, as the line spells it, at most 256 characters.
        count: occurrences this line stands for (`message repeated 5 times`), at least 1.
        fields: further facts, all text: `pid`, `port`, `method`, `path`, `status`, ...
        message: the text without its framing, free of control characters.
    """

    time: datetime
    host: str
    program: str
    kind: str
    source_ip: str | None
    user: str | None
    count: int
    fields: Mapping[str, str] = field(hash=False)
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a program's message says, before its framing (time, host) is added."""

    kind: Kind = Kind.OTHER
    source_ip: str | None = None
    user: str | None = None
    count: int = 1
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a line does not say itself.

    Attributes:
        now: reference time, aware; decides the year of stamps without one, and stands in for a missing time.
        default_timezone: zone of stamps that carry no offset.
        default_host: host of formats that name none.
    """

    now: datetime
    default_timezone: tzinfo
    default_host: str = ""
