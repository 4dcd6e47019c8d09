"""The bound on requests that wait for their bodies, by itself."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable
from typing import Any

from django.core.handlers.wsgi import WSGIHandler

from securenet.run.listener import listen
from securenet.run.slow_bodies import SlowBodies


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    try:
        body = environ["wsgi.input"].read()
    except OSError:
        start_response("500 Internal Server Error", [])
        return [b"as of a connection that broke"]
    start_response("200 OK", [])
    return [body]


def asked(wrapped: SlowBodies, stream: Any, length: str = "3", **environ: str) -> tuple[str, bytes]:
    """The status line and the body of the answer to a POST."""
    statuses: list[str] = []
    given = {"CONTENT_LENGTH": length, "wsgi.input": stream, **environ}
    return_value = b"".join(wrapped(given, lambda status, headers, *_: statuses.append(status)))
    return statuses[-1], return_value


class Stalled:
    """A body that comes when it is told to."""

    def __init__(self) -> None:
        self.is_asked, self.may_come = threading.Event(), threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.is_asked.set()
        assert self.may_come.wait(60)
        return b"abc"


def test_beyond_the_bound_a_body_is_503_and_then_it_is_read_again():
    wrapped = SlowBodies(application, readers=1, patience=0.05)
    stalled = Stalled()
    slow: list[tuple[str, bytes]] = []
    thread = threading.Thread(target=lambda: slow.append(asked(wrapped, stalled)))
    thread.start()
    assert stalled.is_asked.wait(60)
    status, body = asked(wrapped, io.BytesIO(b"abc"))
    assert (status, b'"status": 503' in body) == ("503 Service Unavailable", True)
    assert asked(wrapped, io.BytesIO(b""), length="") == ("200 OK", b"")
    stalled.may_come.set()
    thread.join(60)
    assert slow == [("200 OK", b"abc")]
    assert asked(wrapped, io.BytesIO(b"abc")) == ("200 OK", b"abc")


def test_a_body_that_is_refused_is_503_whatever_django_makes_of_it():
    wrapped = SlowBodies(WSGIHandler(), readers=1, patience=0)
    wrapped.turns.acquire()
    place = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/api/auth/token", "SERVER_NAME": "testserver", "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json", "wsgi.url_scheme": "http", "REMOTE_ADDR": "127.0.0.1",
    }  # fmt: skip
    status, body = asked(wrapped, io.BytesIO(b"{}"), length="2", **place)
    assert (status, b"Too many slow requests" in body) == ("503 Service Unavailable", True)


def test_the_kernel_asks_silent_clients_whether_they_are_there():
    (listening,) = listen("127.0.0.1", 0, 1)
    with listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(True)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
