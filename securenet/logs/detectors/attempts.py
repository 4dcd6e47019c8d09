"""How many login attempts does a line add? The one place where several lines of one attempt become one.

sshd, PAM and the account check each report the same attempt, as do a web application and its access log: the
witness that saw most is believed, never their sum.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from datetime import datetime, timedelta

from securenet.logs.parsers.event import Event, Kind

AUTH_KINDS = frozenset(
    {
        Kind.AUTH_FAILURE,
        Kind.AUTH_INVALID_USER,
        Kind.AUTH_PAM_FAILURE,
        Kind.AUTH_DENIED,
        Kind.AUTH_MAX_ATTEMPTS,
        Kind.AUTH_ABANDONED,
        Kind.HTTP_REQUEST,
    }
)
"""Kinds that may add attempts."""

LOGIN_PATHS = (
    "/login",
    "/signin",
    "/sign-in",
    "/auth/token",
    "/oauth/token",
    "/api/token",
    "/session",
    "/sessions",
)
"""Endings of paths where a POST answered 401 is a failed login."""

PROCESS_PER_CONNECTION = frozenset({"sshd", "sshd-session", "sshd-auth", "vsftpd", "proftpd", "pure-ftpd"})
"""Programs whose process id tells one connection from another."""

_MAX_WITNESSES = 16
_PUBLIC_KEY = "publickey"
_ONCE = frozenset(
    {
        Kind.AUTH_MAX_ATTEMPTS,
        Kind.AUTH_ABANDONED,
        Kind.AUTH_DENIED,
        Kind.AUTH_INVALID_USER,
        _PUBLIC_KEY,  # an agent offers one key after the other
    }
)
"""Witnesses that tell of at most one attempt per connection, however often they speak."""


class AttemptCounter:
    """Counts the failed login attempts of a stream, each real attempt once.

    Asked again about the event it was asked last, it answers the same: detectors of one stream may share it.

    Args:
        connection_idle: a connection silent for longer is over; its process id may belong to another then.
        max_connections: connections remembered at a time; beyond it the longest untouched is forgotten.
        login_paths: endings of web login paths.
    """

    def __init__(
        self,
        connection_idle: timedelta = timedelta(seconds=300),
        max_connections: int = 10_000,
        login_paths: Collection[str] = LOGIN_PATHS,
    ) -> None:
        self._connection_idle = connection_idle
        self._max_connections = max_connections
        self._login_paths = tuple(login_paths)
        self._connections: OrderedDict[tuple[str, ...], _Connection] = OrderedDict()
        self._event: Event | None = None
        self._attempts: int | None = None

    def attempts(self, event: Event) -> int | None:
        """Return how many failed attempts ``event`` adds to those already counted.

        0 means that it tells of an attempt counted before, None that it tells of none.
        """
        if event is not self._event:
            self._event, self._attempts = event, self._added_by(event)
        return self._attempts

    def _added_by(self, event: Event) -> int | None:
        if event.kind not in AUTH_KINDS or event.source_ip is None:
            return None
        witness = _witness(event, self._login_paths)
        if witness is None:
            return None
        pid = event.fields.get("pid")
        if pid and event.program in PROCESS_PER_CONNECTION:
            connection = self._connection((event.host, event.program, pid, event.source_ip), event.time)
            if witness in _ONCE:
                return connection.saw_once(witness)
            return connection.saw_more(witness, event.count)
        # One process serves many, so the lines of one attempt are joined by their source.
        connection = self._connection((event.source_ip,), event.time)
        return connection.saw_more(f"{event.program}:{witness}", event.count)

    def _connection(self, key: tuple[str, ...], time: datetime) -> _Connection:
        connections = self._connections
        connection = connections.get(key)
        if connection is None or abs(time - connection.last) > self._connection_idle:
            connection = connections[key] = _Connection(time)
            if len(connections) > self._max_connections:
                connections.popitem(last=False)
        connection.last = max(connection.last, time)
        connections.move_to_end(key)
        return connection


def web_login(event: Event, login_paths: tuple[str, ...] = LOGIN_PATHS) -> bool | None:
    """Return whether a request logged in, or None where it was no login (or its outcome is not known)."""
    fields = event.fields
    if event.kind != Kind.HTTP_REQUEST or fields.get("method") != "POST":
        return None
    if not fields.get("path", "").rstrip("/").lower().endswith(login_paths):
        return None
    status = fields.get("status", "")
    if status == "401":
        return False
    return True if status.startswith(("2", "3")) else None


class _Connection:
    __slots__ = ("_counted", "_seen", "last")

    def __init__(self, time: datetime) -> None:
        self.last = time
        self._seen: dict[str, int] = {}
        self._counted = 0

    def saw_once(self, witness: str) -> int:
        return 0 if witness in self._seen else self.saw_more(witness, 1)

    def saw_more(self, witness: str, attempts: int) -> int:
        if len(self._seen) >= _MAX_WITNESSES and witness not in self._seen:
            witness = ""  # the rest together: program names in a log may be anybody's
        seen = self._seen[witness] = self._seen.get(witness, 0) + attempts
        added = max(0, seen - self._counted)
        self._counted += added
        return added


def _witness(event: Event, login_paths: tuple[str, ...]) -> str | None:
    match event.kind:
        case Kind.HTTP_REQUEST:
            return "web" if web_login(event, login_paths) is False else None
        case Kind.AUTH_FAILURE:
            match event.fields.get("method"):
                case "none":  # asks which methods there are
                    return None
                case "publickey":  # refused keys of an existing account are everyday life
                    return _PUBLIC_KEY if event.fields.get("unknown_user") else None
            return "failure"
        case Kind.AUTH_PAM_FAILURE:
            return f"pam:{event.fields.get('reporter', '')}"
    return str(event.kind)
