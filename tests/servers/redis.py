"""Throw-away Redis servers: the real thing, in a folder of its own, up in about 50 ms."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from securenet.run.redis_server import RedisServer
from tests.servers.ports import free_port


@contextmanager
def redis_server(
    *, tcp: bool = False, persistent: bool = True, extra_args: Sequence[str] = ()
) -> Iterator[RedisServer]:
    """Run a server for the length of a ``with`` block, or of a fixture that yields it.

    It may be killed, restarted and stopped meanwhile; its data are removed at the end.

    Args:
        tcp: Listen on a free port of 127.0.0.1 instead of a private socket.
        persistent: Keep an append-only file, so that data survive `kill` and `restart`.
        extra_args: More options of redis-server, for example ``("--maxmemory", "2mb")``.
    """
    with tempfile.TemporaryDirectory(prefix="redis-", ignore_cleanup_errors=True) as folder:
        persistence = () if persistent else ("--appendonly", "no")
        server = RedisServer(Path(folder), port=free_port() if tcp else None, extra_args=[*persistence, *extra_args])
        server.start()
        try:
            yield server
        finally:
            server.stop(grace=2)
