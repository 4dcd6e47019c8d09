"""What processes and Redis hold at one moment, as /proc and INFO tell it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

KB = 1024


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process: bytes that are resident, and those that no other process shares; open files; threads."""

    name: str
    resident: int
    private: int
    files: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment: when so many requests had been answered.

    Attributes:
        seconds: since the first request.
        processes: by process id.
        redis_bytes: that Redis uses, as it says; ``redis_clients``: connections to it.
        keys: in Redis.
        database_bytes: of the SQLite file.
    """

    requests: int
    seconds: float
    processes: Mapping[int, ProcessSample]
    redis_bytes: int
    redis_clients: int
    keys: int
    database_bytes: int


def process_sample(pid: int, name: str) -> ProcessSample | None:
    """Look at one process; None: it has ended."""
    try:
        rollup = _fields(Path(f"/proc/{pid}/smaps_rollup").read_text())
        threads = _fields(Path(f"/proc/{pid}/status").read_text())["Threads"]
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    private = rollup["Private_Clean"] + rollup["Private_Dirty"]
    return ProcessSample(name, rollup["Rss"] * KB, private * KB, files, threads)


def take(requests: int, seconds: float, names: Mapping[int, str], client: redis.Redis, database: Path) -> Sample:
    """Look at everything."""
    processes = {pid: sample for pid, name in names.items() if (sample := process_sample(pid, name))}
    info = client.info()
    return Sample(
        requests,
        seconds,
        processes,
        info["used_memory"],
        info["connected_clients"],
        client.dbsize(),
        sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*")),
    )


def _fields(text: str) -> dict[str, int]:
    """Lines such as ``Rss:   123 kB`` as numbers."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        value = rest.split()
        if value and value[0].isdigit():
            found[name] = int(value[0])
    return found
