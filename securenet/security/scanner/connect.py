"""TCP connect scan: which ports of some hosts are open, closed or filtered, in one thread with one selector.

An answer that has arrived is never taken for a lost one, however late this process gets to it: a connection
is given up only if its deadline had passed before the selector was asked and the selector did not report it.
"""

from __future__ import annotations

import errno
import heapq
import os
import resource
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from .addresses import Address
from .pace import Pace
from .ports import PortSet
from .timeouts import AdaptiveTimeout

HEARTBEAT: Final = 0.1  # seconds; the longest time between two calls of `beat`
_BATCH: Final = 64  # connections started between two looks at the answers, so that measured times stay true
_SPARE_DESCRIPTORS: Final = 64

# A reset that is told after the fact came after the handshake.
_CONNECTED: Final = frozenset({0, errno.EISCONN, errno.ECONNRESET, errno.EPIPE})
_OUT_OF_RESOURCES: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.EADDRNOTAVAIL}
)


class PortState(StrEnum):
    """What a connection attempt learnt about a port."""

    OPEN = "open"  # the handshake was completed
    CLOSED = "closed"  # the host refused
    FILTERED = "filtered"  # no answer, or a router's: says nothing about a service


class ScanImpossible(RuntimeError):
    """This machine lacks a resource to scan with; says nothing about the target."""


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """The state of one port. rtt: seconds until the answer, as seen by this process; None without one."""

    port: int
    state: PortState
    rtt: float | None = None


@dataclass(frozen=True, slots=True)
class ConnectLimits:
    """How hard to try.

    in_flight: connections at the same time, over all hosts; first_timeout: seconds to wait as long as nothing
    was answered; least_timeout, greatest_timeout: bounds of what is learnt from answers; retries: of
    unanswered ports.
    """

    in_flight: int = 500
    first_timeout: float = 1.0
    least_timeout: float = 0.15
    greatest_timeout: float = 2.0
    retries: int = 1


@dataclass(frozen=True, slots=True)
class HostPorts:
    """The ports to try on one address, no faster than `pace`."""

    address: Address
    ports: PortSet
    pace: Pace


OnResult = Callable[[Address, ConnectResult], None]


def connect_scan(
    hosts: Sequence[HostPorts],
    limits: ConnectLimits | None = None,
    *,
    on_result: OnResult = lambda address, result: None,
    beat: Callable[[], None] = lambda: None,
) -> tuple[tuple[ConnectResult, ...], ...]:
    """Try every port of every host.

    on_result: called for each port once, as it is decided; beat: called at least every `HEARTBEAT` seconds.
    Both run in this thread; what they raise ends the scan with all its sockets closed. Returns for each host
    its results by rising port. Raises ScanImpossible if no socket can be had.
    """
    scan = _ConnectScan(hosts, limits or ConnectLimits(), on_result, beat)
    try:
        return scan.run()
    finally:
        scan.close()


@dataclass(slots=True, eq=False)
class _Host:
    address: Address
    family: socket.AddressFamily
    pace: Pace
    timeout: AdaptiveTimeout
    waiting: deque[tuple[int, int]]  # (port, attempt)
    results: list[ConnectResult] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Attempt:
    host: _Host
    port: int
    number: int
    sock: socket.socket
    started: float
    is_registered: bool = False
    is_over: bool = False


class _ConnectScan:
    def __init__(
        self, hosts: Sequence[HostPorts], limits: ConnectLimits, on_result: OnResult, beat: Callable[[], None]
    ) -> None:
        self._limits = limits
        self._on_result = on_result
        self._beat = beat
        self._hosts = [_host(host, limits) for host in hosts]
        self._selector = selectors.DefaultSelector()
        self._capacity = min(limits.in_flight, _free_descriptors())
        self._in_flight: set[_Attempt] = set()
        self._deadlines: list[tuple[float, int, _Attempt]] = []
        self._serial = 0

    def run(self) -> tuple[tuple[ConnectResult, ...], ...]:
        busy = [host for host in self._hosts if host.waiting]
        while busy or self._in_flight:
            self._start_some(busy)
            asked = time.monotonic()
            for key, _ in self._selector.select(self._patience(busy)):
                self._decide(key.data, key.data.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            self._give_up(asked)
            self._beat()
            busy = [host for host in self._hosts if host.waiting]
        return tuple(tuple(sorted(host.results, key=lambda result: result.port)) for host in self._hosts)

    def close(self) -> None:
        for attempt in self._in_flight:
            attempt.sock.close()
        self._in_flight.clear()
        self._selector.close()

    def _start_some(self, busy: list[_Host]) -> None:
        room = min(_BATCH, self._capacity - len(self._in_flight))
        for host in busy:
            share = max(1, room // len(busy))
            while share > 0 and room > 0 and host.waiting and not host.pace.wait():
                port, number = host.waiting.popleft()
                if not self._start(host, port, number):
                    return
                share -= 1
                room -= 1

    def _start(self, host: _Host, port: int, number: int) -> bool:
        """Start one connection. False if this machine has no room for it now."""
        try:
            sock = socket.socket(host.family, socket.SOCK_STREAM)
        except OSError as error:
            if error.errno in _OUT_OF_RESOURCES:
                self._postpone(host, port, number, error.errno)
                return False
            self._record(host, ConnectResult(port, PortState.FILTERED))  # no IPv6 here, for example
            return True
        sock.setblocking(False)
        host.pace.take()
        attempt = _Attempt(host, port, number, sock, time.monotonic())
        self._in_flight.add(attempt)
        code = sock.connect_ex((str(host.address), port))
        if code == errno.EINPROGRESS:
            self._selector.register(sock, selectors.EVENT_WRITE, attempt)
            attempt.is_registered = True
            self._serial += 1
            deadline = attempt.started + host.timeout.seconds(number)
            heapq.heappush(self._deadlines, (deadline, self._serial, attempt))
        elif code in _OUT_OF_RESOURCES and len(self._in_flight) > 1:
            self._forget(attempt)
            self._postpone(host, port, number, code)
            return False
        else:
            self._decide(attempt, code)
        return True

    def _postpone(self, host: _Host, port: int, number: int, code: int) -> None:
        """Put the port back and make do with the connections there are."""
        if not self._in_flight:
            raise ScanImpossible(
                f"cannot open a socket to scan with: {os.strerror(code)}; "
                "raise the limit on open files (ulimit -n) or the memory for sockets"
            )
        host.waiting.appendleft((port, number))
        self._capacity = max(1, min(self._capacity, len(self._in_flight)))

    def _decide(self, attempt: _Attempt, code: int) -> None:
        rtt = time.monotonic() - attempt.started
        if code in _CONNECTED:
            is_closed = _is_connected_to_itself(attempt.sock)
            result = ConnectResult(attempt.port, PortState.CLOSED if is_closed else PortState.OPEN, rtt)
        elif code == errno.ECONNREFUSED:
            result = ConnectResult(attempt.port, PortState.CLOSED, rtt)
        else:
            result = ConnectResult(attempt.port, PortState.FILTERED)
        self._forget(attempt)
        if result.rtt is not None:
            attempt.host.timeout.learn(result.rtt)
        self._record(attempt.host, result)

    def _give_up(self, asked: float) -> None:
        while self._deadlines and (self._deadlines[0][2].is_over or self._deadlines[0][0] <= asked):
            attempt = heapq.heappop(self._deadlines)[2]
            if attempt.is_over:
                continue
            self._forget(attempt)
            if attempt.number < self._limits.retries:
                attempt.host.waiting.append((attempt.port, attempt.number + 1))
            else:
                self._record(attempt.host, ConnectResult(attempt.port, PortState.FILTERED))

    def _forget(self, attempt: _Attempt) -> None:
        attempt.is_over = True
        self._in_flight.discard(attempt)
        if attempt.is_registered:
            self._selector.unregister(attempt.sock)
        attempt.sock.close()

    def _record(self, host: _Host, result: ConnectResult) -> None:
        host.results.append(result)
        self._on_result(host.address, result)

    def _patience(self, busy: list[_Host]) -> float:
        """Seconds the selector may wait: until a deadline, a permitted connection or the next heartbeat."""
        moments = [HEARTBEAT]
        if self._deadlines:
            moments.append(self._deadlines[0][0] - time.monotonic())
        if len(self._in_flight) < self._capacity:
            moments.extend(host.pace.wait() for host in busy)
        return max(0.0, min(moments))


def _host(host: HostPorts, limits: ConnectLimits) -> _Host:
    return _Host(
        address=host.address,
        family=socket.AF_INET if host.address.version == 4 else socket.AF_INET6,
        pace=host.pace,
        timeout=AdaptiveTimeout(limits.first_timeout, limits.least_timeout, limits.greatest_timeout),
        waiting=deque((port, 0) for port in host.ports),
    )


def _is_connected_to_itself(sock: socket.socket) -> bool:
    """Whether this is TCP's simultaneous open with itself: on the own machine, a connection to a closed port
    in the ephemeral range succeeds if the kernel gives it that same port as its own."""
    try:
        if sock.getsockname() != sock.getpeername():
            return False
    except OSError:
        return False  # reset since: it was connected to somebody
    # Closing with a reset leaves the port free at once.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return True


def _free_descriptors() -> int:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 2**31
    try:
        used = len(os.listdir("/proc/self/fd"))
    except OSError:
        used = _SPARE_DESCRIPTORS  # no /proc on this system
    free = limit - used - _SPARE_DESCRIPTORS
    if free < 1:
        raise ScanImpossible(f"{used} of {limit} files are open, which leaves none to scan with; raise ulimit -n")
    return free
