"""How a web worker ends without failing a request: it accepts no more, and asks clients to close their connections.

A connection that is kept alive can only be closed without loss by the side that would send next, the client: each
answer says ``Connection: close`` (RFC 9112, section 9.6) until the worker ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from socket import socket
from types import FrameType
from typing import Any

from securenet.run.listener import stop_accepting

# What asks a web server, and by it each of its workers, to hand over to another.
HAND_OVER = signal.SIGUSR1

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Draining:
    """Wraps a WSGI application; from `begin` on, its answers close their connections."""

    def __init__(self, application: Application, listening: socket) -> None:
        self.application = application
        self.listening = listening
        self.has_begun = False

    def begin_on_signal(self) -> None:
        """Begin when this process, a web worker, is sent `HAND_OVER`."""
        signal.signal(HAND_OVER, self.begin)

    def begin(self, signum: int, frame: FrameType | None) -> None:
        """Accept no connection any more."""
        if not self.has_begun:
            self.has_begun = True
            stop_accepting(self.listening)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not self.has_begun:
            return self.application(environ, start_response)

        def start_last_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            return start_response(status, [*headers, ("Connection", "close")], exc_info)

        return self.application(environ, start_last_response)
