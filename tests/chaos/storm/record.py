"""What is known of a storm: each request as its client saw it, the edits, the faults, and the database in the end.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.chaos.answers import SECOND, Answer
from tests.chaos.storm.origins import OriginCall

LOST = 0  # the status of a request whose connection broke before the answer


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back.

    ``kind`` is what the client wanted, ``owner`` and ``call`` are what the body says of itself, ``digest`` is its
    BLAKE2b. ``sent`` names what a write was about (an Idempotency-Key, a log line, a finding and its note), ``got``
    what came of it (a job's id). ``problem`` is the title of an error, or why the connection broke.
    """

    started: int
    ended: int
    client: str
    kind: str
    user: str
    role: str
    address: str
    method: str
    path: str
    status: int
    limits: str = ""
    standing: str = ""
    retry_after: str = ""
    cache: str = ""
    digest: str = ""
    owner: str = ""
    call: str = ""
    sent: str = ""
    got: str = ""
    problem: str = ""

    @property
    def seconds(self) -> float:
        return (self.ended - self.started) / SECOND

    def answer(self) -> Answer:
        """The same for the judges of `tests.chaos.judges`."""
        number = int(self.address.rpartition(".")[2])
        return Answer(
            self.started, self.ended, 0, number, self.path, self.status, self.limits, self.standing, self.retry_after
        )

    def line(self) -> str:
        """The record as a line."""
        return json.dumps(asdict(self)) + "\n"


@dataclass(frozen=True, slots=True)
class PolicyEdit:
    """An edit that set the limit of the policy "open" to ``number``; ``returned`` is 0 where its call raised."""

    number: int
    began: int
    returned: int


@dataclass(frozen=True, slots=True)
class Incident:
    """A fault that happened: it ``began``, what it had taken was ``back``, and the next one began (``over``).

    ``cuts_redis``: for some time Redis could not be asked, or connections to it broke; ``is_outage``: for all of it.
    ``is_silent``: it took connections and answered nothing. ``forgets``: it lost its data. ``hits_web``: connections of
    clients may break. ``hits_database``: the database could not be used; ``hides_policies``: not
    even to read the policies that have just changed.
    """

    name: str
    began: int
    back: int
    over: int
    is_outage: bool = False
    cuts_redis: bool = False
    forgets: bool = False
    hits_web: bool = False
    hits_database: bool = False
    is_silent: bool = False
    hides_policies: bool = False

    @property
    def touches_redis(self) -> bool:
        return self.cuts_redis or self.forgets


@dataclass(frozen=True, slots=True)
class FinalJob:
    """A job's row when all had come to rest, and how often its effect is there."""

    id: str
    status: str
    effects: int


@dataclass(frozen=True, slots=True)
class FinalState:
    """What the database holds in the end: ``lines`` by log line how often it is there, ``notes`` by finding."""

    jobs: Sequence[FinalJob]
    lines: dict[str, int]
    notes: dict[str, int]


@dataclass(frozen=True, slots=True)
class Record:
    """Everything the judges look at. ``epoch`` turns times into those of Redis' clock; ``drift`` is its error."""

    exchanges: Sequence[Exchange]
    edits: Sequence[PolicyEdit]
    incidents: Sequence[Incident]
    origin_calls: Sequence[OriginCall]
    final: FinalState
    epoch: int = 0
    drift: int = 0

    def incident_at(self, at: int) -> Incident | None:
        """The fault that happened last before ``at``; None: all was calm yet."""
        earlier = [incident for incident in self.incidents if incident.began <= at]
        return earlier[-1] if earlier else None


def read_exchanges(files: Iterable[Path]) -> list[Exchange]:
    """All records of these files, by the beginning of the requests."""
    found = [Exchange(**json.loads(line)) for file in files for line in file.read_text().splitlines()]
    return sorted(found, key=lambda exchange: exchange.started)


def read_edits(file: Path) -> list[PolicyEdit]:
    """The edits in their order."""
    return [PolicyEdit(**json.loads(line)) for line in file.read_text().splitlines()]
