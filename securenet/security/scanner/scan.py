"""A whole scan: connect to the ports of pinned addresses, identify what is open, judge it, a result per host.

Runs in the calling thread and in no other. It uses an event loop of its own for the conversations with
services; `on_progress` is called while that loop is not running, so that it may use Django's database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Final

from .addresses import Address
from .authorisation import PinnedAddress
from .checks import Check, all_checks, assess
from .connect import HEARTBEAT, ConnectLimits, ConnectResult, HostPorts, PortState, connect_scan
from .conversation import Endpoint, ProbeLimits
from .identify import identify
from .issue import Issue
from .observation import Observation
from .pace import Pace
from .ports import PortSet
from .progress import OnProgress, Progress
from .refusal import Refusal, TargetRefused
from .results import HostResult, PortResult

OpenPort = tuple[PinnedAddress, int]
Results = dict[Address, tuple[ConnectResult, ...]]
Observations = dict[tuple[Address, str | None, int], Observation]
Tasks = set[asyncio.Task[Observation]]

CONVERSATIONS: Final = 32  # at the same time, over all hosts
# What machines of any kind tend to answer on.
_COMMON_PORTS: Final = PortSet.of(
    21, 22, 23, 25, 53, 80, 111, 135, 139, 443, 445, 548, 631, 3389, 5900, 8080, 8443, 9100
)


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What to scan.

    hosts: as `authorise` gave them; ports: tried on each; hosts_at_once: scanned side by side; try_first: on
    addresses that were part of a block, this many ports (common ones first) must show a sign of life before
    the rest is tried (0: always try all); identify_at_most: open ports per host that are talked to; checks:
    what they are judged by.
    Raises TargetRefused if a host's authorisation does not cover the ports.
    """

    hosts: tuple[PinnedAddress, ...]
    ports: PortSet
    hosts_at_once: int = 8
    try_first: int = 32
    identify_at_most: int = 256
    connect: ConnectLimits = field(default_factory=ConnectLimits)
    probe: ProbeLimits = field(default_factory=ProbeLimits)
    checks: tuple[Check, ...] = field(default_factory=all_checks)

    def __post_init__(self) -> None:
        hosts = {host.scope: host for host in self.hosts}
        for scope, host in hosts.items():
            if excess := self.ports - scope.ports:
                raise TargetRefused(
                    host.address, Refusal.PORTS, f"{scope} does not allow ports {excess}; leave them out"
                )


def run_scan(
    plan: ScanPlan,
    on_progress: OnProgress | None = None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[HostResult]:
    """Scan, yielding each host as it is finished.

    on_progress(done, total, message): called every few tenths of a second; done and total count ports over
    all hosts; what it raises stops the scan, with all its connections closed. now: aware date and time.
    Raises TargetRefused as soon as an authorisation runs out, ScanImpossible if this machine lacks sockets.
    """
    progress = Progress(len(plan.hosts) * len(plan.ports), on_progress)
    hosts = iter(plan.hosts)
    while group := tuple(islice(hosts, plan.hosts_at_once)):
        yield from _GroupScan(plan, group, progress, now).run()
    progress.finish()


class _GroupScan:
    """The hosts that are scanned side by side. Two may be one address by two names: it is tried once."""

    def __init__(
        self, plan: ScanPlan, group: Sequence[PinnedAddress], progress: Progress, now: Callable[[], datetime]
    ) -> None:
        self._plan = plan
        self._group = group
        self._progress = progress
        self._now = now
        self._paces = {host.address: Pace(host.scope.rate) for host in group}
        self._names = Counter(host.address for host in group)

    def run(self) -> Iterator[HostResult]:
        self._beat()
        results = self._connect_all()
        observations = self._observe([target for host in self._group for target in self._open(host, results)])
        for host in self._group:
            yield _host_result(host, results[host.address], observations, self._plan.checks)

    def _connect_all(self) -> Results:
        """Try all ports of all addresses, but of silent addresses in blocks only the likely ones."""
        ports = self._plan.ports
        likely = _likely_ports(ports, self._plan.try_first)
        doubtful = [host.address for host in self._group if host.from_block and likely]
        first = self._connect(dict.fromkeys(doubtful, likely))
        silent = {address for address, results in first.items() if not _is_reachable(results)}
        self._progress.advance(len(silent) * len(ports - likely))
        rest = self._connect(
            {address: ports - likely if address in first else ports for address in self._paces if address not in silent}
        )
        return {
            address: tuple(sorted(first.get(address, ()) + rest.get(address, ()), key=lambda result: result.port))
            for address in self._paces
        }

    def _connect(self, ports: Mapping[Address, PortSet]) -> Results:
        hosts = [HostPorts(address, wanted, self._paces[address]) for address, wanted in ports.items()]
        results = connect_scan(hosts, self._plan.connect, on_result=self._count, beat=self._beat)
        return dict(zip(ports, results, strict=True))

    def _beat(self) -> None:
        """To be called often: tells the progress, and stops the scan when an authorisation has run out."""
        now = self._now()
        for host in self._group:
            host.refuse_expired(now)
        self._progress.beat()

    def _count(self, address: Address, result: ConnectResult) -> None:
        """An open port is done only when what listens there is known."""
        if result.state is PortState.OPEN:
            self._progress.say(f"{address}: {result.port}/tcp open")
        else:
            self._progress.advance(self._names[address])

    def _open(self, host: PinnedAddress, results: Results) -> list[OpenPort]:
        found = [(host, result.port) for result in results[host.address] if result.state is PortState.OPEN]
        # A host on which everything is open is a tarpit or a proxy, and would take hours to talk to.
        self._progress.advance(max(0, len(found) - self._plan.identify_at_most))
        return found[: self._plan.identify_at_most]

    def _observe(self, open_ports: Sequence[OpenPort]) -> Observations:
        observations: Observations = {}
        if not open_ports:
            return observations
        with asyncio.Runner() as runner:
            pending = runner.run(self._start(open_ports))
            while pending:
                done, pending = runner.run(_wait(pending))
                for task in done:
                    observation = task.result()
                    observations[observation.address, observation.hostname, observation.port] = observation
                    self._progress.say(f"{observation.address}: {observation.port}/tcp {observation.service or 'open'}")
                    self._progress.advance()
                self._beat()
        return observations

    async def _start(self, open_ports: Sequence[OpenPort]) -> set[asyncio.Task[Observation]]:
        gate = asyncio.Semaphore(CONVERSATIONS)
        return {asyncio.create_task(self._identify(gate, host, port)) for host, port in open_ports}

    async def _identify(self, gate: asyncio.Semaphore, host: PinnedAddress, port: int) -> Observation:
        endpoint = Endpoint(host.address, port, self._paces[host.address], host.hostname, self._plan.probe)
        async with gate:
            identity = await identify(endpoint)
        return Observation(
            address=host.address,
            port=port,
            seen_at=self._now(),
            hostname=host.hostname,
            service=identity.service,
            product=identity.product,
            version=identity.version,
            banner=identity.banner,
            details=identity.details,
        )


async def _wait(pending: Tasks) -> tuple[Tasks, Tasks]:
    return await asyncio.wait(pending, timeout=HEARTBEAT)


def _host_result(
    host: PinnedAddress, results: Sequence[ConnectResult], observations: Observations, checks: Sequence[Check]
) -> HostResult:
    ports: list[PortResult] = []
    issues: list[Issue] = []
    for result in results:
        observation = observations.get((host.address, host.hostname, result.port))
        if observation is None:
            ports.append(PortResult(result.port, result.state, rtt=result.rtt))
            continue
        assessment = assess(observation, checks)
        issues.extend(assessment.issues)
        ports.append(PortResult.of(observation, assessment.assessed, result.rtt))
    return HostResult(host.address, host.hostname, _is_reachable(results), tuple(ports), tuple(issues))


def _is_reachable(results: Sequence[ConnectResult]) -> bool:
    """Whether anything answered: also a refusal shows that a host is there."""
    return any(result.state is not PortState.FILTERED for result in results)


def _likely_ports(ports: PortSet, count: int) -> PortSet:
    """At most `count` of the ports, those first that most machines answer on."""
    common = _COMMON_PORTS & ports
    return PortSet.of(*islice(chain(common, ports - common), count))
