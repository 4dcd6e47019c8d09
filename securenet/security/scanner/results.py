"""What a scan of one host found out, and what of it counts as evidence."""

from __future__ import annotations

from dataclasses import dataclass

from .addresses import Address
from .connect import PortState
from .issue import Issue
from .observation import Observation


@dataclass(frozen=True, slots=True)
class PortResult:
    """One port. rtt: seconds, None without an answer; assessed: the checks that reached a verdict here."""

    port: int
    state: PortState
    service: str = ""
    product: str = ""
    version: str = ""
    banner: str = ""
    rtt: float | None = None
    assessed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, observation: Observation, assessed: frozenset[str], rtt: float | None = None) -> PortResult:
        """The result of an open port that was looked at."""
        return cls(
            port=observation.port,
            state=PortState.OPEN,
            service=observation.service,
            product=observation.product,
            version=observation.version,
            banner=observation.banner,
            rtt=rtt,
            assessed=assessed,
        )


@dataclass(frozen=True, slots=True)
class HostResult:
    """One host. is_reachable: whether anything answered at all; if not, `ports` says nothing about its
    services, and holds only what was tried before the host was given up (see `ScanPlan.try_first`)."""

    address: Address
    hostname: str | None
    is_reachable: bool
    ports: tuple[PortResult, ...]
    issues: tuple[Issue, ...]

    @property
    def open_ports(self) -> tuple[PortResult, ...]:
        """The ports that are open."""
        return tuple(port for port in self.ports if port.state is PortState.OPEN)

    def settles(self, check_id: str, port: int) -> bool:
        """Whether this result is evidence about that check at that port, so that its silence means "gone".

        A host that did not answer, a filtered port, and a check that could not be made settle nothing.
        """
        for result in self.ports:
            if result.port == port:
                return result.state is PortState.CLOSED or check_id in result.assessed
        return False
