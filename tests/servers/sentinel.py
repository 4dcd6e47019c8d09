"""A primary, a replica and Sentinels that watch them: `with redis_sentinel() as service:`, up in about a second."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import redis

from securenet.run.child import Child
from securenet.run.messages import log_excerpt
from securenet.run.redis_binary import server_binary
from securenet.run.redis_server import RedisServer
from tests.servers.ports import free_port

SERVICE = "SecureNet"  # in mixed case, as names may be
PASSWORD = "pass/word"  # of the data servers; it has to be quoted in an address
WITHIN = 15.0  # seconds


class DataServer(RedisServer):
    """A server that asks for the password. It keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        credentials = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
        # A full synchronisation begins at once instead of waiting five seconds for more replicas.
        super().__init__(
            folder,
            port=free_port(),
            extra_args=["--appendonly", "no", "--repl-diskless-sync-delay", "0", *credentials],
        )

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"


class SentinelService:
    """Two data servers and their Sentinels.

    Attributes:
        primary: the server that takes writes at the start.
        replica: the one that follows it, and takes over when it is gone.
        sentinel_ports: where the Sentinels listen.
    """

    def __init__(self, folder: Path) -> None:
        self.primary, self.replica = DataServer(folder / "primary"), DataServer(folder / "replica")
        self.sentinel_ports: list[int] = []
        self._folder = folder
        self._sentinels: list[Child] = []

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        sentinels = ",".join(f"127.0.0.1:{port}" for port in self.sentinel_ports)
        return f"redis+sentinel://:{quote(PASSWORD, safe='')}@{sentinels}/{SERVICE}/0"

    @property
    def primary_port(self) -> int:
        """Port of the server that the first Sentinel calls primary now."""
        return int(_sentinel(self.sentinel_ports[0]).sentinel_get_master_addr_by_name(SERVICE)[1])

    def start(self, sentinels: int, down_after_ms: int) -> None:
        """Start all, and wait until replica and Sentinels know each other."""
        self.primary.start()
        self.replica.start()
        replica = redis.Redis.from_url(self.replica.url, decode_responses=True)
        replica.replicaof("127.0.0.1", self.primary.port)
        self._await(lambda: replica.info()["master_link_status"] == "up", "replicate")
        for _ in range(sentinels):
            self._start_sentinel(quorum=sentinels // 2 + 1, down_after_ms=down_after_ms)
        self._await(lambda: all(self._is_watching(port, sentinels) for port in self.sentinel_ports), "watch")

    def stop(self) -> None:
        """Kill everything: nobody needs what it holds."""
        for sentinel in self._sentinels:
            sentinel.kill()
        for server in (self.primary, self.replica):
            server.kill()

    def _start_sentinel(self, quorum: int, down_after_ms: int) -> None:
        port = free_port()
        folder = self._folder / f"sentinel-{port}"
        folder.mkdir()
        config = folder / "sentinel.conf"
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.primary.port} {quorum}",
            f"sentinel down-after-milliseconds {SERVICE} {down_after_ms}",
            f"sentinel failover-timeout {SERVICE} 3000",
            f"sentinel auth-pass {SERVICE} {PASSWORD}",
        ]
        config.write_text("\n".join(lines) + "\n")
        sentinel = Child("Sentinel", [server_binary().path, config, "--sentinel"], log=folder / "sentinel.log")
        sentinel.start()
        self._sentinels.append(sentinel)
        self.sentinel_ports.append(port)
        self._await(lambda: _answers(port), "answer", folder / "sentinel.log")

    def _is_watching(self, port: int, sentinels: int) -> bool:
        state = _sentinel(port).sentinel_master(SERVICE)
        return state["num-slaves"] == 1 and state["num-other-sentinels"] == sentinels - 1

    def _await(self, condition: Callable[[], bool], what: str, log: Path | None = None) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"The servers did not {what} within {WITHIN:g} s.\n{log_excerpt(log or self.replica.log_path)}"
                )
            time.sleep(0.02)


@contextmanager
def redis_sentinel(sentinels: int = 1, *, down_after_ms: int = 300) -> Iterator[SentinelService]:
    """Run the service for the length of the block.

    Args:
        sentinels: How many watch. More than half of them have to agree on a failover.
        down_after_ms: How long the primary may be silent before a Sentinel calls it down.
    """
    with ExitStack() as exits:
        folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-", ignore_cleanup_errors=True))
        service = SentinelService(Path(folder))
        exits.callback(service.stop)
        service.start(sentinels, down_after_ms)
        yield service


def _sentinel(port: int) -> redis.Redis:
    return redis.Redis(port=port, socket_timeout=5, decode_responses=True)


def _answers(port: int) -> bool:
    try:
        return bool(_sentinel(port).ping())
    except redis.ConnectionError:
        return False
