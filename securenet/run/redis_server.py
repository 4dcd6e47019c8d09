"""A Redis (or Valkey) server of one's own: private, append-only, and gone when its owner is gone.

Used by `make run` and by the tests. A server holds a lock on its data folder for as long as it lives, so that two
never work on the same files.
"""

import fcntl
import hashlib
import os
import signal
import stat
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import redis

from securenet.run.child import Child
from securenet.run.messages import CannotRun, log_excerpt
from securenet.run.redis_binary import Release, server_binary

# `sun_path` holds 108 bytes on Linux and 104 on macOS, with the closing zero byte.
LONGEST_SOCKET_PATH = 103


class RedisServer:
    """One server process on one data folder; it can be killed and started again on the same data and address.

    Args:
        data_dir: Folder of the append-only file and, by default, the socket; made (0700) where missing.
        socket_path: Unix socket to listen on; a short path is chosen where this one would be too long.
        port: TCP port on 127.0.0.1 to listen on instead of a socket.
        extra_args: More options of `redis-server`; they win over the ones set here.
        log_path: Where its log goes; by default ``redis.log`` in ``data_dir``.
    """

    def __init__(
        self,
        data_dir: Path,
        socket_path: Path | None = None,
        port: int | None = None,
        extra_args: Sequence[str] = (),
        log_path: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port
        wanted = socket_path or self.data_dir / "redis.sock"
        self.socket_path = _short_enough(wanted)
        self._has_folder_for_socket = self.socket_path != wanted
        self.log_path = log_path or self.data_dir / "redis.log"
        self.binary = server_binary(self._data_writer())
        self.child = Child(
            "Redis",
            [self.binary.path, *self._options(), *extra_args],
            log=self.log_path,
            # Unlike a kill, SIGTERM lets it write what it still has to its append-only file.
            death_signal=signal.SIGTERM,
        )

    @property
    def url(self) -> str:
        """The address for REDIS_URL."""
        return f"redis://127.0.0.1:{self.port}/0" if self.port else f"unix://{quote(str(self.socket_path))}?db=0"

    @property
    def pid(self) -> int:
        return self.child.pid

    def _options(self) -> list[str]:
        if self.port:
            address = ["--bind", "127.0.0.1", "--port", str(self.port)]
        else:
            address = ["--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700"]
        return [
            *address,
            *("--dir", str(self.data_dir)),
            *("--appendonly", "yes"),
            *("--appendfsync", "everysec"),
            *("--save", ""),
            # Limits and queues must not be evicted; cached answers are bounded by their own budget.
            *("--maxmemory-policy", "noeviction"),
            *("--daemonize", "no"),
        ]

    def start(self, timeout: float = 30.0) -> None:
        """Start the server and wait until it answers.

        Args:
            timeout: Seconds for that; reading a large append-only file takes its time.

        Raises:
            CannotRun: It ended, did not answer in time, or another server works on the same data.
        """
        self.launch()
        deadline = time.monotonic() + timeout
        while not self.ping():
            if self.child.wait(0.005):
                raise CannotRun(self.why_it_ended())
            if time.monotonic() > deadline:
                self.kill()
                raise CannotRun(
                    f"Redis did not answer within {timeout:g} s at {self.url}.\n{log_excerpt(self.log_path)}"
                )

    def launch(self) -> None:
        """Start the process without waiting for an answer.

        Raises:
            CannotRun: Another server works on the same data.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._has_folder_for_socket:
            _make_private(self.socket_path.parent)
        with self._data_lock() as lock:
            self._writer_note.write_text(f"{self.binary.release}\n")
            self.child.start(keep_open=[lock])

    @property
    def _writer_note(self) -> Path:
        return self.data_dir / "written-by"

    def _data_writer(self) -> Release | None:
        return Release.named_in(self._writer_note.read_text()) if self._writer_note.exists() else None

    @contextmanager
    def _data_lock(self, patience: float = 5.0) -> Iterator[int]:
        """Lock the data folder; the server inherits the lock and holds it for as long as it lives.

        A server whose owner was killed is still closing its files: it gets ``patience`` seconds.
        """
        lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise CannotRun(
                            f"Another Redis server is using {self.data_dir}. Stop it, "
                            "or choose another folder with SECURENET_DATA_DIR."
                        ) from None
                    time.sleep(0.02)
            yield lock
        finally:
            os.close(lock)

    def why_it_ended(self) -> str:
        """Describe the end of the server's process, with the last lines of its log."""
        return f"Redis ended: {self.child.how_it_ended()}.\n{log_excerpt(self.log_path)}"

    def ping(self) -> bool:
        """True if the server answers and has read its data."""
        client = redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1, retry=None)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):  # not there yet, or still loading
            return False
        finally:
            client.close()

    def stop(self, grace: float = 10.0) -> None:
        """Stop the server in order, its data on disk; after ``grace`` seconds by force."""
        self.child.stop(grace)
        self.forget_socket()

    def kill(self) -> None:
        """Kill the server, as a crash would."""
        self.child.kill()

    def restart(self) -> None:
        """Stop the server, if it runs, and start it on the same data and address."""
        self.stop()
        self.start()

    def forget_socket(self) -> None:
        """Remove the socket of a server that has ended, and the folder that was made for it alone."""
        self.socket_path.unlink(missing_ok=True)
        if self._has_folder_for_socket:
            with suppress(FileNotFoundError):
                self.socket_path.parent.rmdir()

    def __enter__(self) -> "RedisServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _short_enough(path: Path) -> Path:
    """Return ``path``, or where it would be too long for a socket, one in a folder named after it."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    digest = hashlib.blake2b(os.fsencode(path), digest_size=6).hexdigest()
    return base / f"securenet-redis-{os.getuid()}-{digest}" / path.name


def _make_private(folder: Path) -> None:
    """Make ``folder``, in a place that others can write to, or make sure that it is ours alone."""
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.lstat()
    if not stat.S_ISDIR(owner.st_mode) or owner.st_uid != os.getuid() or owner.st_mode & 0o077:
        raise CannotRun(
            f"{folder} is not a folder that only you can enter. Remove it, or choose a shorter "
            "SECURENET_DATA_DIR, so that the socket of Redis fits there."
        )
