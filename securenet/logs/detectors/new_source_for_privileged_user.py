"""A privileged user logs in from a network it never logged in from before (MITRE ATT&CK T1078).

What is "before" is the data's alone: only after a learning period does an unknown network mean anything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address, ip_network

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.parsers.event import Event, Kind

PRIVILEGED_USERS = frozenset({"root", "admin", "administrator", "Administrator"})
_PREFIX = {4: 24, 6: 48}  # what one place is usually given; its single addresses come and go


@dataclass(frozen=True, slots=True)
class PastLogins:
    """What is known from before the events at hand.

    Attributes:
        since: the time of the oldest data, aware.
        logins: user and address of accepted logins.
    """

    since: datetime
    logins: Collection[tuple[str, str]] = ()


class NewSourceForPrivilegedUserDetector(Detector):
    """Reports the first accepted login of a user in ``users`` from a network (IPv4 /24, IPv6 /48) new for that user.

    Args:
        users: the privileged ones, as logs spell them.
        learning: how long from the oldest data networks are only learnt.
        max_networks: networks remembered per user; beyond it the one unused for longest is forgotten.
        past: what came before the events; None if they are all there is.
    """

    name = "new_source_for_privileged_user"
    kinds = frozenset({Kind.AUTH_SUCCESS, Kind.AUTH_FAILURE})  # failures tell how old the data is

    def __init__(
        self,
        users: Collection[str] = PRIVILEGED_USERS,
        learning: timedelta = timedelta(days=7),
        max_networks: int = 1_000,
        past: PastLogins | None = None,
    ) -> None:
        self._users, self._learning, self._max_networks = frozenset(users), learning, max_networks
        self._known: dict[str, OrderedDict[str, None]] = {}
        self._since = past.since if past else None
        for user, address in past.logins if past else ():
            if user in self._users:
                self._is_new(user, network_of(address))

    def observe(self, event: Event) -> Iterable[Detection]:
        if self._since is None or event.time < self._since:
            self._since = event.time
        if event.kind != Kind.AUTH_SUCCESS or event.user not in self._users or event.source_ip is None:
            return ()
        network = network_of(event.source_ip)
        if not network or not self._is_new(event.user, network) or event.time < self._since + self._learning:
            return ()
        return [self._detection(event, network)]

    def finish(self) -> Iterable[Detection]:
        self._known.clear()
        self._since = None
        return ()

    def _is_new(self, user: str, network: str) -> bool:
        """Note a network; say whether it was unknown."""
        known = self._known.setdefault(user, OrderedDict())
        is_new = network not in known
        known[network] = None
        known.move_to_end(network)
        if len(known) > self._max_networks:
            known.popitem(last=False)
        return is_new

    def _detection(self, event: Event, network: str) -> Detection:
        method = event.fields.get("method", "")
        return Detection(
            detector=self.name,
            severity=Severity.MEDIUM if method == "publickey" else Severity.HIGH,
            title=f"First login of {event.user} from {network}",
            description=(
                f"{event.user} logged in from {event.source_ip}, a network from which no login of this user is known. "
                "Unless its owner explains it, take the account as stolen: end the session, change password and keys."
            ),
            subject=network,
            first_seen=event.time,
            last_seen=event.time,
            count=1,
            evidence={
                "user": event.user,
                "address": event.source_ip,
                "host": event.host,
                "program": event.program,
                "method": method,
                "pid": event.fields.get("pid", ""),
                "known_networks": len(self._known[event.user]) - 1,
                "learning_seconds": int(self._learning.total_seconds()),
                "message": event.message[:512],
            },
            key=(self.name, network, event.user),
        )


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str:
    """Return the network a canonical address counts for; empty for the machine itself."""
    parsed = ip_address(address)
    if parsed.is_loopback:
        return ""
    return str(ip_network((address, _PREFIX[parsed.version]), strict=False))
