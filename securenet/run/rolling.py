"""Replaces a running process by a new one without a gap: what ``make restart`` does to web servers and job workers.

The new process is ready before the old one is asked to end. A new one that does not become ready is given up, and the
old one stays: a version that cannot start takes nothing away.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from securenet.run.child import Child
from securenet.run.messages import complain, log_excerpt, say
from securenet.run.service import Service

# The descriptor on which a web worker says that it is there.
_VARIABLE: Final = "SECURENET_READY_FD"


class Turnout:
    """The pipe on which web workers say that they are there, each with the process id of its web server.

    Attributes:
        descriptor: the end that web servers inherit; `variables` tell them.
    """

    def __init__(self) -> None:
        self._reader, self.descriptor = os.pipe()
        os.set_blocking(self._reader, False)
        self._rest = b""
        self._workers: dict[int, int] = {}

    @property
    def variables(self) -> dict[str, str]:
        return {_VARIABLE: str(self.descriptor)}

    def workers_of(self, pid: int) -> int:
        """How many workers of the web server ``pid`` have begun so far."""
        with suppress(BlockingIOError):
            while data := os.read(self._reader, 4096):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    self._workers[int(line)] = self._workers.get(int(line), 0) + 1
        return self._workers.get(pid, 0)


def say_here(environment: Mapping[str, str]) -> None:
    """Say that this web worker is there, if somebody wants to know."""
    if descriptor := environment.get(_VARIABLE):
        os.write(int(descriptor), b"%d\n" % os.getppid())


def replace(
    service: Service,
    new: Service,
    *,
    is_ready: Callable[[], bool],
    farewell: signal.Signals,
    within: float,
    wait: Callable[[float], None],
) -> Child | None:
    """Give ``service`` the process of ``new``; returns the old process, which finishes what it has begun.

    Args:
        new: how the new process is launched.
        is_ready: whether the new process does what it is for.
        farewell: asks the old process to begin nothing any more, and to end.
        within: seconds for the new process to become ready.
        wait: lets some seconds pass. What it raises ends the new process.

    Returns:
        None where the new process did not become ready; it is gone then, and the old one serves on.
    """
    deadline = time.monotonic() + within
    new.launch()
    try:
        while not is_ready():
            if not new.child.is_running or time.monotonic() > deadline:
                complain(_why_given_up(service, new))
                new.child.kill()
                return None
            wait(0.05)
    except BaseException:
        new.child.kill()
        raise
    old = service.child
    service.child, service.launch = new.child, new.launch
    old.send_signal(farewell)
    say(f"{service.child.name} is process {service.child.pid} now; process {old.pid} finishes what it has begun.")
    return old


def _why_given_up(service: Service, new: Service) -> str:
    reason = "is not ready in time" if new.child.is_running else f"ended ({new.child.how_it_ended()})"
    return f"The new {new.child.name} {reason}; process {service.child.pid} stays in its place.\n{log_excerpt(new.log)}"
