"""What sshd itself calls a possible break-in attempt: a client whose name in the DNS does not fit its address.

Nearly always a provider's careless DNS, so it is told for completeness, not as an alarm. Only a name made to look
like an address is somebody's doing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.windows import BoundedCounter, Hours, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event, Kind

_SEVERITIES = {
    "reverse mapping": Severity.INFO,  # the name has no address
    "forward mapping": Severity.LOW,  # the name has another address
    "address as name": Severity.MEDIUM,  # the name is spelled like an address, to pass for it
}
_UNKNOWN = Severity.INFO


class BreakInAttemptDetector(Detector):
    """Reports a source of which sshd warned, once for all warnings with no ``quiet`` between them.

    Args:
        quiet: time without a warning after which the next one is another episode.
        max_sources: sources followed at a time.
    """

    name = "break_in_attempt"
    kinds = frozenset({Kind.CONNECTION_SUSPECT})

    def __init__(self, quiet: timedelta = timedelta(hours=1), max_sources: int = 10_000) -> None:
        self._sources = SourceTable(_Source, quiet, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        if event.kind != Kind.CONNECTION_SUSPECT or event.source_ip is None:
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        source.add(event)
        return [self._detection(each) for each in ended] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain()]

    def _detection(self, source: _Source) -> Detection:
        warnings = source.warnings.top(source.warnings.capacity)
        severity = max((_SEVERITIES.get(warning, _UNKNOWN) for warning in warnings), key=lambda known: known.rank)
        return Detection(
            detector=self.name,
            severity=severity,
            title=f"Name and address of {source.subject} do not agree",
            description=(
                f"sshd warned {source.count} times of a possible break-in attempt: the host name of the source does "
                "not lead back to its address. By itself this is careless DNS; look at what else the source did."
            ),
            subject=source.subject,
            first_seen=source.first,
            last_seen=source.last,
            count=source.count,
            by_hour=source.hours.shown(),
            evidence={
                "warnings": warnings,
                "names": source.names.top(10),
                "addresses": source.addresses.top(10),
                "hosts": source.hosts.top(10),
            },
            key=(self.name, source.subject),
        )


class _Source:
    __slots__ = ("addresses", "count", "first", "hosts", "hours", "last", "names", "subject", "warnings")

    def __init__(self, subject: str, time: datetime) -> None:
        self.subject, self.first, self.last, self.count = subject, time, time, 0
        self.hours = Hours()
        self.warnings, self.names = BoundedCounter(5), BoundedCounter(10)
        self.addresses, self.hosts = BoundedCounter(10), BoundedCounter(10)

    def add(self, event: Event) -> None:
        self.first, self.last = min(self.first, event.time), max(self.last, event.time)
        self.count += event.count
        self.hours.add(event.time, event.count)
        self.warnings.add(event.fields.get("warning", ""), event.count)
        self.addresses.add(event.source_ip, event.count)
        self.hosts.add(event.host or event.program, event.count)
        if name := event.fields.get("name"):
            self.names.add(name, event.count)
