"""What the recorder at the client's side keeps of each request, one line each. It believes nothing but its own clock.

Times are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SECOND = 1_000_000_000  # nanoseconds


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it began and ended, who asked for what, and what came back."""

    started: int
    ended: int
    process: int
    client: int
    path: str
    status: int
    limits: str  # RateLimit-Policy
    standing: str  # RateLimit
    retry_after: str

    @property
    def seconds(self) -> float:
        return (self.ended - self.started) / SECOND

    def quota(self, policy: str) -> int | None:
        """The limit of ``policy`` this request was decided by; None where its headers name none."""
        found = re.search(rf'"{re.escape(policy)}";q=(\d+)', self.limits)
        return int(found[1]) if found else None

    def line(self) -> str:
        """The record of the request."""
        fields = (self.started, self.ended, self.process, self.client, self.path, self.status)
        return "\t".join([*map(str, fields), self.limits, self.standing, self.retry_after]) + "\n"


def answer_from(
    started: int, ended: int, process: int, client: int, path: str, status: str, headers: Mapping[str, str]
) -> Answer:
    """The record of a response: ``status`` as in "200 OK", header names in lower case."""
    return Answer(
        started,
        ended,
        process,
        client,
        path,
        int(status[:3]),
        headers.get("ratelimit-policy", ""),
        headers.get("ratelimit", ""),
        headers.get("retry-after", ""),
    )


def read_answers(files: Iterable[Path]) -> list[Answer]:
    """All records of these files, by the beginning of the requests."""
    return sorted((answer for file in files for answer in _records(file)), key=lambda answer: answer.started)


def _records(file: Path) -> Iterator[Answer]:
    for line in file.read_text().splitlines():
        started, ended, process, client, path, status, limits, standing, retry_after = line.split("\t")
        yield Answer(
            int(started), int(ended), int(process), int(client), path, int(status), limits, standing, retry_after
        )
