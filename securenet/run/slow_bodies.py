"""Bodies that do not arrive hold only some threads of the web server; the others go on answering.

The server hands a request over when its head has come. Without this a few clients that promise a body and send none
would hold every thread, for as long as they like.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from threading import BoundedSemaphore
from typing import Any, Final

from securenet.run.draining import Application

# Seconds that a request waits for its turn to read. A body that has come already is read in far less.
PATIENCE: Final = 0.1
_PROBLEM: Final = {
    "type": "about:blank",
    "title": "Too many slow requests",
    "status": 503,
    "detail": "Too many bodies are on their way already; nothing was done. Try again in a few seconds.",
}


class BodyNotRead(OSError):
    """As from a connection that broke."""


class SlowBodies:
    """Wraps a WSGI application.

    Args:
        application: what is wrapped.
        readers: so many requests wait for bodies at the same time; further ones are 503.
        patience: seconds for which one of those waits before it is refused.
    """

    def __init__(self, application: Application, *, readers: int, patience: float = PATIENCE) -> None:
        self.application = application
        self.turns = BoundedSemaphore(readers)
        self.patience = patience

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("CONTENT_LENGTH", "") in ("", "0"):
            return self.application(environ, start_response)
        body = environ["wsgi.input"] = Body(environ["wsgi.input"], self.turns, self.patience)
        started: list[tuple[Any, ...]] = []
        response = self.application(environ, lambda *answer: started.append(answer))
        if not body.is_refused:
            start_response(*started[-1])
            return response
        if hasattr(response, "close"):
            response.close()
        headers = [("Content-Type", "application/problem+json"), ("Retry-After", "5"), ("Connection", "close")]
        start_response("503 Service Unavailable", headers)
        return [json.dumps(_PROBLEM).encode()]


class Body:
    """The ``wsgi.input`` of one request.

    Attributes:
        is_refused: there was no turn for it.
    """

    def __init__(self, stream: Any, turns: BoundedSemaphore, patience: float) -> None:
        self.stream = stream
        self.turns = turns
        self.patience = patience
        self.is_refused = False

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes, all by default. Raises BodyNotRead."""
        return self._in_turn(self.stream.read, size)

    def readline(self, size: int = -1) -> bytes:
        """A line, or ``size`` bytes of it. Raises BodyNotRead."""
        return self._in_turn(self.stream.readline, size)

    def _in_turn(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self.is_refused or not self.turns.acquire(timeout=self.patience):
            self.is_refused = True
            raise BodyNotRead("Too many bodies are on their way.")
        try:
            return read(size)
        finally:
            self.turns.release()
