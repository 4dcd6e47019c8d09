"""Small real TCP servers on loopback, on ports of the system's choosing, for the scanner to find."""

from __future__ import annotations

import os
import random
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

LOOPBACK = "127.0.0.1"
# Whole ranges of ports are scanned here: on 127.0.0.1 any other test's server may turn up in them.
QUIET_LOOPBACK = f"127.83.{os.getpid() >> 8 & 255}.{os.getpid() & 255}" if sys.platform == "linux" else LOOPBACK
Handler = Callable[[socket.socket], None]

needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="looks at sockets through /proc")
needs_ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="there is no IPv6 here")


@contextmanager
def serving(handler: Handler, *, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[int]:
    """Run `handler` for each connection, in a thread of its own; gives the port. Ends all connections at
    exit."""
    listener = socket.create_server((LOOPBACK, port), backlog=64)
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def handle(connection: socket.socket) -> None:
        with suppress(OSError):  # scanners hang up when they like
            connection.settimeout(10)
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
                connections.append(connection)
            with connection:
                handler(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threads.append(threading.Thread(target=handle, args=(connection,), daemon=True))
            threads[-1].start()

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(5)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in threads:
            thread.join(5)


@contextmanager
def listening(count: int, among: range) -> Iterator[set[int]]:
    """`count` bare listeners on random free ports of a range at the quiet address; gives the ports."""
    with ExitStack() as stack:
        ports: set[int] = set()
        for port in random.sample(among, len(among)):
            if len(ports) == count:
                break
            with suppress(OSError):  # somebody else's port
                stack.enter_context(socket.create_server((QUIET_LOOPBACK, port)))
                ports.add(port)
        assert len(ports) == count, f"only {len(ports)} of {count} ports were free"
        yield ports


@contextmanager
def overrun_listener() -> Iterator[socket.socket]:
    """A listener with a full queue: the kernel drops connection requests until somebody accepts."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener


@contextmanager
def unanswered_port() -> Iterator[int]:
    """A port at which nobody answers."""
    with overrun_listener() as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def connections_to(*ports: int) -> int:
    """How many sockets this process holds that are, or want to be, connected to these ports."""
    folder = "/proc/self/fd"
    mine = {os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder) if os.path.islink(f"{folder}/{fd}")}
    wanted = {f":{port:04X}" for port in ports}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[2][8:] in wanted and f"socket:[{line[9]}]" in mine for line in lines)


def greeting(text: bytes) -> Handler:
    """A service that speaks first and then listens."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(text)
        while connection.recv(1024):
            pass

    return handle


def curt(text: bytes) -> Handler:
    """A service that speaks first and hangs up at the first word; nobody waits for it to say more."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(text)
        connection.recv(1024)

    return handle


def answering(answers: dict[bytes, bytes], otherwise: bytes = b"", greet: bytes = b"") -> Handler:
    """A service that answers requests by how they begin (compared without case)."""

    def handle(connection: socket.socket) -> None:
        if greet:
            connection.sendall(greet)
        while request := connection.recv(4096):
            for start, answer in answers.items():
                if request.upper().startswith(start.upper()):
                    connection.sendall(answer)
                    break
            else:
                if not otherwise:
                    return
                connection.sendall(otherwise)

    return handle


def http_server(headers: dict[str, str], status: str = "200 OK", body: bytes = b"<p>hello</p>") -> Handler:
    """A web server that sends these headers; what is not HTTP gets a 400."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    page = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]).encode() + body

    def handle(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            chunk = connection.recv(4096)
            if not chunk:
                return
            request += chunk
            if not request.startswith(b"GET "[: len(request)]):
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                return
        connection.sendall(page)

    return handle


REDIS_INFO = b"# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nos:Linux\r\n"


def redis_server(*, password: bool) -> Handler:
    """As much of Redis as tells whether it wants a password."""
    if password:
        return answering({}, otherwise=b"-NOAUTH Authentication required.\r\n")
    return answering(
        {b"PING": b"+PONG\r\n", b"INFO": b"$%d\r\n%b\r\n" % (len(REDIS_INFO), REDIS_INFO)},
        otherwise=b"-ERR unknown command\r\n",
    )


def ftp_server(*, tls: bool) -> Handler:
    features = (
        b"211-Features:\r\n AUTH TLS\r\n UTF8\r\n211 End\r\n" if tls else b"211-Features:\r\n UTF8\r\n211 End\r\n"
    )
    return answering({b"FEAT": features}, otherwise=b"530 Please log in.\r\n", greet=b"220 (vsFTPd 3.0.3)\r\n")


def smtp_server(greet: bytes = b"220 mail.example ESMTP Postfix (Debian/GNU)\r\n") -> Handler:
    return answering(
        {b"EHLO": b"250-mail.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n", b"QUIT": b"221 Bye\r\n"},
        otherwise=b"502 Command not recognised\r\n",
        greet=greet,
    )


def silent(connection: socket.socket) -> None:
    """Accepts, listens, never says a word."""
    while connection.recv(4096):
        pass


def hangs_up(connection: socket.socket) -> None:
    """Closes at once."""


def resets(connection: socket.socket) -> None:
    """Answers every connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def endless(connection: socket.socket) -> None:
    """Talks as fast as it can, without end."""
    while True:
        connection.sendall(b"A" * 65536)


def dripping(connection: socket.socket) -> None:
    """One byte every 50 ms, for ever: never silent, never finished."""
    pause = threading.Event()
    while not pause.wait(0.05):
        connection.sendall(b"x")
