"""A whole SecureNet, started as `make run` starts it, on a free port and a data folder of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis
from rq import Queue
from rq.serializers import JSONSerializer

from securenet.run.config import PROJECT_DIR
from securenet.run.lifeline import descendants
from tests.servers.ports import free_port

# A test asks for these, or takes what SecureNet chooses by itself.
OWN_CHOICE = {
    "DATABASE_URL", "REDIS_URL", "JOBS_REDIS_URL", "HOST", "WEB_WORKERS", "JOB_WORKERS", "SECURENET_ADMIN_PASSWORD",
}  # fmt: skip
COMMAND = (sys.executable, "-m", "securenet.run")


class SecureNet:
    """One run: its output, its processes, its address.

    Args:
        data_dir: SECURENET_DATA_DIR.
        command: What starts it.
        environment: More variables; unless given here, PORT is a free one, and web server and job workers have
            one process each.

    Attributes:
        environment: What it was started with; with REDIS_URL=`redis_url`, other processes find its data by it.
    """

    def __init__(self, data_dir: Path, *, command: Sequence[str] = COMMAND, **environment: str) -> None:
        self.data_dir = data_dir
        self.port = int(environment.get("PORT") or free_port())
        self.output = ""
        self._seen: set[int] = set()
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in OWN_CHOICE},
            "SECURENET_DATA_DIR": str(data_dir),
            "WEB_WORKERS": "1",
            "JOB_WORKERS": "1",
            **environment,
            "PORT": str(self.port),
        }
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT_DIR,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def ready_line(self) -> str:
        return f"SecureNet is ready at {self.url}/\n"

    def await_ready(self, within: float = 120.0) -> "SecureNet":
        """Wait for the line that says it is ready."""
        until(lambda: self.ready_line in self.output or self.process.poll() is not None, within, self.explain)
        assert self.ready_line in self.output, self.explain()
        return self

    def explain(self) -> str:
        """What it has said so far, for the message of a failed assertion."""
        return f"exit code {self.process.poll()}, output:\n{self.output}"

    def await_end(self, within: float = 60.0) -> int:
        """Wait until it has ended; returns the exit code, when all its output has been read."""
        self.process.wait(within)
        self._reader.join(5)
        return self.process.returncode

    def send(self, signum: signal.Signals) -> None:
        """Send ``signum`` to the process that was started, after taking note of all that run below it."""
        self.processes()
        self.process.send_signal(signum)

    def processes(self, *words: str) -> set[int]:
        """Return the ids of the processes below it whose command line contains all ``words``."""
        found = {pid for pid in descendants(self.process.pid) if all(word in command_line(pid) for word in words)}
        self._seen |= found
        return found

    def child(self, *words: str) -> int:
        """Return the id of the one process that it has started itself with all ``words`` on the command line."""
        (pid,) = [pid for pid in self.processes(*words) if parent(pid) == self.process.pid]
        return pid

    def left_behind(self) -> dict[int, str]:
        """Return the processes seen below it that are still there, with their command lines."""
        return {pid: line for pid in self._seen if (line := command_line(pid))}

    @property
    def redis_url(self) -> str:
        """The address of the Redis that it started."""
        match = re.search(r"started on (\S+)\.$", self.output, flags=re.MULTILINE)
        assert match, self.explain()
        return f"unix://{match[1]}?db=0"

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url, decode_responses=True)

    def keep_worker_busy(self, seconds: int) -> int:
        """Give a job worker something to do for ``seconds``; returns the id of the process that does it."""
        before = self.processes("rqworker")
        with redis.Redis.from_url(self.redis_url) as connection:
            Queue("default", connection=connection, serializer=JSONSerializer).enqueue("time.sleep", seconds)
        found: list[int] = []

        def work_horse_is_there() -> bool:
            found.extend(self.processes("rqworker") - before)
            return bool(found)

        until(work_horse_is_there, 15, self.explain)
        return found[0]


@contextmanager
def securenet(data_dir: Path, *, command: Sequence[str] = COMMAND, **environment: str) -> Iterator[SecureNet]:
    """Start SecureNet, and see that nothing of it is left after the block."""
    run = SecureNet(data_dir, command=command, **environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.send(signal.SIGKILL)
            run.process.wait()
        until(lambda: not run.left_behind(), 10, run.explain)


def command_line(pid: int) -> str:
    """Return the command line of process ``pid``; empty where there is none, or only a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def parent(pid: int) -> int | None:
    """Return the id of the process that started ``pid``; None where ``pid`` has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def until(condition: Callable[[], object], within: float, explain: Callable[[], str]) -> None:
    """Wait until ``condition()`` is true, for ``within`` seconds at most; then fail with ``explain()``."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"Not within {within:g} s. {explain()}"
        time.sleep(0.02)
