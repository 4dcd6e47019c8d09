"""One process the supervisor (or a test) starts: in a group of its own, with a log, tied to its parent's life.

Signals go to the process when it is asked to stop, and to its whole group when it is killed.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from securenet.run import lifeline

# A child dies with the *thread* that started it, so a short-lived thread hands the start to one that stays.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starts-children")


class Child:
    """A command, and the process that runs it while it runs.

    Args:
        name: What messages call it.
        command: Program and arguments.
        log: File that its standard output and error are appended to; None: they go where the parent's go.
        environment: Its whole environment; None: the parent's.
        directory: Where it runs; None: where the parent does.
        death_signal: What it is sent when this process dies.
        credentials: ``user``, ``group`` and ``extra_groups`` of `subprocess.Popen`, for a parent that is root.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.environment = environment
        self.directory = directory
        self.death_signal = death_signal
        self.credentials = dict(credentials or {})
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the latest start; 0 before the first."""
        return self.process.pid if self.process else 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self, keep_open: Sequence[int] = ()) -> None:
        """Start the process.

        Args:
            keep_open: Descriptors it inherits.

        Raises:
            OSError: The program or its log cannot be opened.
        """
        if self.is_running:
            raise RuntimeError(f"{self.name} is already running as process {self.pid}; stop it first.")
        if threading.current_thread() is threading.main_thread():
            self.process = self._spawn(keep_open)
        else:
            self.process = _starter.submit(self._spawn, keep_open).result()

    def _spawn(self, keep_open: Sequence[int]) -> subprocess.Popen[bytes]:
        output = None
        if self.log is not None:
            output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                env=self.environment,
                cwd=self.directory,
                start_new_session=True,
                pass_fds=keep_open,
                preexec_fn=lifeline.dying_with_me(self.death_signal),
                **self.credentials,
            )
        finally:
            if output is not None:
                os.close(output)

    def poll(self) -> int | None:
        """Return the exit code (negative: killed by that signal), or None while it runs or before it started."""
        return self.process.poll() if self.process else None

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, for ``seconds`` at most; True if it has."""
        if self.process is None:
            return True
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None

    def send_signal(self, signum: signal.Signals) -> None:
        """Send ``signum`` to the process, if it still runs."""
        if self.process is not None:
            self.process.send_signal(signum)

    def kill(self) -> None:
        """Kill the process and everything in its group, and wait for it."""
        if self.process is not None and self.process.poll() is None:
            self.kill_group()
            self.process.wait()

    def stop(self, grace: float, signum: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end with ``signum``, wait ``grace`` seconds at most, then kill what is left of its group."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signum)
            self.wait(grace)
            self.kill_group()
            self.process.wait()

    def kill_group(self) -> None:
        """Kill what the process left behind in its group; only right after its end, while the number is still its."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Say in a few words how the last process ended: "exit code 3", "killed by SIGKILL"."""
        match self.poll():
            case None:
                return "still running"
            case code if code < 0:
                return f"killed by {signal.Signals(-code).name}"
            case code:
                return f"exit code {code}"
