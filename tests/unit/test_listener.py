"""Listening sockets: what accepted connections inherit, and who finds them again."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from securenet.run import listener


def test_answers_do_not_wait_for_the_client_to_acknowledge_what_came_before() -> None:
    """Nagle's algorithm and delayed acknowledgements together cost 40 ms on connections that are kept alive."""
    (listening,) = listener.listen("127.0.0.1", 0, 1)
    with listening:
        assert listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_clients_that_vanished_are_noticed() -> None:
    (listening,) = listener.listen("127.0.0.1", 0, 1)
    with listening:
        assert listening.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_child_finds_the_sockets_that_it_inherits() -> None:
    (listening,) = listener.listen("127.0.0.1", 0, 1)
    (found,) = listener.inherited(listener.described([listening]))
    assert found.getsockname() == listening.getsockname()
    found.detach()  # it is the same descriptor
    listening.close()


def test_sockets_of_systemd_are_those_of_the_process_that_is_named() -> None:
    assert listener.inherited({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1)}) == []


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Linux only")
def test_who_stops_accepting_leaves_connections_to_others() -> None:
    (listening,) = listener.listen("127.0.0.1", 0, 1)
    address = listening.getsockname()
    other = socket.socket(fileno=os.dup(listening.fileno()))
    other.setblocking(True)
    listener.stop_accepting(listening)
    accepted: list[socket.socket] = []
    thread = threading.Thread(target=lambda: accepted.append(other.accept()[0]))
    thread.start()
    with socket.create_connection(address, timeout=10):
        with pytest.raises(BlockingIOError):
            os_accept(listening)
        thread.join(10)
        assert accepted
    for each in (*accepted, other, listening):
        each.close()


def os_accept(listening: socket.socket) -> None:
    """Accept as a server does that holds the descriptor."""
    with socket.socket(fileno=os.dup(listening.fileno())) as same:
        same.setblocking(False)
        same.accept()
