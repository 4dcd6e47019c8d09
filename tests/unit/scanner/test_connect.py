from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest

from securenet.security.scanner.connect import (
    ConnectLimits,
    ConnectResult,
    HostPorts,
    PortState,
    _is_connected_to_itself,
    connect_scan,
)
from securenet.security.scanner.pace import Pace
from securenet.security.scanner.ports import PortSet

from .servers import (
    LOOPBACK,
    QUIET_LOOPBACK,
    free_port,
    hangs_up,
    listening,
    needs_ipv6,
    needs_proc,
    overrun_listener,
    resets,
    serving,
    unanswered_port,
)

IMPATIENT = ConnectLimits(first_timeout=0.2, least_timeout=0.1, greatest_timeout=0.3)
PATIENT = ConnectLimits(first_timeout=1, least_timeout=1, greatest_timeout=1, retries=1)


def scan(
    ports: PortSet,
    limits: ConnectLimits | None = None,
    rate: float = math.inf,
    address: str = LOOPBACK,
    **kept: Callable,
) -> dict[int, ConnectResult]:
    (results,) = connect_scan([HostPorts(ip_address(address), ports, Pace(rate))], limits, **kept)
    return {result.port: result for result in results}


def open_ports(results: dict[int, ConnectResult]) -> set[int]:
    return {port for port, result in results.items() if result.state is PortState.OPEN}


@pytest.mark.parametrize("first", [20000, 21000, 22000])
def test_exactly_the_listening_ports_among_a_thousand_are_open(first: int):
    among = range(first, first + 1000)
    with listening(25, among) as ports:
        results = scan(PortSet(((among[0], among[-1]),)), address=QUIET_LOOPBACK)
    assert open_ports(results) == ports
    assert Counter(result.state for result in results.values()) == {PortState.OPEN: 25, PortState.CLOSED: 975}
    assert list(results) == list(among)


def test_a_thousand_closed_ports_are_not_waited_for():
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        results = scan(PortSet(((23000, 23999),)), address=QUIET_LOOPBACK)
        seconds.append(time.perf_counter() - began)
        assert {result.state for result in results.values()} == {PortState.CLOSED}
    assert min(seconds) < 3  # 500 at a time that wait twice for 1 s: 4 s


def test_several_hosts_are_told_apart():
    with listening(3, range(24000, 24100)) as ports:
        wanted = PortSet(((24000, 24099),))
        hosts = [HostPorts(ip_address(address), wanted, Pace(math.inf)) for address in (QUIET_LOOPBACK, "127.82.0.2")]
        here, there = connect_scan(hosts)
    assert {result.port for result in here if result.state is PortState.OPEN} == ports
    assert {result.state for result in there} == {PortState.CLOSED}


@needs_ipv6
def test_ipv6_is_scanned_as_well():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        assert scan(PortSet.of(port), address="::1")[port].state is PortState.OPEN


@pytest.mark.parametrize("handler", [hangs_up, resets])
def test_a_service_that_ends_connections_at_once_is_open(handler: Callable[[socket.socket], None]):
    with serving(handler) as port:
        assert scan(PortSet.of(port))[port].state is PortState.OPEN


def test_a_port_that_does_not_answer_is_filtered_after_a_retry():
    with unanswered_port() as port:
        began = time.monotonic()
        result = scan(PortSet.of(port), IMPATIENT)[port]
        seconds = time.monotonic() - began
    assert result == ConnectResult(port, PortState.FILTERED, None)
    assert seconds >= 0.4


def test_silent_ports_are_waited_for_side_by_side():
    with unanswered_port() as one, unanswered_port() as two, unanswered_port() as three:
        began = time.monotonic()
        results = scan(PortSet.of(one, two, three), PATIENT)
        assert time.monotonic() - began < 5  # one after the other: 6 s
    assert {result.state for result in results.values()} == {PortState.FILTERED}


def test_an_answer_that_came_while_this_process_was_held_up_is_not_taken_for_lost():
    with overrun_listener() as listener:
        late = listener.getsockname()[1]

        def hold_up(address: object, result: ConnectResult) -> None:
            """Lets the kernel repeat the unanswered request, after 1 s, and the listener answer it."""
            if result.port != late:
                listener.settimeout(0.1)
                until = time.monotonic() + 1.5
                while time.monotonic() < until:
                    with suppress(TimeoutError):
                        listener.accept()[0].close()

        results = scan(PortSet.of(late, free_port()), ConnectLimits(first_timeout=0.9, retries=0), on_result=hold_up)
    assert results[late].state is PortState.OPEN


def test_the_rate_is_kept():
    began = time.monotonic()
    scan(PortSet(((26000, 26099),)), rate=100, address=QUIET_LOOPBACK)
    assert time.monotonic() - began >= 0.9


@needs_proc
def test_no_more_connections_than_allowed_are_in_flight():
    most = 0

    def count() -> None:
        nonlocal most
        most = max(most, sum(1 for _ in Path("/proc/self/fd").iterdir()) - before)

    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    with unanswered_port() as port:
        before = sum(1 for _ in Path("/proc/self/fd").iterdir())
        hosts = [HostPorts(ip_address(LOOPBACK), PortSet.of(port), Pace(math.inf)) for _ in range(20)]
        connect_scan(hosts, ConnectLimits(in_flight=5, first_timeout=0.1, retries=0), beat=count)
    assert 0 < most <= 5 + 1  # and the selector


def test_each_port_is_reported_once_and_beats_go_on_while_nothing_happens():
    seen: list[int] = []
    beats: list[None] = []
    with unanswered_port() as port:
        scan(
            PortSet.of(port, free_port()),
            ConnectLimits(first_timeout=0.6, retries=0),
            on_result=lambda address, result: seen.append(result.port),
            beat=lambda: beats.append(None),
        )
    assert len(seen) == len(set(seen)) == 2
    assert len(beats) >= 5


class Stopped(Exception):
    pass


@needs_proc
def test_an_exception_from_the_caller_ends_the_scan_and_closes_all_sockets():
    def stop() -> None:
        raise Stopped

    with unanswered_port() as port:
        before = os.listdir("/proc/self/fd")
        with pytest.raises(Stopped) as caught:
            scan(PortSet.of(port), beat=stop)
        assert os.listdir("/proc/self/fd") == before
    assert caught.traceback  # which keeps everything alive that is not closed on purpose


def test_a_connection_that_led_back_to_itself_is_recognised():
    with socket.socket() as lonely:
        lonely.bind((LOOPBACK, 0))
        lonely.connect(lonely.getsockname())  # nobody listens, and yet it succeeds
        assert _is_connected_to_itself(lonely)
    with serving(hangs_up) as port, socket.create_connection((LOOPBACK, port)) as ordinary:
        assert not _is_connected_to_itself(ordinary)


FEW_FILES = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
import ipaddress, math
from securenet.security.scanner.connect import HostPorts, connect_scan
from securenet.security.scanner.pace import Pace
from securenet.security.scanner.ports import PortSet
host = HostPorts(ipaddress.ip_address(sys.argv[2]), PortSet.parse(sys.argv[3]), Pace(math.inf))
print(json.dumps([r.port for r in connect_scan([host])[0] if r.state == "open"]))
"""


def with_few_files(limit: int, ports: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FEW_FILES, str(limit), QUIET_LOOPBACK, ports],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )


def test_a_low_limit_on_open_files_slows_the_scan_but_does_not_falsify_it():
    with listening(25, range(27000, 28000)) as ports:
        done = with_few_files(90, "27000-27999")
    assert set(json.loads(done.stdout)) == ports


def test_a_limit_that_leaves_no_socket_is_an_error_with_its_remedy():
    done = with_few_files(40, "27000-27999")
    assert "ScanImpossible" in done.stderr
    assert "ulimit -n" in done.stderr
