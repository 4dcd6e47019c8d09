"""Turns signals into something the supervisor can wait for: a stop that was asked for, a child that ended.

Handlers only take a note; `Wakeup.wait` raises in the supervisor's own time, never in the middle of a start.
"""

import os
import select
import signal
import socket
import time
from types import FrameType

# Ctrl-C again within this many seconds is the same Ctrl-C, delivered to the group and passed on by make.
SAME_REQUEST = 1.0


# What asks for every web server and job worker to be replaced.
RESTART = signal.SIGUSR2


class StopRequested(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM."""


class Wakeup:
    """Waits for time to pass, a child to end or a stop to be requested, whichever comes first."""

    def __init__(self) -> None:
        self.stop_requested_at: float | None = None
        self.is_hurried = False
        self.is_restart_requested = False
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def install(self) -> None:
        """Listen to SIGINT, SIGTERM, SIGHUP (unless ignored, as under nohup), `RESTART` and SIGCHLD."""
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signum is not signal.SIGHUP or signal.getsignal(signum) is not signal.SIG_IGN:
                signal.signal(signum, self._request_stop)
        signal.signal(RESTART, self._request_restart)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)

    def _request_stop(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.stop_requested_at is None:
            self.stop_requested_at = now
        elif signum == signal.SIGINT and now - self.stop_requested_at > SAME_REQUEST:
            self.is_hurried = True

    def _request_restart(self, signum: int, frame: FrameType | None) -> None:
        self.is_restart_requested = True

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds`` at most; returns early when a child has ended.

        Raises:
            StopRequested: It is time to stop.
        """
        if self.stop_requested_at is None:
            self.doze(seconds)
        if self.stop_requested_at is not None:
            raise StopRequested

    def doze(self, seconds: float) -> None:
        """Wait like `wait`, while stopping: nothing is raised, any signal ends it."""
        readable, _, _ = select.select([self._reader], [], [], max(0.0, seconds))
        if readable:
            os.read(self._reader.fileno(), 4096)
