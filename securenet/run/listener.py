"""Listening sockets that outlive web servers, so that one web server can take over from another without a gap.

A connection that comes while nobody accepts waits in the socket's queue. There is one socket for each web worker, all
on one port (``SO_REUSEPORT``): the kernel spreads connections over them more evenly than processes that race for one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from typing import Final

BACKLOG: Final = 1024
# Descriptors that a web server inherits from the supervisor: "7,8".
VARIABLE: Final = "SECURENET_LISTEN_FDS"
# What systemd says of the sockets that it hands over: see sd_listen_fds(3).
_SYSTEMD_COUNT, _SYSTEMD_PID, _SYSTEMD_FIRST = "LISTEN_FDS", "LISTEN_PID", 3


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Open ``count`` sockets that share one port, and hand them on to children that are told so.

    Raises:
        OSError: The address cannot be listened on.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sockets = []
    for _ in range(count):
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if count > 1:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _forget_dead_clients(listening)
        _send_at_once(listening)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        sockets.append(listening)
    return sockets


def _forget_dead_clients(listening: socket.socket) -> None:
    """Have the kernel ask clients that are silent for a minute whether they are there; connections inherit that.

    A client that vanished in the middle of a request would hold a thread of the web server for ever.
    """
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # macOS names the first one otherwise
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _send_at_once(listening: socket.socket) -> None:
    """Have the kernel send what is written without waiting for more; connections inherit that.

    Otherwise, on a connection that is kept alive, an answer written in two pieces waits until the client acknowledges
    the first, which clients put off for 40 ms (Nagle's algorithm and delayed acknowledgements, RFC 9293).
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def described(sockets: Sequence[socket.socket]) -> dict[str, str]:
    """The variable that tells a child which of its descriptors ``sockets`` are."""
    return {VARIABLE: ",".join(str(listening.fileno()) for listening in sockets)}


def inherited(environment: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets that this process was started with, by the supervisor or by systemd; empty: none."""
    if named := environment.get(VARIABLE):
        descriptors = [int(number) for number in named.split(",")]
    elif environment.get(_SYSTEMD_PID) == str(os.getpid()):
        descriptors = list(range(_SYSTEMD_FIRST, _SYSTEMD_FIRST + int(environment[_SYSTEMD_COUNT])))
    else:
        return []
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    for listening in sockets:
        listening.setblocking(False)
        _send_at_once(listening)
    return sockets


def stop_accepting(listening: socket.socket) -> None:
    """Let this process accept nothing more from ``listening``, whoever here waits for it; other processes still do.

    The descriptor becomes that of a socket to which nobody can connect: whoever accepts finds nothing. Closing it would
    not do: the server that waits for connections could not be told, and would take the number for its own socket still.
    """
    silent = socket.socket(socket.AF_UNIX)
    silent.bind("")  # Linux chooses a name outside the file system
    silent.listen(1)
    silent.setblocking(False)
    os.dup2(silent.fileno(), listening.fileno())
